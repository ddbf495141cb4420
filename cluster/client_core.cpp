#include "cluster/client_core.hpp"

#include "cluster/message_limits.hpp"

#include <algorithm>
#include <kj/debug.h>

namespace warp::cluster {

namespace {

/// How late a deadline may be noticed.
constexpr auto tick_interval = 10 * kj::MILLISECONDS;
/// Request numbers begin here or above: the base of a call is a little below its first write, see
/// fill().
constexpr std::uint64_t first_number_min = 1u << 20;

std::uint64_t random_id() {
  std::random_device device;
  const auto id = std::uint64_t{device()} << 32 | device();
  return id == 0 ? 1 : id;
}

/// Later than any number that an earlier process with the same client id has used: nobody writes 60
/// million a second.
std::uint64_t first_number() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::max<std::uint64_t>(
      first_number_min, static_cast<std::uint64_t>(std::chrono::nanoseconds{now}.count()) / 16);
}

client_options with_id(client_options options) {
  if (options.client_id == 0) options.client_id = random_id();
  return options;
}

} // namespace

// -- the callers' side --------------------------------------------------------------------------

client_core::client_core(client_options options)
    : options_(with_id(std::move(options))), next_number_(first_number()),
      random_(static_cast<unsigned>(std::random_device{}())),
      connect_by_(client_clock::now() + options_.connect_deadline) {
  home_.options = options_;
  loop_.emplace("warp-client", [this](kj_loop& loop) { return run(loop); });
}

client_core::~client_core() {
  {
    std::lock_guard lock{mutex_};
    closed_ = true;
  }
  loop_->post([this] {
    end_all();
    KJ_IF_MAYBE (end, end_) {
      (*end)->fulfill();
    }
  });
  loop_.reset();
}

op_status client_core::wait_connected() {
  return first_login_.get_future().get();
}

void client_core::submit(std::shared_ptr<client_job> job) {
  {
    std::lock_guard lock{mutex_};
    if (closed_) return;
    queued_bytes_ += job->size_bytes;
    incoming_.push_back(std::move(job));
    if (incoming_.size() > 1) return; // the loop is on its way
  }
  loop_->post([this] { take_incoming(); });
}

void client_core::submit(std::shared_ptr<client_call> call) {
  {
    std::lock_guard lock{mutex_};
    if (closed_) return;
    incoming_calls_.push_back(std::move(call));
  }
  loop_->post([this] { take_incoming(); });
}

void client_core::wait_for_room() {
  if (loop_->on_loop()) return;
  std::unique_lock lock{mutex_};
  room_.wait(lock, [this] { return queued_bytes_ < options_.queued_bytes_max || closed_; });
}

// -- taking jobs in -----------------------------------------------------------------------------

kj::Promise<void> client_core::run(kj_loop& loop) {
  on_ = &loop;
  tasks_ = std::make_unique<kj::TaskSet>(static_cast<kj::TaskSet::ErrorHandler&>(*this));
  open_links(home_);
  auto end = kj::newPromiseAndFulfiller<void>();
  end_ = kj::mv(end.fulfiller);
  return end.promise.then([this] {
    home_.links.clear();
    nodes_.clear();
    tasks_.reset();
    end_ = nullptr;
  });
}

void client_core::take_incoming() {
  std::vector<std::shared_ptr<client_job>> jobs;
  std::vector<std::shared_ptr<client_call>> calls;
  {
    std::lock_guard lock{mutex_};
    jobs.swap(incoming_);
    calls.swap(incoming_calls_);
  }
  for (auto& job : jobs) accept(std::move(job));
  for (auto& call : calls) {
    call->place = open_calls_.insert(open_calls_.end(), call);
    calls_.push_back(std::move(call));
  }
  pump_soon();
  tick_soon();
}

void client_core::accept(std::shared_ptr<client_job> job) {
  count_.operations.fetch_add(job->items.size(), std::memory_order_relaxed);
  job->replies.resize(job->items.size());
  if (routes_.empty()) return enlist(std::move(job), home_);
  if (spread(job)) return;
  auto& at = group_of(job->items.front());
  enlist(std::move(job), at);
}

void client_core::enlist(std::shared_ptr<client_job> job, client_group& at) {
  const auto n = static_cast<std::uint32_t>(job->items.size());
  job->open = n;
  job->first_number = next_number_;
  if (job->has_writes) next_number_ += n;
  job->place = open_jobs_.insert(open_jobs_.end(), job);
  auto& way = at.lanes[lane_of(*job)];
  way.push_back({std::move(job), 0, n});
}

client_core::lane client_core::lane_of(const client_job& job) const noexcept {
  for (auto& i : job.items) {
    const auto level = i.op.level == durability::unspecified ? default_level_ : i.op.level;
    if (level >= durability::sync) return slow;
  }
  return fast;
}

bool client_core::refuse_too_large(client_job& job, const server_info& info) {
  if (job.size_bytes <= info.value_bytes_max) [[likely]]
    return false;
  if (const auto size = job.size_bytes + 64 * job.items.size();
      job.atomic && size > message_bytes_max(info.value_bytes_max) - 64 * 1024) {
    job.atomic_status = {op_code::invalid_argument,
                         "an atomic batch of " + std::to_string(size) +
                             " bytes does not fit one message: split it"};
    job.replies.clear();
    finish(job);
    return true;
  }
  bool refused = false;
  for (std::uint32_t i = 0; i < job.items.size() && !job.finished; ++i) {
    const auto size = job.items[i].op.value.size();
    if (job.items[i].answered || size <= info.value_bytes_max) continue;
    refused = true;
    answer(job, i,
           {{op_code::invalid_argument, "a value of " + std::to_string(size) +
                                            " bytes, the server's limit is " +
                                            std::to_string(info.value_bytes_max)}});
  }
  return refused;
}

// -- time, connections, the end -----------------------------------------------------------------

void client_core::tick_soon() {
  if (ticking_ || (open_jobs_.empty() && open_calls_.empty())) return;
  ticking_ = true;
  tasks_->add(on_->timer().afterDelay(tick_interval).then([this] {
    ticking_ = false;
    expire();
    look_after_routes();
    tick_soon();
  }));
}

void client_core::expire() {
  const auto now = client_clock::now();
  const auto why = [this] {
    return last_down_.ok() ? std::string{"the deadline passed"}
                           : "the deadline passed; " + last_down_.message();
  };
  // All jobs of a client have the same time, so the oldest are the first to end.
  while (!open_jobs_.empty() && open_jobs_.front()->deadline <= now)
    give_up(*open_jobs_.front(), op_code::timed_out, why());
  for (auto next = open_calls_.begin(); next != open_calls_.end();) {
    auto& call = **next++;
    if (call.deadline <= now) give_up(call, op_code::timed_out, why());
  }
}

void client_core::end_all() {
  take_incoming();
  while (!open_jobs_.empty())
    give_up(*open_jobs_.front(), op_code::unavailable, "the client was closed");
  while (!open_calls_.empty())
    give_up(*open_calls_.front(), op_code::unavailable, "the client was closed");
  for (auto* group : groups())
    for (auto& way : group->lanes) way.clear();
  calls_.clear();
}

void client_core::connected(op_status status) {
  if (connected_) return;
  connected_ = true;
  first_login_.set_value(std::move(status));
}

void client_core::link_ready(client_link& link) {
  if (link.generation != 0) count_.reconnects.fetch_add(1, std::memory_order_relaxed);
  default_level_ = link.info().default_level;
  last_down_ = {};
  clustered_ = clustered_ || link.info().clustered;
  if (const auto map = link.take_map()) learn(*map);
  connected({});
  pump_soon();
}

void client_core::link_down(client_link&, const op_status& why) {
  last_down_ = {op_code::unavailable, "no connection to " + why.message()};
  ++failed_attempts_;
  refresh_soon();
  const auto attempts_min = std::max(options_.addresses.size(), options_.connections);
  if (why == op_code::unauthorized)
    connected(why);
  else if (failed_attempts_ >= attempts_min && client_clock::now() >= connect_by_)
    connected(last_down_);
}

void client_core::taskFailed(kj::Exception&& e) {
  KJ_LOG(ERROR, "a task of the client failed", e);
}

} // namespace warp::cluster
