#include "physics/event_horizon.hpp"

#include <cassert>

namespace warp::physics {

namespace {

constexpr std::uint32_t too_young = 0, no_hit = 1; // values of a resident's two bits

} // namespace

event_horizon::event_horizon(std::uint64_t capacity, horizon_settings settings)
    : settings_(settings), capacity_(capacity) {
  set_limits();
}

void event_horizon::set_limits() noexcept {
  assert(settings_.small_share > 0 && settings_.small_share < 1 && settings_.ghost_share >= 0);
  assert(settings_.window_share >= 0 && settings_.window_share < 1);
  const auto limits = limits_of(settings_, capacity_);
  small_limit_ = limits.small;
  main_limit_ = limits.main;
  window_limit_ = limits.window;
  ghosts_a_resident_ = limits.ghosts_a_resident;
}

// -- queues, all of it part of an admission: inline, or position-independent code would call it ---

inline void event_horizon::push(queue& q, resident_id id) noexcept {
  auto& s = slots_[id];
  s.next_and_dead = end << 1;
  q.bytes += s.bytes();
  if (q.oldest == end) {
    q.oldest = id;
  } else {
    auto& last = slots_[q.youngest].next_and_dead;
    last = id << 1 | (last & 1);
  }
  q.youngest = id;
}

inline resident_id event_horizon::pop(queue& q) noexcept {
  const auto id = q.oldest;
  const auto& s = slots_[id];
  q.bytes -= s.bytes();
  q.oldest = s.next();
  return id;
}

inline resident_id event_horizon::take_slot(std::uint64_t owner, std::uint32_t bytes) {
  auto id = free_;
  if (id != end) {
    free_ = slots_[id].next();
  } else {
    id = static_cast<resident_id>(slots_.size());
    assert(id < end);
    slots_.emplace_back();
  }
  slots_[id] = {owner, end << 1, bytes << 2 | too_young};
  return id;
}

inline void event_horizon::free(resident_id id) noexcept {
  slots_[id].next_and_dead = free_ << 1;
  free_ = id;
}

inline void event_horizon::forget_removed(resident_id id) noexcept {
  --removed_;
  free(id);
}

inline void event_horizon::depart(resident_id id, ghost_stamp stamp) {
  gone_.push_back({id, slots_[id].owner, stamp});
  used_ -= slots_[id].bytes();
  --residents_;
  free(id);
}

// Those after which fewer bytes have come than the window's share of the small queue are too young.
inline void event_horizon::age_window() noexcept {
  while (window_ != end) {
    auto& oldest = slots_[window_];
    const auto after_it = window_bytes_ - oldest.bytes();
    if (after_it < window_limit_) return;
    if (oldest.hits() == too_young) oldest.set_hits(no_hit);
    window_bytes_ = after_it;
    window_ = oldest.next();
  }
}

// Until one is demoted; those with hits stay.
inline void event_horizon::demote_from_small() {
  while (small_.oldest != end) {
    const auto id = pop(small_);
    auto& s = slots_[id];
    if (id == window_) { // the queue has become shorter than its window
      window_bytes_ -= s.bytes();
      window_ = s.next();
    }
    if (s.dead()) {
      forget_removed(id);
      continue;
    }
    bool stays = s.hits() > settings_.hits_to_stay;
    if (!stays && main_.bytes + s.bytes() <= main_limit_ && settings_.fill_every != 0 &&
        ++since_fill_ >= settings_.fill_every) {
      since_fill_ = 0;
      stays = true;
    }
    if (!stays) {
      demotions_ = demotions_ == stamp_mask ? 1 : demotions_ + 1;
      return depart(id, demotions_);
    }
    s.set_hits(no_hit);
    push(main_, id);
  }
}

// Until one is demoted; a hit is worth one more round.
inline void event_horizon::demote_from_main() {
  while (main_.oldest != end) {
    const auto id = pop(main_);
    auto& s = slots_[id];
    if (s.dead()) {
      forget_removed(id);
      continue;
    }
    if (s.hits() == no_hit) return depart(id, no_stamp);
    --s.bytes_and_hits;
    push(main_, id);
  }
}

[[gnu::always_inline]] inline void event_horizon::make_room(std::uint64_t bytes) {
  while (used_ + bytes > capacity_) {
    filled_ = true;
    if (main_.bytes > main_limit_ || small_.oldest == end)
      demote_from_main();
    else
      demote_from_small();
  }
}

// -- calls ----------------------------------------------------------------------------------------

resident_id event_horizon::admit(std::uint64_t owner, std::uint32_t bytes, bool ghost) {
  assert(bytes <= bytes_max);
  gone_.clear();
  if (bytes > capacity_) return none;
  make_room(bytes);
  const auto id = take_slot(owner, bytes);
  used_ += bytes;
  ++residents_;
  if (ghost) {
    slots_[id].set_hits(no_hit);
    push(main_, id);
  } else {
    push(small_, id); // too young
    if (window_ == end) window_ = id;
    window_bytes_ += bytes;
    age_window();
  }
  return id;
}

void event_horizon::remove(resident_id id) {
  assert(!slots_[id].dead());
  used_ -= slots_[id].bytes();
  --residents_;
  slots_[id].next_and_dead |= 1;
  // A queue in one direction can't give up its middle: removed ones leave when their turn comes, or
  // all at once before they are the most.
  if (++removed_ > residents_ + 64) sweep();
}

void event_horizon::apply(const horizon_settings& settings) {
  settings_ = settings;
  set_limits();
}

void event_horizon::set_capacity(std::uint64_t capacity) {
  gone_.clear();
  capacity_ = capacity;
  set_limits();
  make_room(0);
}

void event_horizon::sweep() {
  sweep(small_);
  sweep(main_);
  // What is too young stands at the end of the small queue.
  window_ = end;
  window_bytes_ = 0;
  for (auto id = small_.oldest; id != end; id = slots_[id].next()) {
    if (window_ == end && slots_[id].hits() != too_young) continue;
    if (window_ == end) window_ = id;
    window_bytes_ += slots_[id].bytes();
  }
}

void event_horizon::sweep(queue& q) {
  auto id = q.oldest;
  q = {};
  while (id != end) {
    const auto following = slots_[id].next();
    if (slots_[id].dead())
      forget_removed(id);
    else
      push(q, id);
    id = following;
  }
}

} // namespace warp::physics
