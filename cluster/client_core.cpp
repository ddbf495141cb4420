#include "cluster/client_core.hpp"

#include "cluster/message_limits.hpp"
#include "messages/conversion.hpp"

#include <algorithm>
#include <kj/debug.h>
#include <limits>

namespace warp::cluster {

namespace {

/// Messages under way on one connection at most. Few, since what waits meanwhile leaves together;
/// more where the disk decides.
constexpr std::array<std::size_t, 2> in_flight_max{4, 8};
/// Operations and bytes of one message at most, when one job alone fills it.
constexpr std::size_t message_operations_max = 8'192, message_bytes_soft_max = 4u << 20;
/// How late a deadline may be noticed.
constexpr auto tick_interval = 10 * kj::MILLISECONDS;
/// Request numbers begin here or above: the base of a call is a little below its first write, see
/// fill().
constexpr std::uint64_t first_number_min = 1u << 20;
constexpr std::size_t word_bytes = sizeof(capnp::word);

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

std::size_t size_of(const client_job::item& item) noexcept {
  return item.op.key.size() + item.op.value.size() + 64;
}

client_reply owned(const reply_view& from) {
  client_reply reply;
  reply.status =
      from.message.empty() ? op_status{from.code} : op_status{from.code, std::string{from.message}};
  reply.shard = from.shard;
  reply.version = from.version;
  reply.number = from.number;
  reply.expires_at_ms = from.expires_at_ms;
  reply.value = from.value;
  return reply;
}

/// Appends item `index` of the job, to the last slice if it follows on.
void add(std::vector<client_slice>& to, const std::shared_ptr<client_job>& job,
         std::uint32_t index) {
  if (!to.empty() && to.back().job == job && to.back().end == index)
    ++to.back().end;
  else
    to.push_back({job, index, index + 1});
}

} // namespace

// -- the callers' side --------------------------------------------------------------------------

client_core::client_core(client_options options)
    : options_(with_id(std::move(options))), next_number_(first_number()),
      random_(static_cast<unsigned>(std::random_device{}())),
      connect_by_(client_clock::now() + options_.connect_deadline) {
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
  for (std::size_t i = 0; i < options_.connections; ++i)
    links_.push_back(
        std::make_unique<client_link>(loop, options_, i, static_cast<link_listener&>(*this)));
  auto end = kj::newPromiseAndFulfiller<void>();
  end_ = kj::mv(end.fulfiller);
  return end.promise.then([this] {
    links_.clear();
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
  const auto n = static_cast<std::uint32_t>(job->items.size());
  count_.operations.fetch_add(n, std::memory_order_relaxed);
  job->replies.resize(n);
  job->open = n;
  job->first_number = next_number_;
  if (job->has_writes) next_number_ += n;
  job->place = open_jobs_.insert(open_jobs_.end(), job);
  auto& way = lanes_[lane_of(*job)];
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
  if (job.atomic && job.size_bytes > message_bytes_max(info.value_bytes_max) - 64 * 1024) {
    job.atomic_status = {op_code::invalid_argument,
                         "an atomic batch of " + std::to_string(job.size_bytes) +
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

// -- sending ------------------------------------------------------------------------------------

void client_core::pump_soon() {
  if (pump_scheduled_) return;
  pump_scheduled_ = true;
  // At the end of the turn: what other callers have submitted until then leaves in the same
  // message.
  tasks_->add(kj::evalLast([this] {
    pump_scheduled_ = false;
    pump();
  }));
}

void client_core::pump() {
  pump_lane(fast);
  pump_lane(slow);
  const auto ready = [](auto& link) { return link->ready(); };
  while (!calls_.empty()) {
    auto call = calls_.front();
    const auto link = std::find_if(links_.begin(), links_.end(), ready);
    if (!call->finished && link == links_.end()) break;
    calls_.pop_front();
    if (!call->finished) send_call(**link, std::move(call));
  }
}

void client_core::pump_lane(lane way) {
  auto& waiting = lanes_[way];
  while (!waiting.empty()) {
    auto& front = waiting.front();
    if (front.job->finished) {
      waiting.pop_front();
      continue;
    }
    auto* link = pick(way, *front.job);
    if (!link) return;
    if (refuse_too_large(*front.job, link->info())) [[unlikely]] {
      // What is left of it waits at the same place.
      const auto part = std::move(front);
      waiting.pop_front();
      slices left;
      for (auto i = part.begin; i < part.end && !part.job->finished; ++i)
        if (!part.job->items[i].answered) add(left, part.job, i);
      waiting.insert(waiting.begin(), left.begin(), left.end());
      continue;
    }
    if (front.job->atomic) {
      auto part = std::move(front);
      waiting.pop_front();
      send_atomic(*link, way, std::move(part));
    } else {
      send(*link, way, gather(*link, way));
    }
  }
}

client_link* client_core::pick(lane way, const client_job& job) noexcept {
  const auto usable = [way](const client_link& l) {
    return l.ready() && l.in_flight[way] < in_flight_max[way];
  };
  if (job.link && job.link->ready()) return usable(*job.link) ? job.link : nullptr;
  client_link* best = nullptr;
  for (std::size_t i = 0; i < links_.size(); ++i) {
    auto& l = *links_[(next_link_ + i) % links_.size()];
    if (usable(l) && (!best || l.in_flight[way] < best->in_flight[way])) best = &l;
  }
  ++next_link_;
  return best;
}

client_core::slices client_core::gather(client_link& link, lane way) {
  auto& waiting = lanes_[way];
  slices parts;
  std::size_t operations = 0, bytes = 0;
  while (!waiting.empty()) {
    auto& front = waiting.front();
    auto& job = *front.job;
    if (job.finished) {
      waiting.pop_front();
      continue;
    }
    // The first job may fill a message on its own; others join as long as it stays handy.
    const bool first = parts.empty();
    const auto operations_max = first ? message_operations_max : options_.batch_operations_max;
    if (!first) {
      if (job.atomic || (job.link && job.link != &link)) break;
      if (operations + (front.end - front.begin) > operations_max) break;
      if (bytes + job.size_bytes >
          std::min<std::size_t>(message_bytes_soft_max / 4, link.info().value_bytes_max))
        break;
    }
    auto end = front.begin;
    for (; end < front.end && operations < operations_max; ++end, ++operations) {
      const auto size = size_of(job.items[end]);
      if (operations != 0 && bytes + size > message_bytes_soft_max) break;
      bytes += size;
    }
    if (end == front.end) {
      parts.push_back(std::move(front));
      waiting.pop_front();
    } else {
      job.link = &link;
      parts.push_back({front.job, front.begin, end});
      front.begin = end;
      break;
    }
  }
  return parts;
}

template <class Request>
void client_core::fill(Request& request, const slices& parts) const {
  std::size_t count = 0;
  for (auto& p : parts) count += p.end - p.begin;
  auto list = request.initOperations(static_cast<unsigned>(count));
  const auto now = client_clock::now();
  auto latest = now;

  // Operation i has the number `base + i + skip`, so base is the smallest `number - i` of all
  // writes.
  auto base = std::numeric_limits<std::uint64_t>::max();
  std::uint32_t at = 0;
  for (auto& p : parts) {
    latest = std::max(latest, p.job->deadline);
    if (p.job->has_writes) base = std::min(base, p.job->first_number + p.begin - at);
    at += p.end - p.begin;
  }
  at = 0;
  for (auto& p : parts)
    for (auto i = p.begin; i < p.end; ++i, ++at) {
      auto& item = p.job->items[i];
      item.under_way = true;
      auto to = list[at];
      write_operation(item.op, item.ttl_ms, to);
      if (is_write(item.op.kind))
        to.setRequestSkip(static_cast<std::uint32_t>(p.job->first_number + i - at - base));
    }

  call_header header;
  header.deadline = std::max(std::chrono::milliseconds{1}, // 0 would be none
                             std::chrono::ceil<std::chrono::milliseconds>(latest - now));
  if (base != std::numeric_limits<std::uint64_t>::max())
    header.request = {options_.client_id, base,
                      open_jobs_.empty() ? next_number_ : open_jobs_.front()->first_number};
  write_call(header, request.initCall());
}

namespace {

std::uint64_t words_of(const std::vector<client_slice>& parts) {
  std::uint64_t words = 32;
  for (auto& p : parts)
    for (auto i = p.begin; i < p.end; ++i) {
      const auto& op = p.job->items[i].op;
      words += capnp::sizeInWords<wire::Operation>() +
               (op.key.size() + op.value.size()) / word_bytes + 2;
      if (needs_write(op, p.job->items[i].ttl_ms)) words += capnp::sizeInWords<wire::Write>();
    }
  return words;
}

} // namespace

void client_core::send(client_link& link, lane way, slices parts) {
  if (parts.empty()) return;
  auto request = link.session().executeRequest(capnp::MessageSize{words_of(parts), 0});
  fill(request, parts);
  await(link, way, std::move(parts), request.send());
}

void client_core::send_atomic(client_link& link, lane way, client_slice part) {
  slices parts;
  parts.push_back(std::move(part));
  auto request = link.session().executeAtomicRequest(capnp::MessageSize{words_of(parts), 0});
  fill(request, parts);
  await(link, way, std::move(parts), request.send());
}

template <class Results>
void client_core::await(client_link& link, lane way, slices parts,
                        capnp::RemotePromise<Results> answer) {
  count_.messages.fetch_add(1, std::memory_order_relaxed);
  ++link.in_flight[way];
  auto shared = std::make_shared<slices>(std::move(parts));
  const auto back = [this, &link, way, generation = link.generation] {
    if (link.generation == generation) --link.in_flight[way];
    pump_soon();
  };
  tasks_->add(answer.then(
      [this, shared, back](capnp::Response<Results>&& got) {
        back();
        const auto status = got.hasStatus() ? read_status(got.getStatus()) : op_status{};
        if constexpr (std::is_same_v<Results, wire::Session::ExecuteAtomicResults>) {
          auto& job = *shared->front().job;
          if (job.finished) return;
          job.atomic_status = status;
          if (cured_by_retry(status.code()) || !got.hasReplies())
            return take_refusal(*shared, status);
        } else if (!status.ok()) {
          return take_refusal(*shared, status);
        }
        take_answer(*shared, got.getReplies());
      },
      [this, shared, back, &link, generation = link.generation](kj::Exception&& e) {
        back();
        explain(link, generation, e,
                [this, shared](const op_status& status) { take_loss(std::move(*shared), status); });
      }));
}

void client_core::send_call(client_link& link, std::shared_ptr<client_call> call) {
  call->sent = true;
  count_.messages.fetch_add(1, std::memory_order_relaxed);
  tasks_->add(kj::evalNow([&] { return call->send(link.session()); })
                  .then(
                      [this, call](op_status status) {
                        if (call->finished) return;
                        if (!cured_by_retry(status.code())) return finish(*call, std::move(status));
                        call->refusal = std::move(status);
                        call->sent = false;
                        again(call);
                      },
                      [this, call, &link, generation = link.generation](kj::Exception&& e) {
                        explain(link, generation, e, [this, call](const op_status& status) {
                          if (call->finished) return;
                          if (!cured_by_retry(status.code())) return finish(*call, status);
                          if (call->once)
                            return give_up(*call, op_code::unavailable, status.message());
                          call->refusal = status;
                          again(call);
                        });
                      }));
}

void client_core::explain(client_link& link, std::uint64_t generation, const kj::Exception& e,
                          std::function<void(const op_status&)> then) {
  const auto status = status_of(e);
  const op_status lost{op_code::unavailable, status.message()};
  if (status == op_code::unavailable) link.lost(generation);
  if (status.code() != op_code::io_error) return then(status);
  if (!link.ready() || link.generation != generation) return then(lost);
  // The call has failed, or the server has ended the connection with a farewell, which looks the
  // same. Another call tells.
  tasks_->add(kj::evalNow([&] { return link.session().pingRequest().send().ignoreResult(); })
                  .then([status, then] { then(status); },
                        [&link, generation, lost, then](kj::Exception&&) {
                          link.lost(generation);
                          then(lost);
                        }));
}

// -- answers ------------------------------------------------------------------------------------

void client_core::take_answer(const slices& parts, capnp::List<wire::Reply>::Reader replies) {
  std::size_t count = 0;
  for (auto& p : parts) count += p.end - p.begin;
  if (replies.size() != count)
    return take_refusal(parts, {op_code::corruption, "the server answered " +
                                                         std::to_string(replies.size()) + " of " +
                                                         std::to_string(count) + " operations"});
  slices refused;
  std::uint32_t at = 0;
  for (auto& p : parts)
    for (auto i = p.begin; i < p.end; ++i, ++at) {
      auto& item = p.job->items[i];
      if (p.job->finished || item.answered) continue;
      item.under_way = false;
      auto reply = owned(read_reply(replies[at]));
      if (cured_by_retry(reply.code()) && !p.job->atomic) [[unlikely]] {
        item.refusal = std::move(reply.status);
        add(refused, p.job, i);
      } else {
        answer(*p.job, i, std::move(reply));
      }
    }
  if (!refused.empty()) again(std::move(refused));
}

void client_core::take_refusal(const slices& parts, const op_status& status) {
  slices refused;
  for (auto& p : parts) {
    if (p.job->finished) continue;
    if (p.job->atomic && !cured_by_retry(status.code())) {
      p.job->replies.clear();
      finish(*p.job);
      continue;
    }
    for (auto i = p.begin; i < p.end && !p.job->finished; ++i) {
      auto& item = p.job->items[i];
      if (item.answered) continue;
      item.under_way = false;
      if (cured_by_retry(status.code())) {
        item.refusal = status;
        add(refused, p.job, i);
      } else {
        answer(*p.job, i, {status});
      }
    }
  }
  if (!refused.empty()) again(std::move(refused));
}

void client_core::take_loss(slices parts, const op_status& status) {
  slices refused;
  for (auto& p : parts) {
    auto& job = *p.job;
    if (job.finished) continue;
    job.link = nullptr;
    for (auto i = p.begin; i < p.end; ++i) {
      job.items[i].under_way = false;
      job.items[i].lost = true;
    }
    if (cured_by_retry(status.code())) {
      refused.push_back(std::move(p));
      continue;
    }
    const bool known = status == op_code::not_supported; // the server did nothing
    const op_status write_status =
        known ? status : op_status{op_code::outcome_unknown, status.message()};
    if (job.atomic) {
      job.atomic_status = job.has_writes ? write_status : status;
      job.replies.clear();
      finish(job);
    } else {
      for (auto i = p.begin; i < p.end && !job.finished; ++i)
        if (!job.items[i].answered)
          answer(job, i, {is_write(job.items[i].op.kind) ? write_status : status});
    }
  }
  if (refused.empty()) return;
  if (status.code() != op_code::unavailable) return again(std::move(refused));
  // The connection is gone: back to the head of the lane, for the next connection, with the same
  // numbers.
  for (auto p = refused.rbegin(); p != refused.rend(); ++p) {
    count_.retries.fetch_add(p->end - p->begin, std::memory_order_relaxed);
    const auto way = lane_of(*p->job);
    lanes_[way].push_front(std::move(*p));
  }
}

void client_core::answer(client_job& job, std::uint32_t index, client_reply reply) {
  auto& item = job.items[index];
  item.answered = true;
  job.replies[index] = std::move(reply);
  if (--job.open == 0) finish(job);
}

void client_core::give_up(client_job& job, op_code unsent, const std::string& why) {
  for (std::uint32_t i = 0; i < job.items.size(); ++i) {
    auto& item = job.items[i];
    if (item.answered) continue;
    const bool sent = item.under_way || item.lost;
    op_status status;
    if (sent && is_write(item.op.kind))
      status = {op_code::outcome_unknown, why + "; the write was sent and may have happened"};
    else if (!sent && !item.refusal.ok())
      status = item.refusal;
    else
      status = {unsent, why};
    if (job.atomic && (i == 0 || status.code() == op_code::outcome_unknown))
      job.atomic_status = status;
    job.replies[i] = {std::move(status)};
  }
  if (job.atomic) job.replies.clear();
  finish(job);
}

void client_core::give_up(client_call& call, op_code unsent, const std::string& why) {
  if (call.once && call.sent)
    finish(call, {op_code::outcome_unknown, why + "; the call was sent and may have happened"});
  else if (!call.sent && !call.refusal.ok())
    finish(call, call.refusal);
  else
    finish(call, {unsent, why});
}

void client_core::finish(client_job& job) {
  const auto keep = *job.place;
  job.finished = true;
  open_jobs_.erase(job.place);
  {
    std::lock_guard lock{mutex_};
    queued_bytes_ -= job.size_bytes;
  }
  room_.notify_all();
  job.done(job);
}

void client_core::finish(client_call& call, op_status status) {
  const auto keep = *call.place;
  call.finished = true;
  open_calls_.erase(call.place);
  call.done(std::move(status));
}

void client_core::again(slices parts) {
  unsigned attempts = 0;
  for (auto& p : parts) {
    attempts = std::max(attempts, p.job->attempts++);
    p.job->link = nullptr;
    count_.retries.fetch_add(p.end - p.begin, std::memory_order_relaxed);
  }
  const auto pause = jittered(options_, attempts, random_);
  auto shared = std::make_shared<slices>(std::move(parts));
  tasks_->add(on_->timer().afterDelay(pause.count() * kj::MILLISECONDS).then([this, shared] {
    for (auto p = shared->rbegin(); p != shared->rend(); ++p) {
      const auto way = lane_of(*p->job);
      lanes_[way].push_front(std::move(*p));
    }
    pump_soon();
  }));
}

void client_core::again(std::shared_ptr<client_call> call) {
  count_.retries.fetch_add(1, std::memory_order_relaxed);
  const auto pause = jittered(options_, call->attempts++, random_);
  tasks_->add(on_->timer().afterDelay(pause.count() * kj::MILLISECONDS).then([this, call] {
    calls_.push_back(call);
    pump_soon();
  }));
}

// -- time, connections, the end -----------------------------------------------------------------

void client_core::tick_soon() {
  if (ticking_ || (open_jobs_.empty() && open_calls_.empty())) return;
  ticking_ = true;
  tasks_->add(on_->timer().afterDelay(tick_interval).then([this] {
    ticking_ = false;
    expire();
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
  for (auto& way : lanes_) way.clear();
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
  connected({});
  pump_soon();
}

void client_core::link_down(client_link&, const op_status& why) {
  last_down_ = {op_code::unavailable, "no connection to " + why.message()};
  ++failed_attempts_;
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
