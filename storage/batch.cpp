#include "storage/batch.hpp"

#include "storage/log_record.hpp"

namespace warp::storage {

void batch::begin(std::uint32_t shard_count) {
  if (marks_.size() < shard_count) {
    groups_.reserve(chunk_size);
    marks_.resize(shard_count);
  }
  ++stamp_;
  groups_.clear();
  large_.clear();
}

large_value make_large(std::string_view value, std::uint64_t compress_min_bytes) {
  large_value large{.plain = blob_ref::copy_of(value), .packed = {}};
  if (value.size() >= compress_min_bytes) large.packed = compress_value(value);
  return large;
}

} // namespace warp::storage
