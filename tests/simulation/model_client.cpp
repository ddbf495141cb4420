#include "tests/simulation/model_client.hpp"

#include <fmt/format.h>
#include <utility>

namespace warp::testing {

model_client::model_client(event_queue& queue, recorded_history& history, std::uint64_t seed,
                           std::uint32_t number, std::size_t nodes, std::size_t shards,
                           std::function<void(std::size_t, const client_request&)> send)
    : queue_(queue), random_(seed, 16 + number), number_(number), nodes_(nodes), shards_(shards),
      send_(std::move(send)), record_(history, number) {
  for (std::size_t s = 0; s < shards; ++s) targets_.push_back(random_.below(nodes));
}

void model_client::start() {
  think();
}

void model_client::think() {
  const auto at_most = reader_ ? 10'000 : random_.chance(0.1) ? 200'000 : 30'000;
  queue_.after(random_.between(1'000, at_most), [this] {
    if (stopped_ || open_) return;
    client_request r;
    r.shard = random_.below(shards_);
    const auto kind = reader_ ? 12 + random_.below(38) : random_.below(100);
    if (kind < 12) {
      r.key = "n";
      r.call = kind < 8 ? register_call::increment : register_call::get;
    } else {
      r.key = random_.chance(0.5) ? "a" : "b";
      r.call = kind < 50   ? register_call::get
               : kind < 82 ? register_call::put
               : kind < 94 ? register_call::compare_and_set
                           : register_call::erase;
    }
    r.key += std::to_string(r.shard);
    r.weak = r.call == register_call::put && random_.chance(0.05);
    r.expected = r.call == register_call::compare_and_set ? seen_[r.key] : 0;
    r.value = fmt::format("{}.{}", number_, request_.number + 1);
    begin(std::move(r), patience_us_);
  });
}

void model_client::read_once(std::string key, std::size_t shard, event_queue::time patience,
                             std::function<void(bool)> done) {
  client_request r;
  r.key = std::move(key);
  r.shard = shard;
  done_ = std::move(done);
  begin(std::move(r), patience);
}

void model_client::begin(client_request request, event_queue::time patience) {
  request.client = number_;
  request.number = request_.number + 1;
  request_ = std::move(request);
  open_ = true;
  event_ = record_.begin(request_.call);
  numbers_[event_.began] = request_.number;
  event_.expected = request_.expected;
  if (request_.call != register_call::get) event_.value = request_.value;
  gives_up_ = queue_.now() + patience;
  attempt();
}

void model_client::attempt() {
  if (queue_.now() >= gives_up_) {
    end(register_outcome::unknown);
    return;
  }
  send_(targets_[request_.shard], request_);
  queue_.after(try_us_, [this, mine = ++attempt_] {
    if (!open_ || attempt_ != mine) return;
    if (!reader_ || random_.chance(0.1)) targets_[request_.shard] = random_.below(nodes_);
    attempt();
  });
}

void model_client::receive(const client_reply& reply) {
  if (!open_ || reply.number != request_.number) return;
  if (reply.code == op_code::unavailable) {
    // Soon again, where it is said to be; not for each copy of a doubled reply.
    targets_[request_.shard] = random_.chance(0.8) ? reply.hint : random_.below(nodes_);
    queue_.after(random_.between(2'000, 60'000), [this, mine = ++attempt_] {
      if (open_ && attempt_ == mine) attempt();
    });
    return;
  }
  ++answers_;
  event_.version = reply.version;
  event_.number = reply.sum;
  seen_[request_.key] = reply.version;
  if (request_.call == register_call::get) event_.value = reply.value;
  if (request_.weak) return end(register_outcome::unknown);
  end(reply.code == op_code::ok          ? register_outcome::ok
      : reply.code == op_code::not_found ? register_outcome::not_found
                                         : register_outcome::version_mismatch);
}

void model_client::end(register_outcome outcome) {
  open_ = false;
  event_.outcome = outcome;
  record_.end(request_.key, event_);
  if (auto done = std::exchange(done_, {})) return done(outcome != register_outcome::unknown);
  if (!stopped_) think();
}

} // namespace warp::testing
