#pragma once

#include "messages/status.hpp"
#include "tests/simulation/event_queue.hpp"
#include "tests/simulation/sim_random.hpp"
#include "tests/support/linearizability.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace warp::testing {

/// What a client asks; the same number again for each try.
struct client_request {
  std::uint32_t client = 0, number = 0;
  std::size_t shard = 0;
  register_call call = register_call::get;
  std::string key, value;
  lsn_t expected = 0;
  bool weak = false; ///< at level async: an answer promises nothing
};

struct client_reply {
  std::uint32_t number = 0;
  /// unavailable: nothing was done by this try; anything else is an answer.
  op_code code = op_code::ok;
  std::string value;
  lsn_t version = 0;
  std::int64_t sum = 0;
  std::size_t hint = 0; ///< who may be the primary
};

/// A client that asks one thing after the other, tries again under the same number until it is
/// answered or loses patience, and keeps a history of it.
class model_client {
public:
  /// `send(node, request)` puts a request on the network.
  model_client(event_queue& queue, recorded_history& history, std::uint64_t seed,
               std::uint32_t number, std::size_t nodes, std::size_t shards,
               std::function<void(std::size_t, const client_request&)> send);

  void start();
  /// It only reads, and stays where it was answered: who serves what is stale will tell it. It
  /// does not wait for what is pending.
  void only_read() {
    reader_ = true;
    try_us_ = patience_us_ = 50'000;
  }
  /// It asks somewhere else soon.
  void hurry() { try_us_ = 60'000; }
  void stop() { stopped_ = true; }
  /// Reads a key of a shard; `done(true)` when it was answered.
  void read_once(std::string key, std::size_t shard, event_queue::time patience,
                 std::function<void(bool)> done);
  void receive(const client_reply& reply);
  [[nodiscard]] bool idle() const { return !open_; }
  [[nodiscard]] std::size_t answers() const { return answers_; }
  /// The number of the request that began at a moment of the history; 0: of another client.
  [[nodiscard]] std::uint32_t number_of(std::uint64_t began) const {
    const auto at = numbers_.find(began);
    return at == numbers_.end() ? 0 : at->second;
  }
  void finish(recorded_history& into) { into.take(std::move(record_)); }

private:
  void think();
  void begin(client_request request, event_queue::time patience);
  void attempt();
  void end(register_outcome outcome);

  event_queue& queue_;
  sim_random random_;
  std::uint32_t number_;
  std::size_t nodes_, shards_;
  std::function<void(std::size_t, const client_request&)> send_;
  recorded_history::client record_;
  event_queue::time try_us_ = 400'000, patience_us_ = 4'000'000;
  bool stopped_ = false, open_ = false, reader_ = false;
  client_request request_;
  register_event event_;
  event_queue::time gives_up_ = 0;
  std::vector<std::size_t> targets_; ///< of each shard: who may be its primary
  std::uint64_t attempt_ = 0;
  std::size_t answers_ = 0;
  std::map<std::string, lsn_t> seen_;
  std::map<std::uint64_t, std::uint32_t> numbers_;
  std::function<void(bool)> done_;
};

} // namespace warp::testing
