#include "cluster/rpc_watch.hpp"

#include "cluster/rpc_context.hpp"
#include "cluster/watch_conversion.hpp"
#include "messages/conversion.hpp"

#include <kj/debug.h>

namespace warp::cluster {

namespace {

/// Messages of one watch, and bytes of one connection, that may be without an answer.
constexpr std::size_t in_flight_max = 4, unanswered_bytes_max = 4u << 20;
/// One message.
constexpr std::size_t message_events_max = 512, message_bytes_soft_max = 256 * 1024;

} // namespace

// -- the watches of a loop ------------------------------------------------------------------------

rpc_watches::rpc_watches(kj::UnixEventPort& port)
    : signal_(port), inbox_(std::make_shared<inbox>()), listening_(nullptr) {
  inbox_->signal = &signal_;
  listening_ = listen().eagerlyEvaluate(
      [](kj::Exception&& e) { KJ_LOG(ERROR, "waiting for changes to tell failed", e); });
}

rpc_watches::~rpc_watches() noexcept {
  std::lock_guard guard{inbox_->mutex};
  inbox_->signal = nullptr;
}

std::function<void()> rpc_watches::hook(std::uint64_t id) const {
  return [to = inbox_, id] {
    std::lock_guard guard{to->mutex};
    to->ready.push_back(id);
    if (to->signal) to->signal->raise();
  };
}

kj::Promise<void> rpc_watches::listen() {
  return signal_.wait().then([this] {
    std::vector<std::uint64_t> ready;
    {
      std::lock_guard guard{inbox_->mutex};
      ready.swap(inbox_->ready);
    }
    for (const auto id : ready) wake(id);
    return listen();
  });
}

void rpc_watches::wake(std::uint64_t id) {
  if (const auto found = watches_.find(id); found != watches_.end()) found->second->send();
}

void rpc_watches::end_all(const op_status& why) {
  for (auto& [id, w] : watches_) w->end(why);
}

// -- one watch
// --------------------------------------------------------------------------------------

rpc_watch::rpc_watch(rpc_context& context, std::shared_ptr<connection_watches> of, std::uint64_t id,
                     wire::Watcher::Client watcher, std::unique_ptr<storage::watch> source)
    : context_(context), of_(std::move(of)), id_(id), watcher_(kj::mv(watcher)),
      source_(std::move(source)), tasks_(static_cast<kj::TaskSet::ErrorHandler&>(*this)) {
  ++of_->count;
  context_.watches.add(id_, *this);
}

rpc_watch::~rpc_watch() noexcept(false) {
  context_.watches.remove(id_);
  --of_->count;
  of_->unanswered_bytes -= in_flight_bytes_;
  // Others may have room now; not from within a destructor.
  for (const auto id : std::exchange(of_->waiting, {})) context_.watches.hook(id)();
}

void rpc_watch::send() {
  while (!over_ && in_flight_ < in_flight_max) {
    if (of_->unanswered_bytes >= unanswered_bytes_max) {
      return of_->wait(id_);
    }
    changes_.clear();
    const bool more = source_->take(changes_, message_events_max, message_bytes_soft_max);
    if (changes_.empty()) {
      if (!more) end(source_->end());
      return;
    }
    std::uint64_t words = 16;
    for (const auto& change : changes_) words += words_of(change->view());
    auto request = watcher_.eventsRequest(capnp::MessageSize{words, 0});
    auto events = request.initEvents(static_cast<unsigned>(changes_.size()));
    for (unsigned i = 0; i < events.size(); ++i) write_event(changes_[i]->view(), events[i]);
    changes_.clear();
    const auto bytes = words * sizeof(capnp::word);
    ++in_flight_;
    in_flight_bytes_ += bytes;
    of_->unanswered_bytes += bytes;
    tasks_.add(request.send().then(
        [this, bytes](capnp::Response<wire::Watcher::EventsResults>&&) { answered(bytes); }));
  }
}

void rpc_watch::answered(std::size_t bytes) {
  --in_flight_;
  in_flight_bytes_ -= bytes;
  of_->unanswered_bytes -= bytes;
  // In turn: whoever has waited sends before this one goes on.
  while (!of_->waiting.empty() && of_->unanswered_bytes < unanswered_bytes_max) {
    const auto next = of_->waiting.front();
    of_->waiting.pop_front();
    context_.watches.wake(next);
  }
  send();
}

void rpc_watch::end(const op_status& why) {
  if (std::exchange(over_, true)) return;
  source_->cancel();
  auto request = watcher_.endedRequest();
  write_status(why, request.initStatus());
  tasks_.add(request.send().ignoreResult());
}

/// A client that refuses events wants no more of them.
void rpc_watch::taskFailed(kj::Exception&&) {
  over_ = true;
  source_->cancel();
}

} // namespace warp::cluster
