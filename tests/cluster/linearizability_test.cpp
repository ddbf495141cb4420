// Several clients with several threads each, over connections and servers that go away in the
// middle: is there an order of the calls on each key that explains all answers? A write whose
// answer was lost counts once or not at all.

#include "tests/cluster/rpc_fixture.hpp"
#include "tests/support/linearizability.hpp"

#include <atomic>
#include <random>
#include <thread>

namespace warp::cluster {
namespace {

using testing::recorded_history;
using testing::register_call;
using testing::register_event;
using testing::register_outcome;

constexpr unsigned keys = 4;

register_outcome outcome_of(op_code code) {
  switch (code) {
  case op_code::ok:
    return register_outcome::ok;
  case op_code::not_found:
    return register_outcome::not_found;
  case op_code::version_mismatch:
    return register_outcome::version_mismatch;
  case op_code::wrong_type:
    return register_outcome::wrong_type;
  case op_code::outcome_unknown:
    return register_outcome::unknown;
  default:
    return register_outcome::refused;
  }
}

/// A thread's part.
class caller {
public:
  caller(client& c, recorded_history& history, unsigned number, std::uint64_t seed)
      : client_(c), history_(history, number), number_(number), random_(seed + number),
        known_(keys, 0) {}

  void run() {
    const auto k = static_cast<unsigned>(random_() % keys);
    const bool counts = k >= keys / 2;
    const auto key = (counts ? "number" : "text") + std::to_string(k);
    const auto mine = std::to_string(number_) + "/" + std::to_string(++written_);
    const client_write_options level{.level = durability::async};
    register_event e;
    client_reply reply;
    switch (random_() % 5) {
    case 0:
    case 1:
      e = history_.begin(register_call::get);
      reply = client_.get(key);
      e.value = reply.value;
      break;
    case 2:
      if (random_() % 4 == 0) {
        e = history_.begin(register_call::erase);
        reply = client_.erase(key, level);
        break;
      }
      [[fallthrough]];
    case 3:
      e = history_.begin(counts ? register_call::increment : register_call::put);
      e.value = mine;
      e.delta = static_cast<std::int64_t>(random_() % 9) - 4;
      reply = counts ? client_.increment(key, e.delta, durability::async)
                     : client_.put(key, e.value, level);
      break;
    default:
      e = history_.begin(register_call::compare_and_set);
      e.expected = random_() % 8 == 0 ? 0 : known_[k];
      e.value = counts ? std::to_string(random_() % 100) : mine;
      reply = client_.compare_and_set(key, e.expected, e.value, level);
    }
    e.outcome = outcome_of(reply.code());
    e.version = reply.version;
    e.number = reply.number;
    if (reply.ok() || reply.code() == op_code::version_mismatch) known_[k] = reply.version;
    history_.end(key, std::move(e));
  }
  recorded_history::client& history() { return history_; }

private:
  client& client_;
  recorded_history::client history_;
  unsigned number_;
  std::mt19937_64 random_;
  std::vector<lsn_t> known_;
  std::uint64_t written_ = 0;
};

TEST_CASE("what clients hear is linearizable, also over servers that are stopped and started",
          "[cluster][rpc][linearizability]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  rpc_fixture f{true};
  constexpr unsigned clients = 3, threads = 2, calls = 1'200, restarts = 6;
  std::vector<std::unique_ptr<client>> connected;
  for (unsigned i = 0; i < clients; ++i) connected.push_back(f.connect());
  recorded_history history;
  std::vector<std::unique_ptr<caller>> callers;
  for (unsigned i = 0; i < clients * threads; ++i)
    callers.push_back(std::make_unique<caller>(*connected[i % clients], history, i, seed));
  std::atomic<unsigned> done{0}, failed{0};
  {
    std::vector<std::jthread> running;
    for (auto& c : callers)
      running.emplace_back([&] {
        for (unsigned i = 0; i < calls; ++i, ++done) c->run();
      });
    // A restart every so many calls: in the middle of others.
    for (unsigned i = 1; i <= restarts; ++i) {
      while (done < i * (clients * threads * calls / (restarts + 1))) std::this_thread::yield();
      const auto at = "127.0.0.1:" + std::to_string(f.server->port());
      f.server->stop();
      auto next = rpc_server::start({.listen = at}, *f.engine, &f.admin);
      if (next.ok())
        f.server = std::move(*next);
      else
        ++failed;
    }
  }
  CHECK(failed == 0);
  std::uint64_t retries = 0;
  for (const auto& c : connected) retries += c->count().retries;
  CHECK(retries > 0);
  for (auto& c : callers) history.take(std::move(c->history()));
  CHECK(history.size() == clients * threads * calls);
  const auto complaint = history.complaint();
  INFO(complaint);
  CHECK(complaint.empty());
}

} // namespace
} // namespace warp::cluster
