// Clients of a cluster's RESP ports that write down what they hear.
//
//     cluster_load --node HOST:PORT ... [--threads 8] [--seed S] [--number N] [--pause-us 300]
//                  [--level durable] [--shards 64] [--silence-ms 500] [--patience-ms 8000]
//                  [--cold-keys 2000] --history FILE --acknowledged FILE
//         Until standard input ends: reads, writes, replaces (by value, and by version in a
//         transaction on a watched key), erases and counts on a few hot and many cold keys, and
//         writes keys of their own once each. Then writes the history (history_check judges it) and
//         the keys whose write was acknowledged, and prints a summary, one JSON object. --number
//         keeps the values of several runs apart.
//
//     cluster_load --node HOST:PORT ... --verify FILE
//         Reads every acknowledged key of FILE; exit code 1 when one is not there or not right.
//
//     cluster_load --node HOST:PORT ... --rate SECONDS [--threads 4] [--depth 64] [--value 100]
//         How many SETs a second are answered: pipelines of `depth` to whoever holds the shard.

#include "storage/slot.hpp"
#include "tests/integration/cluster/cluster_client.hpp"
#include "tests/support/history_file.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fmt/format.h>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

namespace {

using namespace warp;
using namespace warp::testing;
using steady = std::chrono::steady_clock;

struct load_options {
  cluster_client_options client;
  unsigned threads = 8, number = 0, cold_keys = 2'000, pause_us = 300, depth = 64, value = 100;
  std::uint64_t seed = 1;
  double rate_s = 0;
  std::string history, acknowledged, verify;
};

std::uint64_t now_ns() {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(steady::now().time_since_epoch())
          .count());
}

/// What a thread has heard.
class load_thread {
public:
  load_thread(const load_options& options, unsigned number)
      : options_(options), number_(options.number * options.threads + number),
        random_(options.seed * 1'000 + number), client_(options.client, random_()) {}

  void run(const std::atomic<bool>& stop) {
    while (!stop) {
      step();
      if (options_.pause_us != 0)
        std::this_thread::sleep_for(
            std::chrono::microseconds{random_() % (2 * options_.pause_us + 1)});
    }
  }

  std::vector<std::pair<std::string, register_event>> events;
  std::vector<std::string> acknowledged; ///< keys
  std::vector<double> write_us;          ///< of those that were answered
  std::size_t unsupported = 0;           ///< commands that a cluster does not know
  std::size_t replaced = 0;              ///< by version
  [[nodiscard]] const cluster_client& client() const noexcept { return client_; }

private:
  static constexpr unsigned registers = 4, counters = 4;

  void step() {
    const auto kind = random_() % 100;
    if (kind < 45) return use_register("register" + std::to_string(random_() % registers));
    if (kind < 65) return count("counter" + std::to_string(random_() % counters));
    if (kind < 85) return use_register("cold" + std::to_string(random_() % options_.cold_keys));
    write_once();
  }
  std::string new_value() { return fmt::format("{}.{}", number_, ++written_); }

  void use_register(const std::string& key) {
    register_event e;
    const auto kind = random_() % 20;
    if (kind < 8) {
      e.call = register_call::get;
      return call(key, {"GET", key}, e);
    }
    if (kind < 10) {
      e.call = register_call::erase;
      return call(key, {"DEL", key}, e);
    }
    e.value = new_value();
    if (kind < 12) return replace_watched(key, e);
    if (const auto seen = seen_.find(key); replaces_ && kind < 15 && seen != seen_.end()) {
      e.call = register_call::replace;
      e.old = seen->second;
      return call(key, {"SET", key, e.value, "IFEQ", e.old}, e);
    }
    e.call = register_call::put;
    call(key, {"SET", key, e.value}, e);
  }

  void count(const std::string& key) {
    register_event e;
    e.call = random_() % 4 == 0 ? register_call::get : register_call::increment;
    call(key, {e.call == register_call::get ? "GET" : "INCR", key}, e);
  }

  /// By the version of what was read: what the server has compared is not told, so a refusal tells
  /// nothing of the value.
  void replace_watched(const std::string& key, register_event e) {
    e.call = register_call::replace;
    e.client = number_;
    e.began = now_ns();
    const auto answer = client_.replace(key, e.value, e.old);
    e.ended = now_ns();
    using fate = cluster_client::fate;
    if (answer.became == fate::refused || answer.reply == "*-1") return;
    if (answer.became == fate::unknown) e.outcome = register_outcome::unknown;
    if (answer.reply == "$-1") {
      e.call = register_call::get;
      e.outcome = register_outcome::not_found;
      e.value = e.old = {};
    }
    if (answer.became == fate::answered && answer.reply == "+OK") {
      e.outcome = register_outcome::ok;
      seen_[key] = e.value;
      ++replaced;
      write_us.push_back(static_cast<double>(e.ended - e.began) / 1e3);
    }
    events.emplace_back(key, std::move(e));
  }

  void call(const std::string& key, const std::vector<std::string>& words, register_event e) {
    e.client = number_;
    e.began = now_ns();
    const bool writes = e.call != register_call::get;
    const auto answer = client_.ask(key, words, writes);
    e.ended = now_ns();
    if (answer.reply == "-ERR not_supported") {
      ++unsupported;
      replaces_ = false;
      return;
    }
    if (answer.became == cluster_client::fate::answered)
      hear(answer.reply, e);
    else
      e.outcome = answer.became == cluster_client::fate::refused ? register_outcome::refused
                                                                 : register_outcome::unknown;
    if (e.outcome == register_outcome::ok && e.call != register_call::erase &&
        e.call != register_call::increment)
      seen_[key] = e.value;
    if (writes && e.outcome == register_outcome::ok)
      write_us.push_back(static_cast<double>(e.ended - e.began) / 1e3);
    events.emplace_back(key, std::move(e));
  }

  static void hear(const std::string& reply, register_event& e) {
    using outcome = register_outcome;
    switch (e.call) {
    case register_call::get:
      e.outcome = reply == "$-1" ? outcome::not_found : outcome::ok;
      if (e.outcome == outcome::ok) e.value = reply.substr(1);
      break;
    case register_call::erase:
      e.outcome = reply == ":1" ? outcome::ok : outcome::not_found;
      break;
    case register_call::replace:
      e.outcome = reply == "+OK" ? outcome::ok : outcome::not_equal;
      break;
    case register_call::increment:
      e.outcome = outcome::ok;
      e.number = std::stoll(reply.substr(1));
      break;
    default:
      e.outcome = outcome::ok;
    }
  }

  void write_once() {
    const auto key = fmt::format("once:{}:{}", number_, ++once_);
    const auto began = steady::now();
    const auto answer = client_.ask(key, {"SET", key, "of " + key}, true);
    if (answer.became != cluster_client::fate::answered) return;
    write_us.push_back(std::chrono::duration<double, std::micro>(steady::now() - began).count());
    acknowledged.push_back(key);
  }

  const load_options& options_;
  unsigned number_;
  std::mt19937_64 random_;
  cluster_client client_;
  std::map<std::string, std::string> seen_;
  std::uint64_t written_ = 0, once_ = 0;
  bool replaces_ = true; ///< until it is told that this is not supported
};

int load(const load_options& options) {
  std::vector<std::unique_ptr<load_thread>> all;
  for (unsigned i = 0; i < options.threads; ++i)
    all.push_back(std::make_unique<load_thread>(options, i));
  std::atomic<bool> stop{false};
  const auto began = steady::now();
  {
    std::vector<std::jthread> running;
    for (auto& t : all) running.emplace_back([&] { t->run(stop); });
    while (std::cin.get() != std::char_traits<char>::eof()) {
    }
    stop = true;
  }
  const std::chrono::duration<double> took = steady::now() - began;
  std::ofstream history{options.history}, acknowledged{options.acknowledged};
  std::size_t calls = 0, unknown = 0, refused = 0, once = 0, unsupported = 0, replaced = 0;
  std::uint64_t redirects = 0;
  std::vector<double> write_us;
  std::map<std::string, std::uint64_t> errors;
  for (const auto& t : all) {
    for (const auto& [key, e] : t->events) {
      history << history_line(key, e) << '\n';
      ++calls;
      unknown += e.outcome == register_outcome::unknown;
      refused += e.outcome == register_outcome::refused;
    }
    for (const auto& key : t->acknowledged) acknowledged << key << '\n';
    once += t->acknowledged.size();
    unsupported += t->unsupported;
    replaced += t->replaced;
    redirects += t->client().redirects();
    for (const auto& [text, count] : t->client().errors()) errors[text] += count;
    write_us.insert(write_us.end(), t->write_us.begin(), t->write_us.end());
  }
  std::ranges::sort(write_us);
  const auto quantile = [&](double q) {
    return write_us.empty()
               ? 0.0
               : write_us[std::min(write_us.size() - 1,
                                   static_cast<std::size_t>(q * double(write_us.size())))];
  };
  std::cout << nlohmann::ordered_json{{"calls", calls},
                                      {"seconds", took.count()},
                                      {"unknown", unknown},
                                      {"refused", refused},
                                      {"unsupported", unsupported},
                                      {"replaced", replaced},
                                      {"acknowledged", once},
                                      {"redirects", redirects},
                                      {"write_p50_us", quantile(0.5)},
                                      {"write_p99_us", quantile(0.99)},
                                      {"write_max_us", quantile(1)},
                                      {"errors", errors}}
                   .dump()
            << '\n';
  return history.good() && acknowledged.good() ? 0 : 2;
}

int verify(const load_options& options) {
  std::ifstream file{options.verify};
  std::vector<std::string> keys;
  for (std::string key; std::getline(file, key);) keys.push_back(key);
  std::atomic<std::size_t> next{0}, missing{0};
  {
    std::vector<std::jthread> running;
    for (unsigned i = 0; i < options.threads; ++i)
      running.emplace_back([&, i] {
        cluster_client client{options.client, i};
        for (std::size_t n; (n = next++) < keys.size();) {
          const auto answer = client.ask(keys[n], {"GET", keys[n]}, false);
          if (answer.reply == "$of " + keys[n]) continue;
          if (missing++ < 20) std::printf("LOST %s: %s\n", keys[n].c_str(), answer.reply.c_str());
        }
      });
  }
  std::printf("%zu acknowledged writes read, %zu of them lost\n", keys.size(), missing.load());
  return missing == 0 ? 0 : 1;
}

/// Keys that one node holds, and a connection to it.
struct rate_target {
  std::string address;
  std::vector<std::string> keys;
};

std::vector<rate_target> rate_targets(const load_options& options) {
  // One key of each shard tells where the shard is.
  std::map<std::string, rate_target> by_address;
  std::vector<std::string> places(options.client.shards);
  unsigned open = options.client.shards;
  std::vector<std::string> keys;
  for (unsigned i = 0; i < 20'000; ++i) keys.push_back("rate:" + std::to_string(i));
  for (const auto& key : keys) {
    auto& place = places[storage::shard_of(key, options.client.shards).value];
    if (!place.empty()) continue;
    auto at = options.client.nodes.front();
    for (int hops = 0; hops < 10; ++hops) {
      const auto reply = resp_link{at, std::chrono::seconds{10}}.ask({"GET", key});
      if (!reply.starts_with("-MOVED ")) break;
      at = reply.substr(reply.rfind(' ') + 1);
    }
    place = at;
    if (--open == 0) break;
  }
  for (const auto& key : keys) {
    const auto& place = places[storage::shard_of(key, options.client.shards).value];
    by_address[place].address = place;
    by_address[place].keys.push_back(key);
  }
  std::vector<rate_target> all;
  for (auto& [address, target] : by_address) all.push_back(std::move(target));
  return all;
}

int rate(const load_options& options) {
  const auto targets = rate_targets(options);
  std::atomic<std::uint64_t> answered{0}, failed{0};
  std::atomic<bool> stop{false};
  steady::time_point began;
  std::uint64_t counted = 0;
  std::chrono::duration<double> took{};
  {
    std::vector<std::jthread> running;
    for (unsigned i = 0; i < options.threads; ++i)
      running.emplace_back([&, i] {
        const auto& target = targets[i % targets.size()];
        const std::string value(options.value, 'v');
        std::mt19937_64 random{options.seed + i};
        try {
          resp_link link{target.address, std::chrono::seconds{20}};
          if (!options.client.level.empty()) link.ask({"WARP.DURABILITY", options.client.level});
          while (!stop) {
            for (unsigned n = 0; n < options.depth; ++n)
              link.add({"SET", target.keys[random() % target.keys.size()], value});
            link.send();
            for (unsigned n = 0; n < options.depth; ++n)
              ++(link.reply() == "+OK" ? answered : failed);
          }
        } catch (const resp_link::end&) {
          ++failed;
        }
      });
    // The first second is for warming up.
    std::this_thread::sleep_for(std::chrono::seconds{1});
    const auto before = answered.load();
    began = steady::now();
    std::printf("measuring\n");
    std::fflush(stdout);
    std::this_thread::sleep_for(std::chrono::duration<double>{options.rate_s});
    counted = answered - before;
    took = steady::now() - began;
    std::printf("measured\n");
    std::fflush(stdout);
    stop = true;
  }
  std::cout << nlohmann::ordered_json{{"answered", counted},
                                      {"failed", failed.load()},
                                      {"seconds", took.count()},
                                      {"per_s", double(counted) / took.count()},
                                      {"nodes", targets.size()}}
                   .dump()
            << '\n';
  return failed == 0 ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
  load_options options;
  int silence_ms = 500, patience_ms = 8'000;
  CLI::App app{"clients of a cluster that write down what they hear"};
  app.add_option("--node", options.client.nodes)->required();
  app.add_option("--threads", options.threads);
  app.add_option("--seed", options.seed);
  app.add_option("--number", options.number);
  app.add_option("--pause-us", options.pause_us);
  app.add_option("--cold-keys", options.cold_keys);
  app.add_option("--level", options.client.level);
  app.add_option("--shards", options.client.shards);
  app.add_option("--silence-ms", silence_ms);
  app.add_option("--patience-ms", patience_ms);
  app.add_option("--history", options.history);
  app.add_option("--acknowledged", options.acknowledged);
  app.add_option("--verify", options.verify);
  app.add_option("--rate", options.rate_s);
  app.add_option("--depth", options.depth);
  app.add_option("--value", options.value);
  CLI11_PARSE(app, argc, argv);
  options.client.silence = std::chrono::milliseconds{silence_ms};
  options.client.patience = std::chrono::milliseconds{patience_ms};
  if (options.threads == 0 || options.client.shards == 0 || options.client.nodes.empty()) return 2;
  if (options.rate_s > 0) return rate(options);
  if (!options.verify.empty()) return verify(options);
  if (options.history.empty() || options.acknowledged.empty()) {
    std::fprintf(stderr, "cluster_load: --history and --acknowledged are missing\n");
    return 2;
  }
  return load(options);
}
