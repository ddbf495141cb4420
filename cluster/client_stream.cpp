#include "cluster/client_stream.hpp"

#include "messages/conversion.hpp"

#include <algorithm>
#include <utility>

namespace warp::cluster {

namespace {

/// Of one message: large enough that its own cost vanishes, small enough for the server's caches.
constexpr std::size_t chunk_bytes = 64 * 1024, chunk_entries_max = 1'024;
constexpr std::size_t word_bytes = sizeof(capnp::word);
/// Nothing is under way: there is nothing to be late with.
constexpr auto never = client_clock::time_point::max();

} // namespace

// -- one connection's share ----------------------------------------------------------------------

class client_stream::attempt final : private kj::TaskSet::ErrorHandler {
public:
  attempt(std::shared_ptr<client_stream> stream, wire::Session::Client session)
      : stream_(std::move(stream)), ingest_(nullptr), tasks_(*this) {
    const auto done = stream_->count();
    base_ = next_ = done.stored + done.failed;
    base_stored_ = done.stored;
    base_failed_ = done.failed;
    auto request = session.ingestRequest();
    request.setDurability(write_durability(stream_->options_.level));
    auto opened = request.send();
    ingest_ = opened.getIngest(); // the first puts leave with the request
    tasks_.add(opened.then([this](capnp::Response<wire::Session::IngestResults>&& answer) {
      if (answer.hasStatus())
        if (auto status = read_status(answer.getStatus()); !status.ok()) resolve(status);
    }));
    stream_->attempt_ = this;
  }
  ~attempt() noexcept(false) {
    if (stream_->attempt_ == this) stream_->attempt_ = nullptr;
  }

  /// How it ended: what the client's core makes of it decides whether there is a next one.
  kj::Promise<op_status> result() { return kj::mv(result_.promise); }
  void resolve(op_status status) { result_.fulfiller->fulfill(std::move(status)); }

  /// There may be something to send, or somebody waits.
  void pump() {
    if (sending_) return;
    const auto chunk = stream_->chunk_at(next_);
    if (!chunk) return maybe_confirm();
    sending_ = true;
    const auto skip = next_ - chunk->first;
    auto request = ingest_.putRequest(
        capnp::MessageSize{16 + chunk->bytes.size() / word_bytes +
                               chunk->entries.size() * (capnp::sizeInWords<wire::Entry>() + 2),
                           0});
    fill(request.initEntries(static_cast<unsigned>(chunk->entries.size() - skip)), *chunk, skip);
    next_ = chunk->first + chunk->entries.size();
    unconfirmed_bytes_ += chunk->bytes.size();
    // Resolves when the window has room for the next one.
    tasks_.add(request.send().then([this] {
      sending_ = false;
      // To send again what was sent before is no progress.
      if (next_ > std::exchange(stream_->furthest_, std::max(next_, stream_->furthest_)))
        stream_->made_progress();
      pump();
    }));
    maybe_confirm();
  }

private:
  static void fill(capnp::List<wire::Entry>::Builder to, const chunk& from, std::uint64_t skip) {
    const char* at = from.bytes.data();
    for (std::size_t i = 0; i < from.entries.size(); ++i) {
      const auto& e = from.entries[i];
      if (i >= skip) {
        auto entry = to[static_cast<unsigned>(i - skip)];
        entry.setKey(as_data({at, e.key_size}));
        if (e.value_size != 0) entry.setValue(as_data({at + e.key_size, e.value_size}));
        if (e.expires_at_ms != 0) entry.setExpiresAtMs(e.expires_at_ms);
        if (e.type != value_type::bytes) entry.setType(write_type(e.type));
        if (e.ttl_ms != 0) entry.setTimeToLiveMs(e.ttl_ms);
      }
      at += e.key_size + e.value_size;
    }
  }

  void maybe_confirm() {
    if (confirming_ || unconfirmed_bytes_ == 0) return;
    if (unconfirmed_bytes_ < stream_->options_.confirm_bytes &&
        !(stream_->flushing() && !stream_->chunk_at(next_)))
      return;
    confirming_ = true;
    unconfirmed_bytes_ = 0;
    tasks_.add(ingest_.finishRequest().send().then(
        [this](capnp::Response<wire::Ingest::FinishResults>&& answer) {
          confirming_ = false;
          take(answer);
        }));
  }

  void take(wire::Ingest::FinishResults::Reader answer) {
    const auto status = answer.hasStatus() ? read_status(answer.getStatus()) : op_status{};
    if (status == op_code::outcome_unknown) return resolve(status);
    std::vector<put_failure> failures;
    for (const auto f : answer.getFailures())
      if (f.getIndex() >= told_) {
        told_ = f.getIndex() + 1;
        failures.push_back(
            {base_ + f.getIndex(), std::string{as_view(f.getKey())}, read_status(f.getStatus())});
      }
    stream_->confirm(base_stored_ + answer.getStored(), base_failed_ + answer.getFailed(),
                     std::move(failures));
    // Stopped: the rest goes to the next attempt. Other failures concern their records only.
    if (cured_by_retry(status.code())) return resolve(status);
    pump();
  }

  void taskFailed(kj::Exception&& e) override { result_.fulfiller->reject(kj::mv(e)); }

  std::shared_ptr<client_stream> stream_;
  wire::Ingest::Client ingest_;
  kj::PromiseFulfillerPair<op_status> result_ = kj::newPromiseAndFulfiller<op_status>();
  std::uint64_t base_ = 0, base_stored_ = 0, base_failed_ = 0; // confirmed by those before it
  std::uint64_t next_ = 0;            // index of the first record that was not sent over it
  std::uint64_t told_ = 0;            // failures of its records below it have been passed on
  std::size_t unconfirmed_bytes_ = 0; // sent since the last finish()
  bool sending_ = false, confirming_ = false;
  kj::TaskSet tasks_; // last: its tasks use all of the above
};

// -- the caller's side ---------------------------------------------------------------------------

client_stream::client_stream(client_core& core, const put_stream_options& options,
                             const server_info& server)
    : core_(core), options_(options), value_bytes_max_(server.value_bytes_max) {}

void client_stream::begin() {
  call_ = std::make_shared<client_call>();
  call_->deadline = never;
  call_->send = [self = shared_from_this()](wire::Session::Client session) {
    return self->run(std::move(session));
  };
  call_->done = [self = shared_from_this()](op_status status) { self->ended(std::move(status)); };
  core_.submit(call_);
}

void client_stream::end() {
  core_.post([self = shared_from_this()] {
    if (self->attempt_)
      self->attempt_->resolve({});
    else if (self->call_)
      self->call_->deadline = client_clock::time_point::min(); // it waits for a connection
  });
}

op_status client_stream::put(std::string_view key, std::string_view value,
                             std::uint64_t expires_at_ms, std::uint64_t ttl_ms, value_type type) {
  if (auto refused = check_put(key, value, value_bytes_max_, expires_at_ms, ttl_ms); !refused.ok())
    return refused;
  const auto size = key.size() + value.size();
  if (!filling_.entries.empty() &&
      (filling_.bytes.size() + size > chunk_bytes || filling_.entries.size() == chunk_entries_max))
    close_chunk();
  if (filling_.entries.empty()) {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [&] { return ended_ || bytes_ == 0 || bytes_ < options_.window_bytes; });
    if (ended_) return status_;
    filling_.first = next_;
  }
  filling_.entries.push_back({key.size(), value.size(), expires_at_ms, ttl_ms, type});
  filling_.bytes.append(key).append(value);
  ++next_;
  return {};
}

op_status client_stream::flush() {
  if (!filling_.entries.empty()) close_chunk();
  std::unique_lock lock{mutex_};
  flush_to_ = next_;
  lock.unlock();
  wake_loop();
  lock.lock();
  changed_.wait(lock, [&] { return ended_ || stored_ + failed_ >= next_; });
  return status_;
}

void client_stream::close_chunk() {
  auto full = std::make_shared<chunk>(std::exchange(filling_, {}));
  {
    std::lock_guard lock{mutex_};
    bytes_ += full->bytes.size();
    chunks_.push_back(std::move(full));
  }
  wake_loop();
}

void client_stream::wake_loop() {
  {
    std::lock_guard lock{mutex_};
    if (woken_) return; // the loop is on its way
    woken_ = true;
  }
  core_.post([self = shared_from_this()] {
    {
      std::lock_guard lock{self->mutex_};
      self->woken_ = false;
    }
    if (!self->call_) return;                                  // it has ended
    if (self->call_->deadline == never) self->made_progress(); // from now on it can be late
    if (self->attempt_) self->attempt_->pump();
  });
}

put_stream::counters client_stream::count() const {
  std::lock_guard lock{mutex_};
  return {stored_, failed_};
}

std::vector<put_failure> client_stream::take_failures() {
  std::lock_guard lock{mutex_};
  return std::exchange(failures_, {});
}

op_status client_stream::status() const {
  std::lock_guard lock{mutex_};
  return status_;
}

// -- the loop's side -----------------------------------------------------------------------------

kj::Promise<op_status> client_stream::run(wire::Session::Client session) {
  auto a = kj::heap<attempt>(shared_from_this(), std::move(session));
  auto result = a->result();
  a->pump();
  return result.attach(kj::mv(a));
}

void client_stream::ended(op_status status) {
  {
    std::lock_guard lock{mutex_};
    ended_ = true;
    status_ =
        status.ok() ? op_status{op_code::unavailable, "the stream was closed"} : std::move(status);
    chunks_.clear();
    bytes_ = 0;
  }
  changed_.notify_all();
  if (attempt_) attempt_->resolve({}); // nobody looks at it any more
  call_->send = nullptr;               // it holds this stream, as the stream holds it
  call_.reset();
}

void client_stream::made_progress() {
  if (!call_) return;
  std::lock_guard lock{mutex_};
  call_->deadline = chunks_.empty() ? never : client_clock::now() + core_.options().deadline;
}

void client_stream::confirm(std::uint64_t stored, std::uint64_t failed,
                            std::vector<put_failure> failures) {
  bool progress = false;
  {
    std::lock_guard lock{mutex_};
    progress = stored + failed > stored_ + failed_;
    stored_ = stored;
    failed_ = failed;
    std::ranges::move(failures, std::back_inserter(failures_));
    while (!chunks_.empty() &&
           chunks_.front()->first + chunks_.front()->entries.size() <= stored + failed) {
      bytes_ -= chunks_.front()->bytes.size();
      chunks_.pop_front();
    }
  }
  changed_.notify_all();
  if (progress) made_progress();
}

std::shared_ptr<const client_stream::chunk> client_stream::chunk_at(std::uint64_t index) const {
  std::lock_guard lock{mutex_};
  const auto at = std::ranges::upper_bound(chunks_, index, {}, [](auto& c) { return c->first; });
  if (at == chunks_.begin()) return nullptr;
  const auto& c = *std::prev(at);
  return index < c->first + c->entries.size() ? c : nullptr;
}

bool client_stream::flushing() const {
  std::lock_guard lock{mutex_};
  return flush_to_ > stored_ + failed_;
}

} // namespace warp::cluster

// -- the public face -----------------------------------------------------------------------------

namespace warp {

put_stream::put_stream(std::shared_ptr<cluster::put_sink> stream) : stream_(std::move(stream)) {}

put_stream::~put_stream() {
  stream_->end();
}

op_status put_stream::put(std::string_view key, std::string_view value, std::uint64_t expires_at_ms,
                          std::chrono::milliseconds time_to_live, value_type type) {
  return stream_->put(key, value, expires_at_ms,
                      static_cast<std::uint64_t>(std::max<std::int64_t>(0, time_to_live.count())),
                      type);
}

op_status put_stream::flush() {
  return stream_->flush();
}

put_stream::counters put_stream::count() const {
  return stream_->count();
}

std::vector<put_failure> put_stream::take_failures() {
  return stream_->take_failures();
}

op_status put_stream::status() const {
  return stream_->status();
}

} // namespace warp
