#include "storage/observation.hpp"

#include <ctime>
#include <new>

namespace warp::storage {

namespace {

std::uint64_t next_number() noexcept {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

physics::access_kind kind_of(op_kind kind) noexcept {
  if (kind == op_kind::erase) return physics::access_kind::remove;
  return is_write(kind) ? physics::access_kind::write : physics::access_kind::read;
}

std::size_t bytes_of(const operation& op, const op_reply& reply) noexcept {
  if (op.kind == op_kind::put) return op.value.size();
  return reply.large ? reply.large.view().size() : reply.value.size();
}

} // namespace

void thread_observer::take(const operation& op, const op_reply& reply, std::uint64_t hash,
                           std::uint64_t now_ms) noexcept {
  // What is not there is related to nothing.
  if (reply.code != op_code::ok) return;
  watching_.take(hash, op.key, reply.shard.value, bytes_of(op, reply), kind_of(op.kind), now_ms);
}

void thread_observer::take_alone(const operation& op, const op_reply& reply, std::uint64_t hash,
                                 std::uint64_t now_ms) noexcept {
  if (reply.code != op_code::ok) return;
  watching_.take_alone(hash, op.key, reply.shard.value, bytes_of(op, reply), kind_of(op.kind),
                       now_ms);
}

bool thread_observer::single(const operation& op, const op_reply& reply, std::uint64_t hash,
                             std::uint64_t now_ms) noexcept {
  if (!in_request_) watching_.begin_stream(stream_, now_ms);
  if (reply.code == op_code::ok)
    watching_.observe(hash, op.key, reply.shard.value, bytes_of(op, reply), kind_of(op.kind),
                      now_ms);
  return set_pace();
}

/// An observer in use by this thread, of the observation with that number (which may be gone).
struct observation::claimed {
  std::uint64_t number;
  std::shared_ptr<thread_observer> of;
};

/// All of this thread's; given up when it ends.
struct observation::claims {
  ~claims() {
    for (auto& c : all) c.of->taken_.store(false, std::memory_order_release);
  }
  std::vector<claimed> all;
};

observation::observation(const physics::observer_options& options)
    : number_(next_number()), options_(options) {}

constinit thread_local observation::last_used observation::last_used_;

void observation::watch_one_in(std::uint32_t keys) noexcept {
  std::lock_guard guard{mutex_};
  options_.keys_one_in = keys;
  for (const auto& o : observers_) o->watching_.watch_one_in(keys);
}

std::uint64_t observation::watched_below() noexcept {
  if (!is_on()) return 0;
  std::lock_guard guard{mutex_};
  return physics::observer::watched_below(options_.keys_one_in);
}

thread_observer* observation::claim() noexcept {
  try {
    last_used_ = {.number = number_, .of = find()};
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
  return last_used_.of;
}

thread_observer* observation::find() {
  thread_local claims mine;
  for (const auto& c : mine.all)
    if (c.number == number_) return c.of.get();
  // Those that only this thread still holds belong to an engine that is gone.
  std::erase_if(mine.all, [](const claimed& c) { return c.of.use_count() == 1; });
  std::lock_guard guard{mutex_};
  for (const auto& o : observers_) {
    bool taken = false;
    if (!o->taken_.compare_exchange_strong(taken, true, std::memory_order_acquire)) continue;
    mine.all.push_back({number_, o});
    return o.get();
  }
  auto options = options_;
  options.source = observers_.size();
  observers_.push_back(std::make_shared<thread_observer>(options));
  mine.all.push_back({number_, observers_.back()});
  return observers_.back().get();
}

std::uint64_t thread_observer::clock_ms() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000 +
         static_cast<std::uint64_t>(now.tv_nsec) / 1'000'000;
}

} // namespace warp::storage
