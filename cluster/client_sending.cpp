// How jobs become messages: what client_core does between a lane and the wire.
#include "cluster/client_core.hpp"
#include "messages/conversion.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace warp::cluster {

namespace {

/// Messages under way on one connection at most. Few, since what waits meanwhile leaves together;
/// more where the disk decides.
constexpr std::array<std::size_t, 2> in_flight_max{4, 8};
/// Operations and bytes of one message at most, when one job alone fills it.
constexpr std::size_t message_operations_max = 8'192, message_bytes_soft_max = 4u << 20;
constexpr std::size_t word_bytes = sizeof(capnp::word);

std::size_t size_of(const client_job::item& item) noexcept {
  return item.op.key.size() + item.op.value.size() + 64;
}

/// Of a part of a job: at least what it weighs.
std::size_t size_of(const client_slice& part) noexcept {
  const auto& items = part.job->items;
  if (part.end - part.begin == items.size()) return part.job->size_bytes;
  std::size_t bytes = 0;
  for (auto i = part.begin; i < part.end; ++i) bytes += size_of(items[i]);
  return bytes;
}

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
  for (auto* const group : groups()) {
    pump_lane(*group, fast);
    pump_lane(*group, slow);
  }
  for (auto waiting = std::exchange(calls_, {}); !waiting.empty(); waiting.pop_front()) {
    auto& call = waiting.front();
    if (call->finished) continue;
    if (auto* const link = link_for(*call))
      send_call(*link, std::move(call));
    else
      calls_.push_back(std::move(call));
  }
}

void client_core::pump_lane(client_group& at, lane way) {
  auto& waiting = at.lanes[way];
  while (!waiting.empty()) {
    auto& front = waiting.front();
    if (front.job->finished) {
      waiting.pop_front();
      continue;
    }
    auto* link = pick(at, way, *front.job);
    if (!link) return;
    if (refuse_too_large(*front.job, link->info())) [[unlikely]] {
      // What is left of it waits at the same place.
      const auto part = std::move(front);
      waiting.pop_front();
      slices left;
      for (auto i = part.begin; i < part.end && !part.job->finished; ++i)
        if (!part.job->items[i].answered) add_item(left, part.job, i);
      waiting.insert(waiting.begin(), left.begin(), left.end());
      continue;
    }
    if (front.job->atomic) {
      auto part = std::move(front);
      waiting.pop_front();
      send_atomic(at, *link, way, std::move(part));
    } else {
      send(at, *link, way, gather(at, *link, way));
    }
  }
}

client_link* client_core::pick(client_group& at, lane way, const client_job& job) noexcept {
  const auto usable = [way](const client_link& l) {
    return l.ready() && l.in_flight[way] < in_flight_max[way];
  };
  if (job.link && job.link->ready() && at.has(job.link))
    return usable(*job.link) ? job.link : nullptr;
  client_link* best = nullptr;
  for (std::size_t i = 0; i < at.links.size(); ++i) {
    auto& l = *at.links[(at.next_link + i) % at.links.size()];
    if (usable(l) && (!best || l.in_flight[way] < best->in_flight[way])) best = &l;
  }
  ++at.next_link;
  return best;
}

client_core::slices client_core::gather(client_group& at, client_link& link, lane way) {
  auto& waiting = at.lanes[way];
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
      if (bytes + size_of(front) >
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

void client_core::send(client_group& at, client_link& link, lane way, slices parts) {
  if (parts.empty()) return;
  auto request = link.session().executeRequest(capnp::MessageSize{words_of(parts), 0});
  fill(request, parts);
  await(at, link, way, std::move(parts), request.send());
}

void client_core::send_atomic(client_group& at, client_link& link, lane way, client_slice part) {
  slices parts;
  parts.push_back(std::move(part));
  auto request = link.session().executeAtomicRequest(capnp::MessageSize{words_of(parts), 0});
  fill(request, parts);
  await(at, link, way, std::move(parts), request.send());
}

template <class Results>
void client_core::await(client_group& at, client_link& link, lane way, slices parts,
                        capnp::RemotePromise<Results> answer) {
  count_.messages.fetch_add(1, std::memory_order_relaxed);
  if (clustered_ && link.in_flight[fast] + link.in_flight[slow] == 0)
    link.silent_since = client_clock::now();
  ++link.in_flight[way];
  auto shared = std::make_shared<slices>(std::move(parts));
  const auto back = [this, &link, way, generation = link.generation] {
    if (link.generation == generation) --link.in_flight[way];
    if (clustered_) link.silent_since = client_clock::now();
    pump_soon();
  };
  tasks_->add(answer.then(
      [this, shared, back, &at](capnp::Response<Results>&& got) {
        back();
        const auto status = got.hasStatus() ? read_status(got.getStatus()) : op_status{};
        if constexpr (std::is_same_v<Results, wire::Session::ExecuteAtomicResults>) {
          auto& job = *shared->front().job;
          if (job.finished) return;
          job.atomic_status = status;
          if (clustered_ && status == op_code::wrong_shard && got.getReplies().size() != 0)
            learn(read_reply(got.getReplies()[0]));
          if (cured(status.code())) return take_refusal(*shared, status);
          if (clustered_ && status == op_code::outcome_unknown && job.has_writes) {
            for (auto& item : job.items) {
              item.under_way = false;
              item.lost = true;
            }
            return again(*shared);
          }
          if (!got.hasReplies())
            return take_refusal(*shared, !status.ok() ? status
                                                      : op_status{op_code::corruption,
                                                                  "an answer without replies"});
        } else if (!status.ok()) {
          return take_refusal(*shared, status);
        }
        take_answer(at, *shared, got.getReplies());
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
                        if (!cured(status.code())) return finish(*call, std::move(status));
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

} // namespace warp::cluster
