#include "storage/gapless_reader.hpp"

namespace warp::storage {

gapless_reader::gapless_reader(segment_store& store, shard_id shard, lsn_t after, log_origin origin)
    : cursor_(store, shard, after), origin_(origin) {
  move_to(after);
}

void gapless_reader::move_to(lsn_t lsn) noexcept {
  // A start skips LSNs that nobody was told.
  position_ = origin_.exact && lsn == origin_.last ? origin_.next - 1 : lsn;
}

gapless_reader::outcome gapless_reader::read(lsn_t up_to,
                                             const std::function<void(const log_record&)>& visit) {
  if (position_ >= up_to) return outcome::tail;
  const auto frame = cursor_.next(up_to);
  if (!frame) return outcome::lost;
  if (!*frame) return outcome::lost; // what is durable and not there was never logged
  auto bytes = (*frame)->records;
  auto lsn = (*frame)->header.first - 1;
  const bool follows = origin_.linked && (*frame)->header.previous <= position_;
  log_record r;
  while (!bytes.empty()) {
    if (!decode_record(bytes, lsn, r)) return outcome::lost;
    if (r.op == log_op::parts || r.lsn <= position_) continue;
    if (r.lsn > up_to || r.lsn > (*frame)->keep) break;
    if (r.lsn != position_ + 1 && !follows) return outcome::lost;
    move_to(r.lsn);
    if (r.op != log_op::nothing) each_change(r, visit);
  }
  return outcome::more;
}

} // namespace warp::storage
