#include "storage/record_body.hpp"

#include <algorithm>

namespace warp::storage {

namespace {

/// `make` as shared_bytes::made().
template <class Make>
shared_bytes make_body(const log_record& record, Make make) {
  if (record.op == log_op::nothing) return {};
  char head[record_head_bytes_max];
  const auto size = encode_record_head(record, record.lsn, head);
  const auto payload = record.payload();
  return make(size + record.key.size() + payload.size(), [&](char* to) {
    to = std::copy_n(head, size, to);
    to = std::ranges::copy(record.key, to).out;
    std::ranges::copy(payload, to);
  });
}

} // namespace

shared_bytes body_of(const log_record& record) {
  return make_body(record,
                   [](std::size_t size, auto fill) { return shared_bytes::made(size, fill); });
}

shared_bytes body_of(const log_record& record, shared_bytes_maker& maker) {
  return make_body(record, [&](std::size_t size, auto fill) { return maker.made(size, fill); });
}

shared_bytes plain_put_body(const record_meta& meta, std::string_view key, std::string_view value,
                            shared_bytes_maker& maker) {
  return maker.made(record_head_bytes + key.size() + value.size(), [&](char* to) {
    encode_plain_put_head(meta, key.size(), value.size(), to);
    to = std::ranges::copy(key, to + record_head_bytes).out;
    std::ranges::copy(value, to);
  });
}

bool decode_body(lsn_t lsn, std::string_view body, log_record& record) noexcept {
  if (body.empty()) {
    record = {};
    record.op = log_op::nothing;
    record.lsn = lsn;
    return true;
  }
  auto before = lsn - 1;
  return decode_record(body, before, record) && body.empty() && before == lsn &&
         record.op != log_op::parts && record.op != log_op::nothing;
}

} // namespace warp::storage
