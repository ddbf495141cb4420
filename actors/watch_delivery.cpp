#include "actors/watch_delivery.hpp"

#include "storage/engine.hpp"

#include <pthread.h>

namespace warp {

universe_watch::universe_watch(std::shared_ptr<actors::delivered_watch> w,
                               std::shared_ptr<actors::watch_delivery> by)
    : watch_(std::move(w)), by_(std::move(by)) {}

universe_watch::~universe_watch() {
  cancel();
}

watch_token universe_watch::token() const {
  std::lock_guard guard{watch_->token_mutex};
  return watch_->token;
}

void universe_watch::cancel() {
  watch_->over = true;
  if (by_->on_its_thread()) return watch_->source->cancel(); // no other call can be under way
  std::lock_guard wait{watch_->busy};
  watch_->source->cancel();
}

namespace actors {

namespace {

/// Events of one watch that are told in a row while others wait.
constexpr std::size_t events_in_a_row = 256, bytes_in_a_row = 1u << 20;

} // namespace

watch_delivery::~watch_delivery() {
  stop();
}

op_result<std::unique_ptr<universe_watch>>
watch_delivery::add(storage::engine& engine, watch_options options, watch_callback on_event) {
  if (!on_event) return op_status{op_code::invalid_argument, "a watch needs somebody to tell"};
  auto w = std::make_shared<delivered_watch>();
  w->on_event = std::move(on_event);
  {
    std::lock_guard not_yet{w->busy}; // its first event may come before it is all there
    auto made = engine.watch_changes(
        std::move(options), [ready = ready_, weak = std::weak_ptr{w}] { ready->push(weak); });
    if (!made) return made.status();
    w->source = std::move(*made);
    w->token = w->source->start();
  }
  std::lock_guard guard{mutex_};
  if (!thread_.joinable()) thread_ = std::thread{[this] { work(); }};
  return std::make_unique<universe_watch>(std::move(w), shared_from_this());
}

void watch_delivery::ready_list::push(std::weak_ptr<delivered_watch> w) {
  std::lock_guard guard{mutex};
  watches.push_back(std::move(w));
  changed.notify_one();
}

void watch_delivery::stop() {
  {
    std::lock_guard guard{ready_->mutex};
    ready_->stopping = true;
    ready_->changed.notify_one();
  }
  std::thread thread;
  {
    std::lock_guard guard{mutex_};
    thread.swap(thread_);
  }
  if (!thread.joinable()) return;
  // The last watch of a universe that is gone may have been ended by a callback.
  if (on_its_thread())
    thread.detach();
  else
    thread.join();
}

void watch_delivery::work() {
  ::pthread_setname_np(::pthread_self(), "warp-watch");
  id_ = std::this_thread::get_id();
  const auto ready = ready_;
  for (;;) {
    std::shared_ptr<delivered_watch> w;
    {
      std::unique_lock lock{ready->mutex};
      ready->changed.wait(lock, [&] { return ready->stopping || !ready->watches.empty(); });
      if (ready->watches.empty()) return;
      w = ready->watches.front().lock();
      ready->watches.pop_front();
    }
    if (w && tell(*w)) ready->push(w);
  }
}

/// True: there is more.
bool watch_delivery::tell(delivered_watch& w) {
  std::lock_guard busy{w.busy};
  if (w.over) return false;
  std::vector<storage::watch_change_ptr> changes;
  const bool more = w.source->take(changes, events_in_a_row, bytes_in_a_row);
  for (const auto& change : changes) {
    if (w.over) return false;
    const auto event = change->view();
    w.on_event(event);
    std::lock_guard guard{w.token_mutex};
    w.token.advance(event);
  }
  if (more || w.over) return !changes.empty();
  w.over = true;
  const auto why = w.source->end();
  watch_event event;
  event.kind = watch_kind::ended;
  event.code = why.code();
  event.message = why.message();
  w.on_event(event);
  return false;
}

} // namespace actors

} // namespace warp
