#include "tests/integration/kill_client.hpp"

#include "cluster/client.hpp"
#include "tests/integration/kill_oracle.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <random>
#include <set>
#include <unistd.h>
#include <vector>

namespace warp::testing {

namespace {

constexpr std::uint64_t keys_per_writer = 300;

class writer {
public:
  writer(const kill_client_options& options, client& db)
      : options_(options), db_(db), random_(options.seed), number_(options.number_base) {}

  void turn() {
    const auto n = random_() % 100;
    if (n < 5 && options_.transactions)
      transaction();
    else if (n < 12)
      increment();
    else
      batch();
  }

private:
  static bool gave_up(op_code code) {
    return code == op_code::outcome_unknown || code == op_code::timed_out;
  }

  durability level() {
    const auto n = random_() % 30;
    return n < 10 ? durability::sync : n < 29 ? durability::async : durability::memory;
  }

  void batch() {
    client_batch batch;
    std::vector<std::string> keys;
    std::set<std::string> known; // a key comes once, so that each answer belongs to one write
    std::string lines;
    const auto at = level();
    const auto now = std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(
                                        std::chrono::steady_clock::now().time_since_epoch())
                                        .count());
    const auto count = 1 + random_() % 20;
    for (std::uint64_t i = 0; i < count; ++i) {
      auto key =
          "w" + std::to_string(options_.writer) + ":" + std::to_string(random_() % keys_per_writer);
      if (!known.insert(key).second) continue;
      const auto level_text = std::to_string(static_cast<int>(at));
      if (random_() % 8 == 0) {
        batch.erase(key, {.level = at});
        lines += "erase " + key + " " + level_text + " " + now + "\n";
      } else {
        // Mostly small, some beyond the size of a large value.
        const bool large = options_.large_values && random_() % 50 == 0;
        const std::size_t fill_bytes = large ? 20'000 + random_() % 60'000 : random_() % 300;
        const char fill = static_cast<char>('a' + random_() % 26);
        const auto ttl =
            options_.short_lives && random_() % 16 == 0 ? 50 + random_() % 1'500 : std::uint64_t{0};
        batch.put(key, make_kill_value(key, ++number_, fill_bytes, fill),
                  {.level = at, .time_to_live = std::chrono::milliseconds{ttl}});
        lines += "put " + key + " " + level_text + " " + now + " " + std::to_string(ttl) + " " +
                 std::to_string(number_) + " " + std::to_string(fill_bytes) + " " + fill + "\n";
      }
      keys.push_back(std::move(key));
    }
    report_kill_lines(lines);
    const auto replies = db_.execute(batch);
    lines.clear();
    for (std::size_t i = 0; i < keys.size(); ++i)
      if (replies[i].ok())
        lines += "done " + keys[i] + " " + std::to_string(replies[i].version) + " " +
                 std::to_string(replies[i].shard.value) + "\n";
      else if (replies[i].code() == op_code::not_found)
        lines += "absent " + keys[i] + "\n";
      else if (gave_up(replies[i].code()))
        lines += "unknown " + keys[i] + "\n";
    report_kill_lines(lines);
  }

  void increment() {
    const auto key = "counter" + std::to_string(options_.writer);
    report_kill_lines("increment " + key + "\n");
    if (db_.increment(key, 1, durability::sync).ok())
      report_kill_lines("incremented " + key + "\n");
  }

  /// The same number under three keys of different shards, in one atomic batch.
  void transaction() {
    const auto name = "t" + std::to_string(options_.writer);
    const auto number = std::to_string(++number_);
    const bool sync = random_() % 2 == 0;
    client_batch batch;
    for (int part = 0; part < 3; ++part)
      batch.put(name + ":" + std::to_string(part), number,
                {.level = sync ? durability::sync : durability::async});
    report_kill_lines("transaction " + name + " " + number + "\n");
    const auto answer = db_.execute_atomic(batch);
    if (sync && answer.status.ok()) report_kill_lines("committed " + name + " " + number + "\n");
    if (gave_up(answer.status.code())) report_kill_lines("maybe " + name + "\n");
  }

  const kill_client_options& options_;
  client& db_;
  std::mt19937_64 random_;
  std::uint64_t number_;
};

} // namespace

void report_kill_lines(std::string_view lines) {
  std::size_t done = 0;
  while (done < lines.size()) {
    const auto n = ::write(STDOUT_FILENO, lines.data() + done, lines.size() - done);
    if (n <= 0) ::_exit(0); // the loop is gone
    done += static_cast<std::size_t>(n);
  }
}

int run_kill_client(const kill_client_options& options) {
  auto db = client::connect({.addresses = {options.address},
                             .deadline = std::chrono::milliseconds{options.deadline_ms},
                             .connect_deadline = std::chrono::seconds{20}});
  if (!db) {
    std::fprintf(stderr, "kill_loop: a client cannot connect: %s\n",
                 db.status().to_string().c_str());
    return 1;
  }
  writer w{options, **db};
  for (;;) w.turn();
}

} // namespace warp::testing
