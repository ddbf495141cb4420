#include "cluster/rpc_admin.hpp"

#include "cluster/physics_backend.hpp"
#include "cluster/rpc_admin_detail.hpp"
#include "messages/conversion.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

namespace warp::cluster {

namespace {

constexpr std::size_t log_records_default = 1'000, log_records_max = 10'000;
constexpr std::size_t findings_max = 1'000;
constexpr std::uint32_t wait_ms_max = 60'000;

void write_shard(std::uint32_t number, const storage::shard_stats& from,
                 wire::ShardInfo::Builder to) {
  to.setShard(number);
  to.setGets(from.gets);
  to.setGetHits(from.get_hits);
  to.setPuts(from.puts);
  to.setErases(from.erases);
  to.setOtherOperations(from.other_ops);
  to.setBytesRead(from.bytes_read);
  to.setBytesWritten(from.bytes_written);
  to.setExpired(from.expired);
  to.setLogRecords(from.log_records);
  to.setLogBytes(from.log_bytes);
  to.setStalls(from.stalls);
  to.setLastLsn(from.last_lsn);
  to.setDurableLsn(from.durable_lsn);
  to.setDurableLagMs(from.durable_lag_ms);
  to.setCheckpointLsn(from.checkpoint_lsn);
  to.setCheckpointAtMs(from.checkpoint_at_ms);
  to.setCheckpointBytes(from.checkpoint_bytes);
  to.setKeys(from.table.keys);
  to.setExpiringKeys(from.table.expiring_keys);
  to.setKeyBytes(from.table.key_bytes);
  to.setValueBytes(from.table.value_bytes);
  to.setRecordBytes(from.table.record_bytes);
  to.setIndexBytes(from.table.index_bytes);
  to.setEpoch(from.epoch);
}

void write_stream(std::uint32_t number, const storage::stream_stats& from,
                  wire::StreamInfo::Builder to) {
  to.setStream(number);
  to.setRounds(from.rounds);
  to.setFrames(from.frames);
  to.setBytes(from.bytes);
  to.setSyncs(from.syncs);
  to.setSegments(from.segments);
  to.setSegmentBytes(from.segment_bytes);
  if (!from.failure.empty()) to.setFailure(as_text(from.failure));
}

void write_actor(const actor_summary& from, wire::ActorInfo::Builder to) {
  to.setPath(as_text(from.path));
  to.setState(as_text(from.state));
  to.setRestarts(from.restarts);
  if (!from.last_failure.empty()) to.setLastFailure(as_text(from.last_failure));
}

void write_frame(const log_frame_summary& from, wire::LogFrame::Builder to) {
  to.setEpoch(from.epoch);
  to.setPreviousLsn(from.previous_lsn);
  to.setFirstLsn(from.first_lsn);
  to.setLastLsn(from.last_lsn);
  to.setTimestampUs(from.timestamp_us);
  to.setBytes(from.bytes);
  auto records = to.initRecords(static_cast<unsigned>(from.records.size()));
  for (unsigned i = 0; i < records.size(); ++i) {
    const auto& r = from.records[i];
    auto out = records[i];
    out.setLsn(r.lsn);
    out.setOperation(as_text(r.operation));
    out.setKey(as_data(r.key));
    if (!r.value.empty()) out.setValue(as_data(r.value));
    out.setValueBytes(r.value_bytes);
    out.setExpiresAtMs(r.expires_at_ms);
    out.setClient(r.request.client);
    out.setNumber(r.request.number);
  }
}

/// Cuts a page down to what fits one message and says where to go on.
void cut_to(std::size_t bytes, log_page& page) {
  std::size_t used = 0;
  for (std::size_t i = 0; i < page.frames.size(); ++i) {
    for (auto& r : page.frames[i].records)
      used += r.key.size() + r.value.size() + r.operation.size() + 128;
    used += 128;
    if (used <= bytes) continue;
    if (i == 0) {
      // A frame that is too long on its own travels without its values.
      for (auto& r : page.frames[0].records) r.value.clear();
      i = 1;
    }
    if (i == page.frames.size()) return;
    page.next_lsn = page.frames[i].first_lsn;
    page.frames.resize(i);
  }
}

} // namespace

template <class Job, class Over, class Answer>
kj::Promise<void> rpc_admin::in_time(Job job, Over over, Answer answer, std::uint32_t wait_ms) {
  const auto wait = std::min(wait_ms, wait_ms_max) * kj::MILLISECONDS;
  return in_time(std::move(job), std::move(over), std::move(answer), context_.timer.now() + wait);
}

template <class Job, class Over, class Answer>
kj::Promise<void> rpc_admin::in_time(Job job, Over over, Answer answer, kj::TimePoint deadline) {
  auto change = kj::newPromiseAndCrossThreadFulfiller<void>();
  const auto changed =
      std::make_shared<kj::Own<kj::CrossThreadPromiseFulfiller<void>>>(kj::mv(change.fulfiller));
  using result = decltype(job());
  struct looked_at {
    std::shared_ptr<void> listener;
    result found;
  };
  auto listen_and_look = [admin = context_.admin, job, changed] {
    auto listener = admin->on_job_change([changed] { (*changed)->fulfill(); });
    return looked_at{std::move(listener), job()};
  };
  // What was found is answered when the look is over, or looked at again after the change.
  auto again = kj::heap<kj::Promise<void>>(kj::READY_NOW);
  auto* next = again.get();
  return beside(std::move(listen_and_look),
                [this, job, over, answer, deadline, next,
                 change = kj::mv(change.promise)](kj::Own<looked_at> looked) mutable {
                  if (over(looked->found) || context_.timer.now() >= deadline) {
                    answer(kj::heap<result>(std::move(looked->found)));
                    return;
                  }
                  auto first = change.exclusiveJoin(context_.timer.atTime(deadline));
                  *next = first.attach(std::move(looked->listener))
                              .then([this, job, over, answer, deadline]() mutable {
                                return in_time(job, over, answer, deadline);
                              });
                })
      .then([again = kj::mv(again)]() mutable { return kj::mv(*again); });
}

kj::Promise<void> rpc_admin::shards(ShardsContext call) {
  context_.counters.calls.fetch_add(1, std::memory_order_relaxed);
  const auto& engine = context_.engine;
  auto results = call.getResults();
  auto shards = results.initShards(engine.shard_count());
  for (std::uint32_t i = 0; i < engine.shard_count(); ++i)
    write_shard(i, engine.stats(shard_id{i}), shards[i]);
  if (context_.options.physics)
    if (const auto known = context_.options.physics->shards())
      for (const auto& s : *known) {
        auto to = shards[s.shard.value];
        to.setAccessesPerS(s.accesses_per_s);
        to.setBytesPerS(s.bytes_per_s);
        to.setMass(s.mass);
      }
  auto streams = results.initStreams(engine.stream_count());
  for (std::uint32_t i = 0; i < engine.stream_count(); ++i)
    write_stream(i, engine.stats_of_stream(i), streams[i]);
  return kj::READY_NOW;
}

kj::Promise<void> rpc_admin::checkpoint(CheckpointContext call) {
  std::vector<shard_id> shards;
  for (const auto number : call.getParams().getShards()) {
    if (number >= context_.engine.shard_count()) {
      answer_status({op_code::invalid_argument,
                     "there is no shard " + std::to_string(number) + ": the last one is " +
                         std::to_string(context_.engine.shard_count() - 1)},
                    call.getResults());
      return kj::READY_NOW;
    }
    shards.push_back(shard_id{number});
  }
  return beside(
      [admin = context_.admin, shards = std::move(shards)] { return admin->checkpoint(shards); },
      [this, call](kj::Own<op_status> status) mutable {
        answer_status(*status, call.getResults());
      });
}

kj::Promise<void> rpc_admin::tree(TreeContext call) {
  return beside([admin = context_.admin] { return admin->tree(); },
                [this, call](kj::Own<op_result<std::vector<actor_summary>>> asked) mutable {
                  auto& tree = *asked;
                  auto results = call.getResults();
                  if (!tree.ok()) return answer_status(tree.status(), results);
                  auto actors = results.initActors(static_cast<unsigned>(tree->size()));
                  for (unsigned i = 0; i < actors.size(); ++i) write_actor((*tree)[i], actors[i]);
                });
}

kj::Promise<void> rpc_admin::chaos(ChaosContext call) {
  return beside(
      [admin = context_.admin, path = std::string{as_view(call.getParams().getPath())}] {
        return admin->chaos(path);
      },
      [this, call](kj::Own<op_status> status) mutable {
        answer_status(*status, call.getResults());
      });
}

kj::Promise<void> rpc_admin::walDump(WalDumpContext call) {
  const auto params = call.getParams();
  const shard_id shard{params.getShard()};
  if (shard.value >= context_.engine.shard_count()) {
    answer_status({op_code::invalid_argument, "there is no shard " + std::to_string(shard.value)},
                  call.getResults());
    return kj::READY_NOW;
  }
  const std::size_t limit = params.getLimit() == 0
                                ? log_records_default
                                : std::min<std::size_t>(params.getLimit(), log_records_max);
  return beside(
      [admin = context_.admin, shard, from = params.getFromLsn(), limit,
       with_values = params.getWithValues()] {
        return admin->log_frames(shard, from, limit, with_values);
      },
      [this, call](kj::Own<op_result<log_page>> asked) mutable {
        auto& page = *asked;
        auto results = call.getResults();
        if (!page.ok()) return answer_status(page.status(), results);
        cut_to(message_bytes_max(context_.engine.options().value_bytes_max) / 2, *page);
        auto frames = results.initFrames(static_cast<unsigned>(page->frames.size()));
        for (unsigned i = 0; i < frames.size(); ++i) write_frame(page->frames[i], frames[i]);
        results.setNextLsn(page->next_lsn);
      });
}

kj::Promise<void> rpc_admin::backup(BackupContext call) {
  return beside(
      [admin = context_.admin, folder = std::string{as_view(call.getParams().getFolder())}] {
        return admin->order_backup(folder);
      },
      [this, call](kj::Own<op_result<std::uint64_t>> ordered) mutable {
        auto results = call.getResults();
        if (!ordered->ok()) return answer_status(ordered->status(), results);
        results.setTicket(**ordered);
      });
}

kj::Promise<void> rpc_admin::backupState(BackupStateContext call) {
  const auto params = call.getParams();
  return in_time(
      [admin = context_.admin, ticket = params.getTicket()] { return admin->backup(ticket); },
      [seen = params.getSeenBytes()](const op_result<backup_summary>& found) {
        return !found.ok() || found->done || found->bytes_done > seen;
      },
      [this, call](kj::Own<op_result<backup_summary>> asked) mutable {
        auto& from = *asked;
        auto results = call.getResults();
        if (!from.ok()) return answer_status(from.status(), results);
        auto to = results.initState();
        to.setDone(from->done);
        to.setBytesDone(from->bytes_done);
        to.setBytesTotal(from->bytes_total);
        if (!from->result.ok()) write_status(from->result, to.initResult());
        to.setName(as_text(from->name));
        to.setBytes(from->bytes);
        to.setNewBytes(from->new_bytes);
        to.setTakenUs(from->taken_us);
        if (!from->anew.empty()) to.setAnew(as_text(from->anew));
      },
      params.getWaitMs());
}

kj::Promise<void> rpc_admin::verify(VerifyContext call) {
  const auto params = call.getParams();
  return in_time(
      // Another run is asked for by the first look alone.
      [admin = context_.admin, now = std::make_shared<bool>(params.getNow())] {
        return admin->verify(std::exchange(*now, false));
      },
      [run = params.getRun()](const op_result<verify_summary>& found) {
        return !found.ok() || found->finished >= run;
      },
      [this, call](kj::Own<op_result<verify_summary>> asked) mutable {
        auto& found = *asked;
        auto results = call.getResults();
        if (!found.ok()) return answer_status(found.status(), results);
        results.setBegun(found->begun);
        results.setFinished(found->finished);
        results.setFiles(found->files);
        results.setBytes(found->bytes);
        // A folder that is damaged all over: the first ones tell enough.
        auto list = results.initFindings(
            static_cast<unsigned>(std::min(found->findings.size(), findings_max)));
        for (unsigned i = 0; i < list.size(); ++i) list.set(i, as_text(found->findings[i]));
        if (!found->failure.empty()) results.setFailure(as_text(found->failure));
      },
      params.getWaitMs());
}

} // namespace warp::cluster
