// What threads ask for, in samples, for whoever learns from it.

#include "storage/engine_state.hpp"

namespace warp::storage {

void engine::state::show_single(const operation& op, const op_reply& reply,
                                std::uint64_t hash) noexcept {
  auto* const to = observed->mine();
  if (!to || to->told) return;
  if (!to->may_pass())
    look_at_single(op, reply, hash);
  else if (to->watches(hash)) [[unlikely]]
    to->take_alone(op, reply, hash, thread_observer::clock_ms());
}

void engine::state::look_at_single(const operation& op, const op_reply& reply,
                                   std::uint64_t hash) noexcept {
  auto* const to = observed->mine();
  if (!to || to->told) return; // told by who gathered them
  if (to->single(op, reply, hash, thread_observer::clock_ms())) read_counters::put_away();
}

engine::state::batch_view engine::state::show_batch(std::size_t operations) noexcept {
  if (!observed->is_on()) [[likely]]
    return {};
  auto* const to = observed->mine();
  if (!to || to->told) return {};
  return {to, to->begin_batch(operations) ? ~std::uint64_t{0} : to->watched_below()};
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
