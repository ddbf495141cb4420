#include "tests/integration/kill_client.hpp"
#include "tests/integration/kill_oracle.hpp"
#include "tests/integration/resp_link.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace warp::testing {

namespace {

constexpr std::uint64_t keys_per_writer = 300;
constexpr std::uint64_t fields_of_large = 400, small_hashes = 30, fields_of_small = 5;

using link_end = resp_link::end;

/// What a key of ours holds, as far as its writer knows: enough to write the same value again.
struct known_value {
  std::uint64_t number = 0;
  std::size_t fill_bytes = 0;
  char fill = 'a';
};

std::string steady_ms() {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(
                            std::chrono::steady_clock::now().time_since_epoch())
                            .count());
}

/// A connection for each durability; a command is sent when the one before it was answered, so the
/// writes of a key have an order.
class resp_writer_client {
public:
  explicit resp_writer_client(const kill_client_options& options)
      : options_(options), random_(options.seed), number_(options.number_base) {}

  /// Until the server is gone.
  void work() {
    known_.clear(); // what was not answered may have been done, and what was may be lost
    stamp_.reset();
    for (const auto& [level, name] : {std::pair{durability::memory, "memory"},
                                      {durability::async, "async"},
                                      {durability::sync, "sync"}}) {
      links_.insert_or_assign(level, resp_link{options_.address});
      if (links_.at(level).ask({"WARP.DURABILITY", name}) != "+OK") throw link_end{};
    }
    for (;;) turn();
  }

private:
  void turn() {
    const auto n = random_() % 100;
    if (n < 12 && options_.transactions)
      transaction();
    else if (n < 20)
      increment();
    else
      pipeline();
  }

  std::pair<durability, resp_link*> any_link() {
    const auto n = random_() % 30;
    const auto level = n < 10 ? durability::sync : n < 29 ? durability::async : durability::memory;
    return {level, &links_.at(level)};
  }

  std::string put_line(const std::string& key, durability level, const std::string& now,
                       std::uint64_t ttl_ms, const known_value& v) {
    return "put " + key + " " + std::to_string(static_cast<int>(level)) + " " + now + " " +
           std::to_string(ttl_ms) + " " + std::to_string(v.number) + " " +
           std::to_string(v.fill_bytes) + " " + v.fill + "\n";
  }

  /// One command of a pipeline: the keys or fields that it writes, and what its answer means.
  struct sent {
    std::vector<std::string> keys;
    std::vector<std::string> words;
    enum class sort { put, change, erase, fields } how = sort::put;
    std::optional<known_value> leaves; ///< what the key holds when it is done for good
  };

  /// A field of a large hash, or of one of many small ones.
  std::string any_field() {
    const auto writer = std::to_string(options_.writer);
    return random_() % 2 == 0 ? "h" + writer + "/" + std::to_string(random_() % fields_of_large)
                              : "s" + writer + ":" + std::to_string(random_() % small_hashes) +
                                    "/" + std::to_string(random_() % fields_of_small);
  }

  sent draw_field(std::set<std::string>& met, durability level, const std::string& now,
                  std::string& lines) {
    auto field = any_field();
    if (!met.insert(field).second) return {};
    const auto slash = field.find('/');
    const auto hash = field.substr(0, slash);
    if (random_() % 6 == 0) {
      lines += "erase " + field + " " + std::to_string(static_cast<int>(level)) + " " + now + "\n";
      return {{field}, {"HDEL", hash, field.substr(slash + 1)}, sent::sort::erase, std::nullopt};
    }
    sent all{{}, {"HSET", hash}, sent::sort::fields, std::nullopt};
    for (auto left = 1 + random_() % 3;;) {
      const known_value value{.number = ++number_,
                              .fill_bytes = random_() % 100,
                              .fill = static_cast<char>('a' + random_() % 26)};
      lines += put_line(field, level, now, 0, value);
      all.words.push_back(field.substr(slash + 1));
      all.words.push_back(make_kill_value(field, value.number, value.fill_bytes, value.fill));
      all.keys.push_back(field);
      field = hash + "/" + std::to_string(random_() % fields_of_small);
      if (--left == 0 || !met.insert(field).second) return all;
    }
  }

  sent draw(const std::string& key, durability level, const std::string& now, std::string& lines) {
    const auto known = known_.find(key);
    if (const auto n = random_() % 16; n < 2) {
      lines += "erase " + key + " " + std::to_string(static_cast<int>(level)) + " " + now + "\n";
      constexpr const char* commands[] = {"DEL", "UNLINK"};
      return {{key}, {commands[n], key}, sent::sort::erase, std::nullopt};
    } else if (n < 4 && options_.short_lives && known != known_.end()) {
      // The same value with an end, or without the one it had.
      const auto value = known->second;
      if (random_() % 3 == 0) {
        lines += put_line(key, level, now, 0, value);
        return {{key}, {"PERSIST", key}, sent::sort::change, value};
      }
      const bool seconds = random_() % 4 == 0;
      const auto ttl_ms = seconds ? 1'000 : 50 + random_() % 1'500;
      lines += put_line(key, level, now, ttl_ms, value);
      return {{key},
              {seconds ? "EXPIRE" : "PEXPIRE", key, std::to_string(seconds ? 1 : ttl_ms)},
              sent::sort::change,
              value};
    }
    const bool large = options_.large_values && random_() % 50 == 0;
    const known_value value{.number = ++number_,
                            .fill_bytes = large ? 20'000 + random_() % 60'000 : random_() % 300,
                            .fill = static_cast<char>('a' + random_() % 26)};
    const auto ttl_ms =
        options_.short_lives && random_() % 16 == 0 ? 50 + random_() % 1'500 : std::uint64_t{0};
    lines += put_line(key, level, now, ttl_ms, value);
    std::vector<std::string> words{
        "SET", key, make_kill_value(key, value.number, value.fill_bytes, value.fill)};
    if (ttl_ms != 0) words.insert(words.end(), {"PX", std::to_string(ttl_ms)});
    return {{key}, std::move(words), sent::sort::put, value};
  }

  void pipeline() {
    const auto [level, link] = any_link();
    const auto now = steady_ms();
    std::vector<sent> all;
    std::set<std::string> met; // a key comes once, so that each answer belongs to one write
    std::string lines;
    for (auto left = 1 + random_() % 20; left != 0; --left) {
      if (random_() % 3 == 0) {
        if (auto change = draw_field(met, level, now, lines); !change.keys.empty())
          all.push_back(std::move(change));
        continue;
      }
      auto key =
          "w" + std::to_string(options_.writer) + ":" + std::to_string(random_() % keys_per_writer);
      if (met.insert(key).second) all.push_back(draw(key, level, now, lines));
    }
    report_kill_lines(lines);
    for (const auto& s : all) link->add(s.words);
    link->send();
    for (const auto& s : all) {
      const auto answer = link->reply();
      // A line for each: what is answered must be known even when the next answer never comes.
      const bool failed = answer.starts_with("-");
      const bool done = s.how == sent::sort::put      ? answer == "+OK"
                        : s.how == sent::sort::fields ? !failed
                                                      : answer == ":1";
      for (const auto& key : s.keys) {
        report_kill_lines(failed ? "unknown " + key + "\n"
                          : done ? "done " + key + " 0 0\n"
                                 : "absent " + key + "\n");
        // The end of a value is logged without the value: where that was not logged, a crash leaves
        // the end to the value before it.
        if (done && s.leaves && (level != durability::memory || s.how == sent::sort::change))
          known_[key] = *s.leaves;
        else
          known_.erase(key);
      }
    }
  }

  void increment() {
    const auto writer = std::to_string(options_.writer);
    const auto n = random_() % 3;
    const auto counter = n == 0 ? "h" + writer + "/counter" : "counter" + writer;
    report_kill_lines("increment " + counter + "\n");
    auto& link = links_.at(durability::sync);
    const auto answer = n == 0   ? link.ask({"HINCRBY", "h" + writer, "counter", "1"})
                        : n == 1 ? link.ask({"INCRBY", counter, "1"})
                                 : link.ask({"INCR", counter});
    if (answer.starts_with(":")) report_kill_lines("incremented " + counter + "\n");
  }

  /// The same stamp under keys of several shards, written in different ways, now and then behind a
  /// WATCH.
  void transaction() {
    const auto name = "t" + std::to_string(options_.writer);
    const auto part = [&](int n) { return name + ":" + std::to_string(n); };
    const auto stamp = std::to_string(++number_);
    const bool sync = random_() % 2 == 0;
    auto& link = links_.at(sync ? durability::sync : durability::async);
    if (random_() % 4 == 0) {
      link.ask({"WATCH", part(0), part(1), part(2)});
      link.ask({"GET", part(0)});
    }
    report_kill_lines("transaction " + name + " " + stamp + "\n");
    link.add({"MULTI"});
    int queued = 0;
    const auto add = [&](std::vector<std::string> words) {
      link.add(words);
      ++queued;
    };
    add({"SET", part(0), stamp});
    // A number grows by what makes it the stamp: only where it is known where it stood.
    if (stamp_ && random_() % 2 == 0) {
      add({"INCRBY", part(1), std::to_string(number_ - *stamp_)});
    } else {
      add({"DEL", part(1)});
      add({"INCRBY", part(1), stamp});
    }
    if (random_() % 2 == 0) {
      add({"MSET", part(2), stamp, name + ":beside", stamp});
    } else {
      add({"SET", name + ":moving", stamp});
      add({"RENAME", name + ":moving", part(2)});
    }
    add({"HSET", part(3), "stamp", stamp, "beside" + std::to_string(random_() % 200), stamp});
    link.add({"EXEC"});
    link.send();
    link.reply();
    for (int i = 0; i < queued; ++i) link.reply();
    const auto answer = link.reply();
    if (answer == "*" + std::to_string(queued)) {
      for (int i = 0; i < queued; ++i) link.reply();
      stamp_ = number_;
      if (sync) report_kill_lines("committed " + name + " " + stamp + "\n");
    } else {
      stamp_.reset();
      if (answer.starts_with("-UNKNOWN")) report_kill_lines("maybe " + name + "\n");
    }
  }

  const kill_client_options& options_;
  std::mt19937_64 random_;
  std::uint64_t number_;
  std::map<durability, resp_link> links_;
  std::map<std::string, known_value> known_;
  std::optional<std::uint64_t> stamp_; ///< of the last transaction, when it is known to be done
};

} // namespace

int run_kill_resp_client(const kill_client_options& options) {
  resp_writer_client writer{options};
  const auto patience = std::chrono::seconds{20};
  auto give_up_at = std::chrono::steady_clock::now() + patience;
  for (;;) {
    try {
      writer.work();
    } catch (const link_end& e) {
      if (e.answered) give_up_at = std::chrono::steady_clock::now() + patience;
    }
    if (std::chrono::steady_clock::now() > give_up_at) {
      std::fprintf(stderr, "kill_loop: a client cannot connect to %s\n", options.address.c_str());
      return 1;
    }
  }
}

} // namespace warp::testing
