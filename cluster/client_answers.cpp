// What becomes of answers, and of the lack of them.
#include "cluster/client_core.hpp"
#include "messages/conversion.hpp"

#include <algorithm>

namespace warp::cluster {

namespace {

client_reply owned(const reply_view& from) {
  client_reply reply;
  reply.status =
      from.message.empty() ? op_status{from.code} : op_status{from.code, std::string{from.message}};
  reply.shard = from.shard;
  reply.version = from.version;
  reply.number = from.number;
  reply.expires_at_ms = from.expires_at_ms;
  reply.value = from.value;
  reply.type = from.type;
  return reply;
}

} // namespace

/// Whether a later try may well succeed: nothing was done, or a retry by number is safe.
bool client_core::cured(op_code code) const noexcept {
  return cured_by_retry(code) ||
         (clustered_ && (code == op_code::wrong_shard || code == op_code::no_replicas));
}

void client_core::take_answer(const client_group& from, const slices& parts,
                              capnp::List<wire::Reply>::Reader replies) {
  std::size_t count = 0;
  for (auto& p : parts) count += p.end - p.begin;
  if (replies.size() != count)
    return take_refusal(parts, {op_code::corruption, "the server answered " +
                                                         std::to_string(replies.size()) + " of " +
                                                         std::to_string(count) + " operations"});
  slices refused, redirected;
  std::uint32_t at = 0;
  for (auto& p : parts)
    for (auto i = p.begin; i < p.end; ++i, ++at) {
      auto& item = p.job->items[i];
      if (p.job->finished || item.answered) continue;
      item.under_way = false;
      const auto view = read_reply(replies[at]);
      if (cured(view.code) && !p.job->atomic) [[unlikely]] {
        if (view.code == op_code::wrong_shard) learn(view);
        item.refusal = {view.code == op_code::wrong_shard ? op_code::unavailable : view.code,
                        std::string{view.message}};
        // To whom else is known to serve it now it goes at once.
        const bool elsewhere = view.code == op_code::wrong_shard && &group_of(item) != &from;
        add_item(elsewhere ? redirected : refused, p.job, i);
      } else if (clustered_ && view.code == op_code::outcome_unknown && is_write(item.op.kind) &&
                 !p.job->atomic) {
        // Whoever serves the shard now knows by its number whether it was done.
        item.lost = true;
        add_item(refused, p.job, i);
      } else {
        answer(*p.job, i, owned(view));
      }
    }
  if (!redirected.empty()) {
    for (auto& p : redirected) p.job->link = nullptr;
    put_back(std::move(redirected));
    pump_soon();
  }
  if (!refused.empty()) again(std::move(refused));
}

void client_core::take_refusal(const slices& parts, const op_status& status) {
  slices refused;
  for (auto& p : parts) {
    if (p.job->finished) continue;
    if (p.job->atomic && !cured(status.code())) {
      p.job->atomic_status = status;
      p.job->replies.clear();
      finish(*p.job);
      continue;
    }
    for (auto i = p.begin; i < p.end && !p.job->finished; ++i) {
      auto& item = p.job->items[i];
      if (item.answered) continue;
      item.under_way = false;
      if (cured(status.code())) {
        item.refusal = status == op_code::wrong_shard
                           ? op_status{op_code::unavailable, status.message()}
                           : status;
        add_item(refused, p.job, i);
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
  for (const auto& p : refused)
    count_.retries.fetch_add(p.end - p.begin, std::memory_order_relaxed);
  put_back(std::move(refused));
  refresh_soon();
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
  refresh_soon();
  const auto pause = jittered(options_, attempts, random_);
  auto shared = std::make_shared<slices>(std::move(parts));
  tasks_->add(on_->timer().afterDelay(pause.count() * kj::MILLISECONDS).then([this, shared] {
    put_back(std::move(*shared));
    pump_soon();
  }));
}

void client_core::again(std::shared_ptr<client_call> call) {
  count_.retries.fetch_add(1, std::memory_order_relaxed);
  if (call->refusal == op_code::wrong_shard)
    call->refusal = {op_code::unavailable, call->refusal.message()};
  refresh_soon();
  const auto pause = jittered(options_, call->attempts++, random_);
  tasks_->add(on_->timer().afterDelay(pause.count() * kj::MILLISECONDS).then([this, call] {
    calls_.push_back(call);
    pump_soon();
  }));
}

} // namespace warp::cluster
