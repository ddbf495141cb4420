// Of a replicated universe: who executes in the engine's place, and waiting for its tickets.

#include "storage/engine_state.hpp"

#include <condition_variable>
#include <mutex>

namespace warp::storage {

namespace {

/// A thread that waits until listeners are told.
class wake final : public round_listener {
public:
  explicit wake(engine& owner) : engine_(owner) { engine_.add_round_listener(*this); }
  ~wake() override { engine_.remove_round_listener(*this); }
  wake(const wake&) = delete;
  wake& operator=(const wake&) = delete;

  void on_round() noexcept override {
    std::lock_guard hold{mutex_};
    ++rounds_;
    changed_.notify_one();
  }
  [[nodiscard]] std::uint64_t rounds() {
    std::lock_guard hold{mutex_};
    return rounds_;
  }
  /// Until more were told than `rounds`; false: the deadline passed.
  [[nodiscard]] bool wait_beyond(std::uint64_t rounds,
                                 std::chrono::steady_clock::time_point deadline) {
    std::unique_lock lock{mutex_};
    return changed_.wait_until(lock, deadline, [&] { return rounds_ > rounds; });
  }

private:
  engine& engine_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t rounds_ = 0;
};

} // namespace

void engine::set_executor(replicated_executor* executor) noexcept {
  state_->executor.store(executor, std::memory_order_release);
}

void engine::tell_listeners() {
  std::lock_guard hold{state_->listeners_mutex};
  for (auto* listener : state_->listeners) listener->on_answers();
}

op_code engine::wait_for_tickets(std::span<const op_reply> replies,
                                 std::chrono::steady_clock::time_point deadline) {
  wake woken{*this};
  auto result = op_code::ok;
  for (const auto& reply : replies) {
    if (reply.durable_at == 0) continue;
    for (;;) {
      const auto rounds = woken.rounds(); // what is told from here on is not missed
      const auto now = durable(reply.shard, reply.durable_at);
      if (now == durable_state::durable) break;
      if (now == durable_state::failed) return op_code::outcome_unknown;
      if (woken.wait_beyond(rounds, deadline)) continue;
      result = op_code::timed_out;
      break;
    }
  }
  return result;
}

} // namespace warp::storage
