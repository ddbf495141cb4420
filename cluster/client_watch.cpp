#include "cluster/client_watch.hpp"

#include "cluster/client_calls.hpp"
#include "cluster/client_watches.hpp"
#include "cluster/watch_conversion.hpp"
#include "messages/conversion.hpp"
#include "storage/slot.hpp"

#include <future>

namespace warp {

client_watch::client_watch(std::shared_ptr<cluster::watched> w,
                           std::weak_ptr<cluster::client_watches> by)
    : watch_(std::move(w)), by_(std::move(by)) {}

client_watch::~client_watch() {
  cancel();
}

watch_token client_watch::token() const {
  std::lock_guard guard{watch_->token_mutex};
  return watch_->token;
}

void client_watch::cancel() {
  watch_->over = true;
  if (const auto by = by_.lock()) by->cancel(watch_);
}

op_result<std::unique_ptr<client_watch>> client::watch(watch_options options,
                                                       client_watch_callback on_event,
                                                       std::chrono::milliseconds give_up_after) {
  return state_->watches->add(std::move(options), std::move(on_event), give_up_after);
}

namespace cluster {

/// Whether the server has answered where a watch begins.
struct client_watches::beginning {
  beginning() : beginning(kj::newPromiseAndFulfiller<void>()) {}
  explicit beginning(kj::PromiseFulfillerPair<void> pair)
      : known(pair.promise.fork()), fulfiller(kj::mv(pair.fulfiller)) {}

  kj::ForkedPromise<void> known;
  kj::Own<kj::PromiseFulfiller<void>> fulfiller;
};

/// What a server tells of one registration. Dropped by the RPC system with the connection: that is
/// how its loss is noticed.
class client_watches::watcher_end final : public wire::Watcher::Server {
public:
  watcher_end(std::shared_ptr<client_watches> by, std::shared_ptr<watched> w,
              std::shared_ptr<beginning> began)
      : by_(std::move(by)), watch_(std::move(w)), incarnation_(++watch_->incarnation),
        began_(std::move(began)) {}
  ~watcher_end() noexcept(false) { by_->lost(watch_, incarnation_); }

  kj::Promise<void> events(EventsContext call) override {
    // Events move the position on, so it must be known.
    return began_->known.addBranch().then([this, call]() mutable -> kj::Promise<void> {
      if (watch_->incarnation != incarnation_ || watch_->over) return kj::READY_NOW;
      return by_->take(watch_, call.getParams().getEvents());
    });
  }
  kj::Promise<void> ended(EndedContext call) override {
    by_->ended(watch_, incarnation_, read_status(call.getParams().getStatus()));
    return kj::READY_NOW;
  }

private:
  const std::shared_ptr<client_watches> by_;
  const std::shared_ptr<watched> watch_;
  const std::uint64_t incarnation_;
  const std::shared_ptr<beginning> began_;
};

// -- the callers' side
// ------------------------------------------------------------------------------

op_result<std::unique_ptr<client_watch>>
client_watches::add(watch_options options, client_watch_callback on_event,
                    std::chrono::milliseconds give_up_after) {
  if (!on_event) return op_status{op_code::invalid_argument, "a watch needs somebody to tell"};
  auto w = std::make_shared<watched>();
  w->options = std::move(options);
  w->on_event = std::move(on_event);
  w->give_up_after = give_up_after;
  auto registered = std::make_shared<std::promise<op_status>>();
  auto answer = registered->get_future();
  register_at_server(w,
                     [registered](op_status status) { registered->set_value(std::move(status)); });
  if (auto status = answer.get(); !status.ok()) {
    w->over = true;
    cancel(w); // it may be registered all the same
    return status;
  }
  return std::make_unique<client_watch>(std::move(w), weak_from_this());
}

void client_watches::cancel(const std::shared_ptr<watched>& w) {
  {
    std::lock_guard guard{mutex_};
    if (core_) core_->post([w] { w->handle = nullptr; });
  }
  if (calling_.load() == std::this_thread::get_id()) return; // no other callback can be under way
  std::lock_guard wait{w->busy};
}

void client_watches::close() {
  std::unique_ptr<job_thread> callers;
  {
    std::lock_guard guard{mutex_};
    core_ = nullptr;
    callers.swap(callers_);
  }
  if (callers) callers->stop();
}

// -- on the loop
// ------------------------------------------------------------------------------------

void client_watches::register_at_server(const std::shared_ptr<watched>& w,
                                        std::function<void(op_status)> first) {
  auto call = std::make_shared<client_call>();
  call->send = [self = shared_from_this(), w](wire::Session::Client session) {
    auto request = session.watchRequest();
    auto what = w->options;
    if (!w->received.positions.empty()) { // it goes on where it was
      what.start = watch_start::after;
      what.token = w->received;
    }
    write_watch(what, request.initWhat());
    auto began = std::make_shared<beginning>();
    request.setWatcher(kj::heap<watcher_end>(self, w, began));
    return request.send().then([w, began, incarnation = w->incarnation](
                                   capnp::Response<wire::Session::WatchResults>&& answer) {
      if (answer.hasStatus()) return read_status(answer.getStatus());
      if (w->incarnation != incarnation) return op_status{op_code::unavailable};
      if (w->received.positions.empty()) {
        if (auto status = read_position(answer.getStart(), w->received); !status.ok())
          return status;
        std::lock_guard guard{w->token_mutex};
        w->token = w->received;
      }
      if (!w->over) w->handle = answer.getWatch();
      began->fulfiller->fulfill();
      return op_status{};
    });
  };
  call->slot = storage::slot_of(w->options.key);
  const auto patience = w->give_up_after;
  std::lock_guard guard{mutex_};
  if (!core_) {
    if (first) first({op_code::unavailable, "the client was closed"});
    return;
  }
  call->deadline =
      client_clock::now() + (first || patience.count() == 0 ? core_->options().deadline : patience);
  call->done = [self = shared_from_this(), w, first = std::move(first)](op_status status) {
    if (first) return first(std::move(status));
    if (status.ok() || w->over) return;
    // A server that refuses has the last word.
    const bool no_server = cured_by_retry(status.code()) || status == op_code::timed_out;
    if (!no_server) return self->give_up(w, std::move(status));
    if (w->give_up_after.count() == 0) return self->register_at_server(w, {});
    self->give_up(w, {op_code::unavailable, "no server has taken the watch for " +
                                                std::to_string(w->give_up_after.count()) +
                                                " ms: " + status.message()});
  };
  core_->submit(std::move(call));
}

void client_watches::lost(const std::shared_ptr<watched>& w, std::uint64_t incarnation) {
  if (w->incarnation != incarnation) return;
  const bool registered = w->handle != nullptr;
  w->handle = nullptr;
  // Where it was being registered, that call fails and is tried again by itself.
  if (registered && !w->over) register_at_server(w, {});
}

void client_watches::ended(const std::shared_ptr<watched>& w, std::uint64_t incarnation,
                           op_status why) {
  if (w->incarnation != incarnation || w->over) return;
  // A server that stops: another one, or the next one, goes on.
  if (cured_by_retry(why.code())) return lost(w, incarnation);
  w->handle = nullptr;
  ++w->incarnation;
  give_up(w, std::move(why));
}

/// Hands the events on; resolves when they were dealt with.
kj::Promise<void> client_watches::take(const std::shared_ptr<watched>& w,
                                       capnp::List<wire::WatchEvent>::Reader events) {
  auto b = std::make_shared<batch>();
  std::size_t bytes = 0;
  for (const auto event : events) bytes += event.getKey().size() + event.getValue().size();
  b->bytes.reserve(bytes); // so that views into it stay
  const auto keep = [&](std::string_view text) {
    const auto at = b->bytes.size();
    b->bytes.append(text);
    return std::string_view{b->bytes}.substr(at);
  };
  for (const auto from : events) {
    watch_event event;
    if (!read_event(from, event)) continue;
    event.key = keep(event.key);
    event.value = keep(event.value);
    w->received.advance(event);
    b->events.push_back(event);
  }
  std::lock_guard guard{mutex_};
  if (!core_) return kj::READY_NOW;
  return callers()
      .run([self = shared_from_this(), w, b] {
        for (const auto& event : b->events) self->tell(*w, event);
        return true;
      })
      .ignoreResult();
}

void client_watches::give_up(const std::shared_ptr<watched>& w, op_status why) {
  std::lock_guard guard{mutex_};
  if (!core_ || w->over) return;
  core_->keep(callers()
                  .run([self = shared_from_this(), w, why = std::move(why)] {
                    watch_event event;
                    event.kind = watch_kind::ended;
                    event.code = why.code();
                    event.message = why.message();
                    self->tell(*w, event);
                    w->over = true;
                    return true;
                  })
                  .ignoreResult());
}

/// With the mutex held.
job_thread& client_watches::callers() {
  if (!callers_) callers_ = std::make_unique<job_thread>("warp-watch");
  return *callers_;
}

// -- on the thread that calls back ----------------------------------------------------------------

void client_watches::tell(watched& w, const watch_event& event) {
  calling_ = std::this_thread::get_id();
  std::lock_guard busy{w.busy};
  if (w.over) return;
  w.on_event(event);
  std::lock_guard guard{w.token_mutex};
  w.token.advance(event);
}

} // namespace cluster

} // namespace warp
