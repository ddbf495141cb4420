#include "storage/batch.hpp"

#include "messages/packed_fields.hpp"
#include "storage/indexed_hash.hpp"
#include "storage/log_record.hpp"

#include <utility>

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

large_value make_large(std::string_view value, std::uint64_t compress_min_bytes, value_type type) {
  large_value large{.plain = blob_ref::copy_of(value), .packed = {}, .pairs = {}};
  if (type == value_type::hash && are_packed_pairs(value)) {
    large.pairs = std::move(large.plain);
    large.plain = indexed_hash::make();
    auto& to = *large.plain.get()->hash();
    for_each_pair(large.pairs.view(),
                  [&](std::string_view name, std::string_view field) { to.set(name, field); });
  }
  if (value.size() >= compress_min_bytes) large.packed = compress_value(value);
  return large;
}

} // namespace warp::storage
