// What threads ask for, in samples, for whoever learns from it.

#include "storage/engine_state.hpp"

namespace warp::storage {

void engine::state::show_single(thread_observer& to, const operation& op, const op_reply& reply,
                                std::uint64_t hash) noexcept {
  if (to.told) return; // told by who gathered them
  const auto now_ms = thread_observer::clock_ms();
  if (!to.is_looked_at())
    to.take_alone(op, reply, hash, now_ms);
  else if (to.single(op, reply, hash, now_ms))
    read_counters::put_away();
}

void engine::state::look_at_single(const operation& op, const op_reply& reply,
                                   std::uint64_t hash) noexcept {
  auto* const to = observed->mine();
  if (!to || to->told) return;
  if (to->single(op, reply, hash, thread_observer::clock_ms())) read_counters::put_away();
}

engine::state::batch_view engine::state::show_batch(std::size_t operations) noexcept {
  if (!observed->is_on()) [[likely]]
    return {};
  auto* const to = observed->mine();
  if (!to || to->told) return {};
  return {to, to->begin_batch(operations) ? ~std::uint64_t{0} : to->watched_below()};
}

void engine::state::batch_view::take(std::span<const operation> operations,
                                     std::span<const op_reply> replies,
                                     std::span<const std::uint64_t> hashes) const noexcept {
  const auto now_ms = thread_observer::clock_ms();
  for (std::size_t i = 0; i < operations.size(); ++i)
    if (hashes[i] <= up_to) to->take(operations[i], replies[i], hashes[i], now_ms);
}

void engine::state::set_fast_way() noexcept {
  fast_above.store(plain_gets ? observed->watched_below() : ~std::uint64_t{0},
                   std::memory_order_relaxed);
}

thread_observer* engine::state::show_transaction(std::size_t keys) noexcept {
  if (keys < 2 || !observed->is_on()) [[likely]]
    return nullptr;
  auto* const to = observed->mine();
  return to && to->begin_transaction(keys, thread_observer::clock_ms()) ? to : nullptr;
}

void engine::observe_accesses(bool on) noexcept {
  std::lock_guard hold{state_->observing_mutex};
  state_->observed->turn(on);
  state_->set_fast_way();
}

void engine::watch_keys(std::uint32_t one_in) noexcept {
  std::lock_guard hold{state_->observing_mutex};
  state_->observed->watch_one_in(one_in);
  state_->set_fast_way();
}

bool engine::observes_accesses() const noexcept {
  return state_->observed->is_on();
}

physics::observer::drained
engine::drain_samples(const std::function<void(std::span<const physics::access_sample>)>& use) {
  return state_->observed->drain(use);
}

void engine::begin_stream(std::uint64_t connection) noexcept {
  auto& observed = *state_->observed;
  if (!observed.is_on()) [[likely]]
    return;
  auto* const to = observed.mine();
  if (to && to->begin_stream(connection, thread_observer::clock_ms())) read_counters::put_away();
}

void engine::begin_request(std::size_t operations) noexcept {
  auto& observed = *state_->observed;
  if (!observed.is_on()) [[likely]]
    return;
  auto* const to = observed.mine();
  if (to && to->begin_request(operations, thread_observer::clock_ms())) read_counters::put_away();
}

} // namespace warp::storage
