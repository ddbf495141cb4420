// Copies that lag behind, or begin: the log read back, and checkpoints that arrive.

#include "cluster/replication_host.hpp"

#include "storage/checkpoint_reader.hpp"
#include "storage/log_record.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace warp::cluster {

using namespace replication;
using storage::applied_place;

void replication_host::on(const action::read_log& a) {
  ++stats_.log_reads;
  event::log_read out{a.to, a.after, 0, {}};
  if (auto status = read_for(a, out); !status.ok()) {
    readers_.erase(a.to);
    out.records = {};
    if (status.code() != op_code::not_found) return halt(std::move(status));
  }
  events_.push_back(std::move(out));
}

op_status replication_host::read_for(const action::read_log& a, event::log_read& out) {
  auto& from = readers_[a.to];
  if (!from.cursor || from.at != a.after) {
    if (a.after < floor_.lsn) return op_code::not_found;
    const bool at_floor = a.after == floor_.lsn;
    from = {engine_.read_log(id_, at_floor ? a.after : a.after - 1), a.after,
            at_floor ? floor_.epoch : epoch_t{0}, at_floor};
  }
  const auto up_to = std::min(shard_->applied().lsn, shard_->durable_lsn());
  std::vector<log_record> records;
  std::size_t body_bytes = 0;
  while (records.size() < a.count_max && body_bytes < options_.machine.batch_bytes_max) {
    auto frame = from.cursor->next(up_to);
    if (!frame) return frame.status();
    if (!*frame) break;
    auto bytes = (*frame)->records;
    lsn_t lsn = (*frame)->header.first - 1;
    storage::log_record record;
    while (!bytes.empty()) {
      if (!storage::decode_record(bytes, lsn, record))
        return {op_code::corruption,
                fmt::format("shard {}: the frame from LSN {} holds a malformed record", id_.value,
                            (*frame)->header.first)};
      if (record.op == storage::log_op::parts || lsn > (*frame)->keep || lsn > up_to) continue;
      if (lsn == from.at && !from.fits) {
        from.fits = true;
        from.epoch = (*frame)->header.epoch;
      }
      if (lsn <= from.at) continue;
      if (!from.fits) return op_code::not_found; // what the other copy ends with is not in here
      if (records.empty()) out.after_epoch = from.epoch;
      records.push_back({lsn, (*frame)->header.epoch, record.op == storage::log_op::nothing,
                         storage::body_of(record)});
      body_bytes += records.back().body.size();
      from.at = lsn;
      from.epoch = (*frame)->header.epoch;
    }
  }
  from.cursor->rest();
  out.records = std::move(records);
  return {};
}

op_status replication_host::checkpoint_arrived(epoch_t max_epoch, const std::string& path) {
  if (halted_) return {op_code::shutting_down, "this copy has halted"};
  auto reader = storage::checkpoint_reader::open(files_, path);
  if (!reader) return reader.status();
  if (reader->header().shard != id_)
    return {op_code::invalid_argument, fmt::format("{} holds shard {}, not shard {}", path,
                                                   reader->header().shard.value, id_.value)};
  applied_place place;
  if (auto status = read_place(*reader, place); !status.ok()) return status;
  if (auto status = reader->verify(); !status.ok()) return status;
  incoming_ = path;
  feed(event::checkpoint_received{max_epoch, {place.lsn, place.epoch, place.hash}});
  incoming_.clear();
  return {};
}

} // namespace warp::cluster
