#include "storage/watch.hpp"

#include "storage/no_memory.hpp"
#include "storage/watch_hub.hpp"
#include "storage/watcher.hpp"

namespace warp::storage {

// -- what whoever takes sees
// --------------------------------------------------------------------------------------

watch::watch(std::shared_ptr<watcher> w, std::weak_ptr<watch_hub> hub, watch_token start)
    : watcher_(std::move(w)), hub_(std::move(hub)), start_(std::move(start)) {}

watch::~watch() {
  cancel();
}

bool watch::take(std::vector<watch_change_ptr>& out, std::size_t events_max,
                 std::size_t bytes_max) {
  bool room = false;
  const bool more = watcher_->take(out, events_max, bytes_max, room);
  if (room)
    if (const auto hub = hub_.lock()) hub->interrupt();
  return more;
}

op_status watch::end() const {
  return watcher_->end();
}

void watch::cancel() {
  watcher_->finish(say(op_code::shutting_down, "the watch was cancelled"), true);
  if (const auto hub = hub_.lock()) hub->remove(watcher_);
}

// -- the queue
// --------------------------------------------------------------------------------------------------

watcher::~watcher() {
  memory_->held.fetch_sub(queued_bytes_ + staged_bytes, std::memory_order_relaxed);
}

void watcher::add_staged(const watch_change& change) noexcept {
  ++staged_events;
  staged_bytes += change.bytes();
  memory_->held.fetch_add(change.bytes(), std::memory_order_relaxed);
}

void watcher::remove_staged(const watch_change& change) noexcept {
  --staged_events;
  staged_bytes -= change.bytes();
  memory_->held.fetch_sub(change.bytes(), std::memory_order_relaxed);
}

bool watcher::may_stage(const watch_change& change) const noexcept {
  return staged_events == 0 || (staged_events < limits.events && !memory_->full() &&
                                staged_bytes + change.bytes() <= limits.bytes);
}

bool watcher::has_room() {
  std::lock_guard guard{mutex_};
  if (over_ || queue_.empty()) return true;
  if (queued_bytes_ < limits.bytes && queue_.size() < limits.events && !memory_->full())
    return true;
  wants_room_ = true;
  return false;
}

void watcher::push(watch_change_ptr change) {
  std::lock_guard guard{mutex_};
  if (over_) return;
  queued_bytes_ += change->bytes();
  memory_->held.fetch_add(change->bytes(), std::memory_order_relaxed);
  queue_.push_back(std::move(change));
}

void watcher::announce() {
  std::lock_guard guard{mutex_};
  if (!armed_ || (queue_.empty() && !over_)) return;
  if (on_ready_) on_ready_();
  armed_ = false;
}

void watcher::finish(op_status why, bool drop) {
  std::lock_guard guard{mutex_};
  if (!over_) end_ = std::move(why);
  over_ = true;
  if (!drop) return;
  queue_.clear();
  memory_->held.fetch_sub(std::exchange(queued_bytes_, 0), std::memory_order_relaxed);
  on_ready_ = nullptr;
}

bool watcher::finished() const {
  std::lock_guard guard{mutex_};
  return over_;
}

op_status watcher::end() const {
  std::lock_guard guard{mutex_};
  return end_;
}

bool watcher::take(std::vector<watch_change_ptr>& out, std::size_t events_max,
                   std::size_t bytes_max, bool& room) {
  std::lock_guard guard{mutex_};
  std::size_t events = 0, bytes = 0;
  while (!queue_.empty() && events < events_max) {
    const auto size = queue_.front()->bytes();
    if (events != 0 && bytes + size > bytes_max) break;
    ++events;
    bytes += size;
    out.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  queued_bytes_ -= bytes;
  memory_->held.fetch_sub(bytes, std::memory_order_relaxed);
  // Half empty: a hub that is woken for every event would do little else.
  if (wants_room_ && (queue_.empty() ||
                      (queued_bytes_ <= limits.bytes / 2 && queue_.size() <= limits.events / 2))) {
    wants_room_ = false;
    room = true;
  }
  if (!queue_.empty()) return true;
  armed_ = true;
  return !over_;
}

} // namespace warp::storage
