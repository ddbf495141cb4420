#include "cluster/durable_waiters.hpp"

#include <kj/debug.h>

namespace warp::cluster {

namespace {

/// How late a deadline may be noticed.
constexpr auto tick_interval = 10 * kj::MILLISECONDS;

} // namespace

durable_waiters::durable_waiters(storage::engine& engine, kj::UnixEventPort& port, kj::Timer& timer,
                                 std::atomic<std::uint64_t>& waiting)
    : engine_(engine), timer_(timer), gauge_(waiting), signal_(port), watching_(nullptr),
      ticks_(nullptr) {
  watching_ = watch().eagerlyEvaluate(
      [](kj::Exception&& e) { KJ_LOG(ERROR, "waiting for the log's rounds failed", e); });
  engine_.add_round_listener(*this);
}

durable_waiters::~durable_waiters() noexcept {
  engine_.remove_round_listener(*this);
  gauge_.fetch_sub(parked_.size(), std::memory_order_relaxed);
}

kj::Promise<op_code> durable_waiters::wait(std::vector<target> targets,
                                           clock::time_point deadline) {
  std::size_t done = 0;
  // Announced first and looked second; a round advances first and looks at the announcement second.
  // The two fences make sure that at least one of the two sees the other.
  count_.store(static_cast<std::uint32_t>(parked_.size() + 1), std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const auto state = look(targets, done);
  if (state != outcome::pending) {
    count_.store(static_cast<std::uint32_t>(parked_.size()), std::memory_order_relaxed);
    return state == outcome::durable ? op_code::ok : op_code::io_error;
  }
  auto paf = kj::newPromiseAndFulfiller<op_code>();
  parked_.push_back({std::move(targets), done, deadline, kj::mv(paf.fulfiller)});
  gauge_.fetch_add(1, std::memory_order_relaxed);
  if (!ticking_) {
    ticking_ = true;
    ticks_ = tick().eagerlyEvaluate(nullptr);
  }
  return kj::mv(paf.promise);
}

void durable_waiters::on_round() noexcept {
  if (!engine_.options().replicated) on_answers();
}

void durable_waiters::on_answers() noexcept {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (count_.load(std::memory_order_relaxed) != 0) signal_.raise();
}

durable_waiters::outcome durable_waiters::look(const std::vector<target>& targets,
                                               std::size_t& done) const noexcept {
  for (; done < targets.size(); ++done)
    switch (engine_.durable(targets[done].shard, targets[done].lsn)) {
    case storage::durable_state::durable:
      break;
    case storage::durable_state::failed:
      return outcome::failed;
    case storage::durable_state::pending:
      return outcome::pending;
    }
  return outcome::durable;
}

void durable_waiters::sweep() {
  const auto now = clock::now();
  std::size_t kept = 0;
  for (auto& p : parked_) {
    const auto state = look(p.targets, p.done);
    if (state == outcome::durable)
      p.fulfiller->fulfill(op_code::ok);
    else if (state == outcome::failed)
      p.fulfiller->fulfill(op_code::io_error);
    else if (now >= p.deadline)
      p.fulfiller->fulfill(op_code::timed_out);
    else if (p.fulfiller->isWaiting()) { // else its caller is gone
      if (&parked_[kept] != &p) parked_[kept] = kj::mv(p);
      ++kept;
    }
  }
  gauge_.fetch_sub(parked_.size() - kept, std::memory_order_relaxed);
  parked_.erase(parked_.begin() + static_cast<std::ptrdiff_t>(kept), parked_.end());
  count_.store(static_cast<std::uint32_t>(kept), std::memory_order_relaxed);
}

kj::Promise<void> durable_waiters::watch() {
  return signal_.wait().then([this] {
    sweep();
    return watch();
  });
}

kj::Promise<void> durable_waiters::tick() {
  return timer_.afterDelay(tick_interval).then([this]() -> kj::Promise<void> {
    sweep();
    if (!parked_.empty()) return tick();
    ticking_ = false;
    return kj::READY_NOW;
  });
}

} // namespace warp::cluster
