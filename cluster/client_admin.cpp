#include "cluster/client.hpp"
#include "cluster/client_calls.hpp"
#include "messages/conversion.hpp"

namespace warp {

namespace {

struct nothing {};

/// Takes the operator's capability, then makes the call with it. `then(admin)` returns a promise of
/// a status.
template <class Then>
kj::Promise<op_status> with_admin(wire::Session::Client session, Then then) {
  return session.adminRequest().send().then(
      [then = std::move(then)](
          capnp::Response<wire::Session::AdminResults>&& answer) mutable -> kj::Promise<op_status> {
        if (answer.hasStatus()) return read_status(answer.getStatus());
        return then(answer.getAdmin());
      });
}

shard_summary read_shard(wire::ShardInfo::Reader from) {
  shard_summary s;
  s.shard = shard_id{from.getShard()};
  s.gets = from.getGets();
  s.get_hits = from.getGetHits();
  s.puts = from.getPuts();
  s.erases = from.getErases();
  s.other_operations = from.getOtherOperations();
  s.bytes_read = from.getBytesRead();
  s.bytes_written = from.getBytesWritten();
  s.expired = from.getExpired();
  s.log_records = from.getLogRecords();
  s.log_bytes = from.getLogBytes();
  s.stalls = from.getStalls();
  s.last_lsn = from.getLastLsn();
  s.durable_lsn = from.getDurableLsn();
  s.epoch = from.getEpoch();
  s.durable_lag_ms = from.getDurableLagMs();
  s.checkpoint_lsn = from.getCheckpointLsn();
  s.checkpoint_at_ms = from.getCheckpointAtMs();
  s.checkpoint_bytes = from.getCheckpointBytes();
  s.keys = from.getKeys();
  s.expiring_keys = from.getExpiringKeys();
  s.key_bytes = from.getKeyBytes();
  s.value_bytes = from.getValueBytes();
  s.record_bytes = from.getRecordBytes();
  s.index_bytes = from.getIndexBytes();
  s.accesses_per_s = from.getAccessesPerS();
  s.bytes_per_s = from.getBytesPerS();
  s.mass = from.getMass();
  return s;
}

stream_summary read_stream(wire::StreamInfo::Reader from) {
  stream_summary s;
  s.stream = from.getStream();
  s.rounds = from.getRounds();
  s.frames = from.getFrames();
  s.bytes = from.getBytes();
  s.syncs = from.getSyncs();
  s.segments = from.getSegments();
  s.segment_bytes = from.getSegmentBytes();
  s.failure = std::string{as_view(from.getFailure())};
  return s;
}

actor_summary read_actor(wire::ActorInfo::Reader from) {
  return {std::string{as_view(from.getPath())}, std::string{as_view(from.getState())},
          from.getRestarts(), std::string{as_view(from.getLastFailure())}};
}

log_frame_summary read_frame(wire::LogFrame::Reader from) {
  log_frame_summary frame;
  frame.epoch = from.getEpoch();
  frame.previous_lsn = from.getPreviousLsn();
  frame.first_lsn = from.getFirstLsn();
  frame.last_lsn = from.getLastLsn();
  frame.timestamp_us = from.getTimestampUs();
  frame.bytes = from.getBytes();
  for (const auto r : from.getRecords()) {
    log_record_summary record;
    record.lsn = r.getLsn();
    record.operation = std::string{as_view(r.getOperation())};
    record.key = std::string{as_view(r.getKey())};
    record.value = std::string{as_view(r.getValue())};
    record.value_bytes = r.getValueBytes();
    record.expires_at_ms = r.getExpiresAtMs();
    record.request = {r.getClient(), r.getNumber(), 0};
    frame.records.push_back(std::move(record));
  }
  return frame;
}

using shards_answer = capnp::Response<wire::Admin::ShardsResults>;

} // namespace

op_result<std::vector<shard_summary>> client_admin::shards() {
  return owner_->state_->call<std::vector<shard_summary>>(
      [](wire::Session::Client session, auto out) {
        return with_admin(std::move(session), [out](wire::Admin::Client admin) {
          return admin.shardsRequest().send().then([out](shards_answer&& answer) {
            out->clear();
            for (const auto s : answer.getShards()) out->push_back(read_shard(s));
            return op_status{};
          });
        });
      });
}

op_result<std::vector<stream_summary>> client_admin::streams() {
  return owner_->state_->call<std::vector<stream_summary>>(
      [](wire::Session::Client session, auto out) {
        return with_admin(std::move(session), [out](wire::Admin::Client admin) {
          return admin.shardsRequest().send().then([out](shards_answer&& answer) {
            out->clear();
            for (const auto s : answer.getStreams()) out->push_back(read_stream(s));
            return op_status{};
          });
        });
      });
}

op_status client_admin::checkpoint(std::span<const shard_id> shards,
                                   std::chrono::milliseconds deadline) {
  auto done = owner_->state_->call<nothing>(
      [shards = std::vector(shards.begin(), shards.end())](wire::Session::Client session, auto) {
        return with_admin(std::move(session), [shards](wire::Admin::Client admin) {
          auto request = admin.checkpointRequest();
          auto list = request.initShards(static_cast<unsigned>(shards.size()));
          for (unsigned i = 0; i < list.size(); ++i) list.set(i, shards[i].value);
          return request.send().then([](capnp::Response<wire::Admin::CheckpointResults>&& answer) {
            return answer.hasStatus() ? read_status(answer.getStatus()) : op_status{};
          });
        });
      },
      deadline);
  return done.status();
}

op_result<std::vector<actor_summary>> client_admin::tree() {
  return owner_->state_->call<std::vector<actor_summary>>(
      [](wire::Session::Client session, auto out) {
        return with_admin(std::move(session), [out](wire::Admin::Client admin) {
          return admin.treeRequest().send().then(
              [out](capnp::Response<wire::Admin::TreeResults>&& answer) {
                if (answer.hasStatus()) return read_status(answer.getStatus());
                out->clear();
                for (const auto a : answer.getActors()) out->push_back(read_actor(a));
                return op_status{};
              });
        });
      });
}

op_result<verify_summary> client_admin::verify(bool now) {
  return ask_verify(now, 0, {});
}

op_result<verify_summary> client_admin::wait_verified(std::uint64_t run,
                                                      std::chrono::milliseconds wait) {
  return ask_verify(false, run, wait);
}

op_result<verify_summary> client_admin::ask_verify(bool now, std::uint64_t run,
                                                   std::chrono::milliseconds wait) {
  auto& state = *owner_->state_;
  return state.call<verify_summary>(
      [now, run, wait](wire::Session::Client session, auto out) {
        return with_admin(std::move(session), [now, run, wait, out](wire::Admin::Client admin) {
          auto request = admin.verifyRequest();
          request.setNow(now);
          request.setRun(run);
          request.setWaitMs(static_cast<std::uint32_t>(wait.count()));
          return request.send().then([out](capnp::Response<wire::Admin::VerifyResults>&& answer) {
            if (answer.hasStatus()) return read_status(answer.getStatus());
            *out = {};
            out->begun = answer.getBegun();
            out->finished = answer.getFinished();
            out->files = answer.getFiles();
            out->bytes = answer.getBytes();
            for (const auto text : answer.getFindings()) out->findings.emplace_back(as_view(text));
            out->failure = std::string{as_view(answer.getFailure())};
            return op_status{};
          });
        });
      },
      state.core.options().deadline + wait);
}

op_status client_admin::chaos(std::string_view path) {
  auto done = owner_->state_->call<nothing>(
      [path = std::string{path}](wire::Session::Client session, auto) {
        return with_admin(std::move(session), [path](wire::Admin::Client admin) {
          auto request = admin.chaosRequest();
          request.setPath(as_text(path));
          return request.send().then([](capnp::Response<wire::Admin::ChaosResults>&& answer) {
            return answer.hasStatus() ? read_status(answer.getStatus()) : op_status{};
          });
        });
      },
      {}, true);
  return done.status();
}

op_result<log_page> client_admin::log_frames(shard_id shard, lsn_t from, std::size_t limit,
                                             bool with_values) {
  return owner_->state_->call<log_page>(
      [shard, from, limit, with_values](wire::Session::Client session, auto out) {
        return with_admin(std::move(session), [=](wire::Admin::Client admin) {
          auto request = admin.walDumpRequest();
          request.setShard(shard.value);
          request.setFromLsn(from);
          request.setLimit(static_cast<std::uint32_t>(std::min<std::size_t>(limit, 0xffff'ffffu)));
          request.setWithValues(with_values);
          return request.send().then([out](capnp::Response<wire::Admin::WalDumpResults>&& answer) {
            if (answer.hasStatus()) return read_status(answer.getStatus());
            *out = {};
            for (const auto f : answer.getFrames()) out->frames.push_back(read_frame(f));
            out->next_lsn = answer.getNextLsn();
            return op_status{};
          });
        });
      });
}

op_result<std::uint64_t> client_admin::order_backup(std::string_view folder) {
  return owner_->state_->call<std::uint64_t>(
      [folder = std::string{folder}](wire::Session::Client session, auto out) {
        return with_admin(std::move(session), [folder, out](wire::Admin::Client admin) {
          auto request = admin.backupRequest();
          if (!folder.empty()) request.setFolder(as_text(folder));
          return request.send().then([out](capnp::Response<wire::Admin::BackupResults>&& answer) {
            if (answer.hasStatus()) return read_status(answer.getStatus());
            *out = answer.getTicket();
            return op_status{};
          });
        });
      },
      {}, true);
}

op_result<backup_summary> client_admin::backup(std::uint64_t ticket) {
  return wait_backup(ticket, 0, {});
}

op_result<backup_summary> client_admin::wait_backup(std::uint64_t ticket, std::uint64_t seen_bytes,
                                                    std::chrono::milliseconds wait) {
  auto& state = *owner_->state_;
  return state.call<backup_summary>(
      [ticket, seen_bytes, wait](wire::Session::Client session, auto out) {
        return with_admin(std::move(session),
                          [ticket, seen_bytes, wait, out](wire::Admin::Client admin) {
                            auto request = admin.backupStateRequest();
                            request.setTicket(ticket);
                            request.setSeenBytes(seen_bytes);
                            request.setWaitMs(static_cast<std::uint32_t>(wait.count()));
                            return request.send().then(
                                [out](capnp::Response<wire::Admin::BackupStateResults>&& answer) {
                                  if (answer.hasStatus()) return read_status(answer.getStatus());
                                  const auto from = answer.getState();
                                  *out = {};
                                  out->done = from.getDone();
                                  out->bytes_done = from.getBytesDone();
                                  out->bytes_total = from.getBytesTotal();
                                  if (from.hasResult()) out->result = read_status(from.getResult());
                                  out->name = std::string{as_view(from.getName())};
                                  out->bytes = from.getBytes();
                                  out->new_bytes = from.getNewBytes();
                                  out->taken_us = from.getTakenUs();
                                  out->anew = std::string{as_view(from.getAnew())};
                                  return op_status{};
                                });
                          });
      },
      state.core.options().deadline + wait);
}

} // namespace warp
