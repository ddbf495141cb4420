#include "cluster/links/packed_records.hpp"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <memory>
#include <utility>
#include <vector>

namespace warp::cluster::links {

namespace {

using namespace replication;

constexpr std::uint32_t body_bits = 0x1fff'ffff, is_no_op = 1u << 30, has_place = 1u << 31;
static_assert(record_body_bytes_max <= body_bits);
/// What stands before a body: a number, and an LSN and an epoch where they do not follow from the
/// record before it.
constexpr std::size_t number_bytes = sizeof(std::uint32_t), place_bytes = 2 * sizeof(std::uint64_t);

/// The place from which the next record's follows.
struct running_place {
  lsn_t lsn;
  epoch_t epoch;
  explicit running_place(const append& m) : lsn(m.previous_lsn), epoch(m.previous_epoch) {}
  /// Goes on to the record; does its place follow?
  bool step(lsn_t next, epoch_t of) {
    const bool follows = next == lsn + 1 && of == epoch;
    lsn = next;
    epoch = of;
    return follows;
  }
};

template <class Number>
void put(char*& to, Number value) noexcept {
  std::memcpy(to, &value, sizeof value);
  to += sizeof value;
}

template <class Number>
Number take(const char*& from) noexcept {
  Number value;
  std::memcpy(&value, from, sizeof value);
  from += sizeof value;
  return value;
}

op_status wrong(std::string what) {
  return {op_code::corruption, std::move(what)};
}

} // namespace

std::size_t packed_bytes(const append& from) noexcept {
  const auto& records = from.records;
  if (records.empty()) return 0;
  running_place at{from};
  auto sum = records.size() * number_bytes + records.body_bytes();
  const auto look_at = records.dense() ? 1 : records.size(); // the rest follows
  for (std::size_t i = 0; i < look_at; ++i)
    if (!at.step(records.lsn_at(i), records.epoch_at(i))) sum += place_bytes;
  return sum;
}

void pack_records(const append& from, char* to) noexcept {
  running_place at{from};
  const auto& records = from.records;
  const bool dense = !records.empty() && records.dense();
  for (std::size_t i = 0; i < records.size(); ++i) {
    const bool follows = (dense && i != 0) || at.step(records.lsn_at(i), records.epoch_at(i));
    const auto body = records.body_at(i);
    put(to, static_cast<std::uint32_t>(body.size()) | (records.no_op_at(i) ? is_no_op : 0) |
                (follows ? 0 : has_place));
    if (!follows) {
      put(to, std::uint64_t{at.lsn});
      put(to, std::uint64_t{at.epoch});
    }
    if (!body.empty()) std::memcpy(to, body.data(), body.size());
    to += body.size();
  }
}

op_status unpack_records(std::string_view bytes, std::size_t count, append& to) {
  if (count > bytes.size() / number_bytes)
    return wrong(fmt::format("{} records in {} bytes", count, bytes.size()));
  if (count == 0) return bytes.empty() ? op_status{} : wrong("bytes behind the last record");
  // All that is logged, applied and forgotten together lies side by side.
  auto all = std::make_shared_for_overwrite<char[]>(bytes.size());
  std::memcpy(all.get(), bytes.data(), bytes.size());
  const char* from = all.get();
  const char* const end = from + bytes.size();
  const auto left = [&] { return static_cast<std::size_t>(end - from); };
  log_run_builder records{count};
  lsn_t last = to.previous_lsn;
  epoch_t epoch = to.previous_epoch;
  for (std::size_t i = 0; i < count; ++i) {
    if (left() < number_bytes) return wrong("a record is cut off");
    const auto number = take<std::uint32_t>(from);
    const std::size_t size = number & body_bits;
    if ((number & ~(body_bits | is_no_op | has_place)) != 0)
      return wrong("a record of no known kind");
    lsn_t lsn = last + 1;
    if ((number & has_place) != 0) {
      if (left() < place_bytes) return wrong("a record is cut off");
      lsn = take<std::uint64_t>(from);
      const auto of = take<std::uint64_t>(from);
      if (of > to.epoch || of < epoch)
        return wrong(fmt::format("a record of epoch {} behind epoch {} in an Append of epoch {}",
                                 of, epoch, to.epoch));
      epoch = of;
    }
    if (lsn <= last || lsn > lsn_max)
      return wrong(fmt::format("a record with LSN {} follows LSN {}", lsn, last));
    if (left() < size) return wrong("a record is cut off");
    last = lsn;
    records.add(lsn, epoch, (number & is_no_op) != 0, {from, size});
    from += size;
  }
  if (from != end) return wrong("bytes behind the last record");
  records.keep(std::move(all));
  to.records = std::move(records).done();
  return {};
}

} // namespace warp::cluster::links
