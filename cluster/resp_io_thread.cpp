// The event loop: sockets, connections, time.

#include "cluster/resp_io_thread.hpp"

#include "cluster/descriptors.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <bit>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fmt/format.h>
#include <limits>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <random>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace warp::cluster {

namespace {

constexpr std::size_t read_bytes = 64 * 1024;
constexpr std::size_t turn_events = 128;
constexpr std::size_t spares_bytes_max = 16 * 1024 * 1024; // a turn's connections all have buffers
constexpr std::size_t spare_bytes_max = 256 * 1024;
constexpr auto tick_interval = std::chrono::milliseconds{100};
constexpr auto complaints_apart = std::chrono::seconds{10};
constexpr auto pause_tick = std::chrono::milliseconds{5};

std::string random_id() {
  std::random_device random;
  std::string id;
  for (int i = 0; i < 5; ++i) id += fmt::format("{:08x}", random());
  return id;
}

std::string text_of(const sockaddr_storage& storage) {
  char host[INET6_ADDRSTRLEN] = "";
  if (storage.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof host);
    return fmt::format("[{}]:{}", host, ntohs(v6.sin6_port));
  }
  const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
  ::inet_ntop(AF_INET, &v4.sin_addr, host, sizeof host);
  return fmt::format("{}:{}", host, ntohs(v4.sin_port));
}

template <class Get>
std::string address_by(Get get, int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (get(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return "?:0";
  return text_of(storage);
}

int checked(int fd, const char* what) {
  if (fd < 0) throw std::system_error{errno, std::generic_category(), what};
  return fd;
}

std::uint64_t bulk_max_of(const storage::engine& engine) {
  return engine.options().value_bytes_max;
}

} // namespace

resp_shared::resp_shared(resp_server_options o, storage::engine& e, std::uint16_t on_port)
    : options(std::move(o)), engine(e), port(on_port),
      time(e.options().time ? e.options().time : std::make_shared<storage::system_clock>()),
      started_at_ms(static_cast<std::int64_t>(time->now_ms())), run_id(random_id()),
      settings(e.options().max_memory_bytes, bulk_max_of(e), options.connections_max, on_port,
               !e.options().folder.empty(),
               (options.level == durability::unspecified ? e.options().default_level
                                                         : options.level) >= durability::sync),
      last_save_s(started_at_ms / 1'000), default_level(e.options().default_level) {}

resp_io_thread::resp_io_thread(resp_shared& shared, std::size_t number)
    : shared_(shared), number_(static_cast<std::uint32_t>(number)),
      command_counts_(std::make_unique<command_count[]>(all_commands().size())),
      view_(shared.engine, shared.options.cluster) {
  shares_.reserve(batch_size);
  unsynced_.resize(shared.engine.shard_count() / 64 + 1);
  epoll_ = checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  event_ = checked(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd");
  epoll_event wanted{.events = EPOLLIN, .data = {.ptr = &event_}};
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, event_, &wanted);
}

resp_io_thread::~resp_io_thread() {
  join();
  if (event_ >= 0) ::close(event_);
  if (epoll_ >= 0) ::close(epoll_);
}

void resp_io_thread::start(std::optional<listen_socket> listener) {
  listener_ = std::move(listener);
  if (listener_) {
    epoll_event wanted{.events = EPOLLIN, .data = {.ptr = &listener_}};
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_->fd(), &wanted);
  }
  shared_.engine.add_round_listener(*this);
  try {
    thread_ = std::thread([this] { loop(); });
  } catch (...) {
    shared_.engine.remove_round_listener(*this);
    throw;
  }
}

void resp_io_thread::stop_listening() {
  post([this] {
    if (!listener_) return;
    ::epoll_ctl(epoll_, EPOLL_CTL_DEL, listener_->fd(), nullptr);
    listener_.reset();
  });
}

void resp_io_thread::begin_drain() {
  post([this] {
    draining_ = true;
    drain_until_ = clock::now() + shared_.options.drain_max;
    for (auto& [id, c] : by_id_) {
      c->closing = true;
      c->paused = false;
      mark_dirty(*c);
    }
    paused_ = 0;
  });
}

void resp_io_thread::join() {
  if (!thread_.joinable()) return;
  thread_.join();
  shared_.engine.remove_round_listener(*this);
}

// -- from other threads
// --------------------------------------------------------------------------------------------------

void resp_io_thread::wake() noexcept {
  if (woken_.exchange(true, std::memory_order_acq_rel)) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(event_, &one, sizeof one);
}

void resp_io_thread::post(std::function<void()> work) {
  {
    std::lock_guard hold{posts_mutex_};
    posts_.push_back(std::move(work));
  }
  wake();
}

void resp_io_thread::post_message(std::function<void()> work, bool wakes) {
  {
    std::lock_guard hold{posts_mutex_};
    messages_.push_back(std::move(work));
  }
  if (wakes) wake();
}

void resp_io_thread::take_messages() {
  std::vector<std::function<void()>> messages;
  {
    std::lock_guard hold{posts_mutex_};
    messages.swap(messages_);
  }
  for (auto& work : messages) work();
}

void resp_io_thread::adopt(int fd) noexcept {
  connections_.fetch_add(1, std::memory_order_relaxed);
  try {
    post([this, fd] { serve(fd); });
  } catch (const std::bad_alloc&) {
    give_up(fd);
  }
}

void resp_io_thread::on_round() noexcept {
  if (!shared_.engine.options().replicated) on_answers();
}

void resp_io_thread::on_answers() noexcept {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (waiting_count_.load(std::memory_order_relaxed) != 0) wake();
}

void resp_io_thread::reset_counts() noexcept {
  for (std::size_t i = 0; i < all_commands().size(); ++i) {
    command_counts_[i].calls = 0;
    command_counts_[i].took_us = 0;
    command_counts_[i].rejected = 0;
    command_counts_[i].failed = 0;
  }
}

// -- the loop
// ------------------------------------------------------------------------------------------------------------

void resp_io_thread::loop() {
  ::pthread_setname_np(::pthread_self(), fmt::format("resp-io-{}", number_).c_str());
  ::prctl(PR_SET_TIMERSLACK, 1'000); // or a nap would be twice as long
  ticked_at_ = turned_at_ = clock::now();
  while (!stopped_) {
    const int wait_ms = timeout_ms();
    if (wait_ms != 0 && nap_judge_.naps() && waiting_.empty()) {
      const timespec time{.tv_sec = 0, .tv_nsec = std::chrono::nanoseconds{nap}.count()};
      ::clock_nanosleep(CLOCK_MONOTONIC, 0, &time, nullptr);
    }
    const int ready = turn(wait_ms);
    if (any_unsynced_ && (ready == 0 || turned_at_ - unsynced_since_ >= gather_max))
      request_rounds();
    nap_judge_.turned(ready, turned_at_);
  }
  for (auto& [id, c] : by_id_)
    if (!c->dead) close(*c);
  dead_.clear();
  by_id_.clear();
}

void resp_io_thread::request_rounds() noexcept {
  any_unsynced_ = false;
  for (std::uint32_t word = 0; word < unsynced_.size(); ++word)
    for (auto bits = std::exchange(unsynced_[word], 0); bits != 0; bits &= bits - 1)
      shared_.engine.request_sync(
          shard_id{64 * word + static_cast<std::uint32_t>(std::countr_zero(bits))});
}

int resp_io_thread::timeout_ms() const noexcept {
  if (!dirty_.empty() || any_unsynced_) return 0;
  if (paused_ != 0 || draining_) return static_cast<int>(pause_tick.count());
  if (unsent_ != 0 || !waiting_.empty() || !accepting_ ||
      shared_.settings.idle_seconds_max.load(std::memory_order_relaxed) != 0)
    return static_cast<int>(tick_interval.count());
  return -1;
}

int resp_io_thread::turn(int timeout) {
  epoll_event events[turn_events];
  const int n = ::epoll_wait(epoll_, events, static_cast<int>(std::size(events)), timeout);
  now_ms_ = shared_.now_ms();
  limits_.bulk_bytes_max = shared_.settings.bulk_bytes_max.load(std::memory_order_relaxed);
  for (int i = 0; i < n; ++i) {
    auto* const what = events[i].data.ptr;
    if (what == &event_) {
      flush_batch(); // a post may close a connection
      take_posts();
      sweep_waiting();
      continue;
    }
    if (what == &listener_) {
      accept_some();
      continue;
    }
    auto& c = *static_cast<resp_connection*>(what);
    if (c.dead) continue;
    const auto seen = events[i].events;
    try {
      if (seen & (EPOLLERR | EPOLLHUP)) {
        close(c);
        continue;
      }
      if (seen & EPOLLIN) read_from(c);
      if (!c.dead && (seen & EPOLLOUT)) mark_dirty(c);
    } catch (const std::bad_alloc&) {
      flush_batch();
      drop(c, "no memory for its buffers");
    }
  }
  flush_batch();
  auto dirty = std::move(dirty_);
  dirty_.clear();
  for (auto* c : dirty) {
    c->dirty = false;
    if (c->dead) continue;
    try {
      send(*c);
      if (!c->dead && c->more && !c->paused) {
        process(*c);
        flush_batch();
        send(*c);
      }
    } catch (const std::bad_alloc&) {
      flush_batch();
      drop(*c, "no memory for its buffers");
    }
  }
  turned_at_ = clock::now();
  if (turned_at_ - ticked_at_ >= (paused_ != 0 || draining_ ? pause_tick : tick_interval)) {
    ticked_at_ = turned_at_;
    tick(turned_at_);
  }
  if (!dead_.empty()) {
    std::erase_if(dirty_, [](const resp_connection* c) { return c->dead; });
    for (auto* c : dead_) by_id_.erase(c->card->id);
    dead_.clear();
  }
  if (draining_ && (by_id_.empty() || turned_at_ >= drain_until_)) stopped_ = true;
  return n;
}

void resp_io_thread::take_posts() {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto taken = ::read(event_, &count, sizeof count);
  // The flag behind the descriptor: what is announced in between is seen below.
  woken_.exchange(false, std::memory_order_acq_rel);
  std::vector<std::function<void()>> posts;
  {
    std::lock_guard hold{posts_mutex_};
    posts.swap(posts_);
  }
  for (auto& work : posts) work();
  take_messages();
}

void resp_io_thread::tick(clock::time_point now) {
  if (!accepting_ && listener_ && now >= accept_again_at_) {
    accepting_ = true;
    epoll_event wanted{.events = EPOLLIN, .data = {.ptr = &listener_}};
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_->fd(), &wanted);
  }
  sweep_waiting();
  if (draining_)
    for (auto& [id, c] : by_id_)
      if (!c->dead) mark_dirty(*c);
  const auto idle_s = shared_.settings.idle_seconds_max.load(std::memory_order_relaxed);
  if (paused_ == 0 && unsent_ == 0 && idle_s == 0) return;
  for (auto& [id, c] : by_id_) {
    if (c->dead) continue;
    if (c->paused && now >= c->resume_at) resume(id, c->resume_reply);
    if (!c->dead && (c->interest & EPOLLOUT) &&
        now - c->progress_at >= shared_.options.output_stall_max) {
      bump(counters_.slow_consumers_dropped);
      drop(*c, "it does not read its answers");
    }
    const auto active_ms = c->card->active_at_ms.load(std::memory_order_relaxed);
    if (!c->dead && idle_s != 0 && !(c->subscriptions && c->subscriptions->any()) &&
        static_cast<std::int64_t>(now_ms_) - active_ms > static_cast<std::int64_t>(idle_s) * 1'000)
      close(*c);
  }
}

// -- connections
// ---------------------------------------------------------------------------------------------------------

/// One line in a while: who can make it happen must not make us fill the disk with lines.
void resp_io_thread::complain(std::string_view what) {
  const auto now = clock::now();
  if (complained_at_ != clock::time_point{} && now - complained_at_ < complaints_apart) return;
  complained_at_ = now;
  spdlog::warn("resp: {}", what);
}

/// No descriptors left, or no memory: the socket stays readable, so it is not watched for a moment.
/// Whoever waits in its queue is served when there are some again.
void resp_io_thread::look_away(std::string_view reason) {
  complain(fmt::format("cannot accept a connection: {}; trying again", reason));
  accepting_ = false;
  accept_again_at_ = clock::now() + tick_interval;
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, listener_->fd(), nullptr);
}

void resp_io_thread::accept_some() {
  // A few at a time: those that are there already have work too.
  for (int i = 0; i < 64; ++i) {
    const int fd = ::accept4(listener_->fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK) return;
      if (errno == EINTR || errno == ECONNABORTED) continue;
      return look_away(std::strerror(errno));
    }
    auto open = shared_.connections_open.load(std::memory_order_relaxed);
    bool taken = false;
    while (open < shared_.options.connections_max && !taken)
      taken =
          shared_.connections_open.compare_exchange_weak(open, open + 1, std::memory_order_relaxed);
    if (taken && !may_keep_connection(fd)) {
      taken = false;
      shared_.connections_open.fetch_sub(1, std::memory_order_relaxed);
      complain("refused a connection: nearly all files that the process may open are in use; raise "
               "the limit (ulimit -n, LimitNOFILE=) or lower resp.connections_max");
    }
    if (!taken) {
      bump(counters_.connections_refused);
      constexpr std::string_view full = "-ERR max number of clients reached\r\n";
      [[maybe_unused]] const auto said =
          ::send(fd, full.data(), full.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      ::close(fd);
      continue;
    }
    auto* to = this;
    for (auto& t : shared_.threads)
      if (t->connections() < to->connections()) to = t.get();
    if (to == this) {
      connections_.fetch_add(1, std::memory_order_relaxed);
      serve(fd);
    } else {
      to->adopt(fd);
    }
  }
}

void resp_io_thread::serve(int fd) noexcept {
  try {
    begin_connection(fd);
  } catch (const std::bad_alloc&) {
    bump(counters_.connections_dropped);
    give_up(fd);
  }
}

/// Of a connection that was counted and has no memory.
void resp_io_thread::give_up(int fd) noexcept {
  ::close(fd);
  connections_.fetch_sub(1, std::memory_order_relaxed);
  shared_.connections_open.fetch_sub(1, std::memory_order_relaxed);
}

/// Throws std::bad_alloc, having kept nothing.
void resp_io_thread::begin_connection(int fd) {
  const int on = 1, idle_s = 300;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
  auto card = std::make_shared<client_card>();
  card->id = shared_.clients.next_id();
  card->thread = number_;
  card->fd = fd;
  card->address = address_by(::getpeername, fd);
  card->local_address = address_by(::getsockname, fd);
  card->connected_at_ms = static_cast<std::int64_t>(shared_.now_ms());
  card->active_at_ms = card->connected_at_ms;
  auto connection = std::make_unique<resp_connection>(fd, limits_, card);
  auto& c = *connection;
  c.level = shared_.options.level;
  shared_.clients.add(card);
  try {
    by_id_.emplace(card->id, std::move(connection));
  } catch (...) {
    shared_.clients.remove(card->id);
    throw;
  }
  bump(counters_.connections_opened);
  epoll_event wanted{.events = EPOLLIN, .data = {.ptr = &c}};
  c.interest = EPOLLIN;
  if (draining_ || ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &wanted) != 0) close(c);
}

resp_connection* resp_io_thread::find(std::uint64_t client) noexcept {
  const auto at = by_id_.find(client);
  return at == by_id_.end() || at->second->dead ? nullptr : at->second.get();
}

void resp_io_thread::drop(resp_connection& c, std::string_view reason) {
  bump(counters_.connections_dropped);
  spdlog::debug("resp: {} is disconnected: {}", c.card->address, reason);
  close(c);
}

void resp_io_thread::close(resp_connection& c) {
  if (c.dead) return;
  c.dead = true;
  if (c.interest & EPOLLOUT) --unsent_;
  if (c.paused) --paused_;
  c.paused = false;
  unsubscribe_all(c);
  shared_.clients.remove(c.card->id);
  ::close(c.fd);
  c.input.release();
  c.output.release();
  bump(counters_.waiting_durable, 0 - std::uint64_t{c.marks.size()});
  c.marks.clear();
  if (c.waiting) std::erase(waiting_, &c);
  connections_.fetch_sub(1, std::memory_order_relaxed);
  shared_.connections_open.fetch_sub(1, std::memory_order_relaxed);
  dead_.push_back(&c);
}

void resp_io_thread::kill(std::uint64_t client, bool self) {
  auto* const c = find(client);
  if (c == nullptr) return;
  if (self)
    c->closing = true;
  else
    close(*c);
}

void resp_io_thread::pause(resp_connection& c, clock::time_point until, std::string reply) {
  if (!c.paused) ++paused_;
  c.paused = true;
  c.resume_at = until;
  c.resume_reply = std::move(reply);
  c.card->blocked = true;
}

void resp_io_thread::resume(std::uint64_t client, std::string_view reply) {
  auto* const c = find(client);
  if (c == nullptr || !c->paused) return;
  c->paused = false;
  c->card->blocked = false;
  --paused_;
  c->output.append(reply);
  c->resume_reply.clear();
  c->more = true;
  mark_dirty(*c);
}

void resp_io_thread::resume_paused() {
  for (auto& [id, c] : by_id_)
    if (c->paused && c->resume_reply.empty()) resume(id, {});
}

void resp_io_thread::mark_dirty(resp_connection& c) {
  if (c.dirty) return;
  c.dirty = true;
  dirty_.push_back(&c);
}

// -- input
// ---------------------------------------------------------------------------------------------------------------

void resp_io_thread::give_spare(resp_buffer& buffer) {
  const auto bytes = buffer.capacity();
  if (bytes == 0 || bytes > spare_bytes_max || spare_bytes_ + bytes > spares_bytes_max)
    return buffer.release();
  spares_.push_back(std::move(buffer));
  spare_bytes_ += bytes;
}

void resp_io_thread::take_spare(resp_buffer& buffer) noexcept {
  if (buffer.capacity() != 0 || spares_.empty()) return;
  buffer.swap(spares_.back());
  spares_.pop_back();
  spare_bytes_ -= buffer.capacity();
}

/// What a connection keeps for longer takes little more memory than it needs.
void resp_io_thread::put_aside(resp_buffer& buffer) {
  if (buffer.empty()) {
    give_spare(buffer);
  } else if (buffer.capacity() > 4 * buffer.size() + 4'096) {
    resp_buffer small;
    small.append(buffer.view());
    buffer.consume(buffer.size());
    small.swap(buffer);
    give_spare(small);
  }
}

void resp_io_thread::read_from(resp_connection& c) {
  if (c.closing || c.paused || c.more) return update_interest(c);
  take_spare(c.input);
  // A long argument is waited for with room that grows as it arrives: what is only announced costs
  // nothing.
  const auto missing = c.need > c.input.size() ? c.need - c.input.size() : 0;
  auto room = std::max(read_bytes, std::min(missing, c.input.size()));
  if (c.input.room() < read_bytes / 4) c.input.reserve(room);
  room = c.input.room();
  const auto n = ::recv(c.fd, c.input.reserve(0), room, 0);
  if (n < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return put_aside(c.input);
    return close(c);
  }
  if (n == 0) {
    // No more commands; what was asked is still answered.
    c.closing = true;
    return mark_dirty(c);
  }
  c.input.commit(static_cast<std::size_t>(n));
  bump(counters_.bytes_received, static_cast<std::uint64_t>(n));
  c.card->active_at_ms.store(static_cast<std::int64_t>(now_ms_), std::memory_order_relaxed);
  process(c);
  if (!c.dead) mark_dirty(c);
}

} // namespace warp::cluster
