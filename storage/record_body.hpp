#pragma once

#include "messages/ids.hpp"
#include "messages/shared_bytes.hpp"
#include "storage/log_record.hpp"

#include <string_view>

namespace warp::storage {

/// The body of a log record: what stands in the log of it but for its LSN; an empty one is the
/// record that begins an epoch. Throws std::bad_alloc.
[[nodiscard]] shared_bytes body_of(const log_record& record);
[[nodiscard]] shared_bytes body_of(const log_record& record, shared_bytes_maker& maker);
/// The same of the put of a value that is no hash, without an expiry or anything else beside.
[[nodiscard]] shared_bytes plain_put_body(const record_meta& meta, std::string_view key,
                                          std::string_view value, shared_bytes_maker& maker);
/// The inverse: views point into `body`. False: malformed.
[[nodiscard]] bool decode_body(lsn_t lsn, std::string_view body, log_record& record) noexcept;

} // namespace warp::storage
