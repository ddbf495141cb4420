#pragma once

#include "storage/cell_allocator.hpp"
#include "storage/record.hpp"
#include "storage/table_stats.hpp"

#include <cstdint>
#include <string_view>

namespace warp::storage {

/// Makes, changes and frees the records of one table, and counts them. Used under the shard's lock.
class record_store {
public:
  /// Keeps every field of `stats` but index_bytes exact from now on. `stats` must outlive the
  /// store.
  record_store(cell_pages& pages, table_stats& stats) : cells_(pages), stats_(stats) {}

  /// A new record; takes a reference to value.large if that is set. Throws std::bad_alloc.
  [[nodiscard]] record* make(std::string_view key, const new_value& value, const record_meta& meta);

  /// Writes value and meta over those of `r`, where its memory suits them; false and no change
  /// where it does not. value.bytes may lie in `r`.
  [[nodiscard]] bool overwrite(record* r, const new_value& value, const record_meta& meta) noexcept;

  /// Writes the meta and keeps value and heat; false and no change where an expiry comes or goes.
  [[nodiscard]] bool overwrite_meta(record* r, const record_meta& meta) noexcept;

  /// Around a change of the indexed hash that the record owns: it is not counted, and is again.
  void forget_size(const record* r) noexcept;
  void count_size(const record* r) noexcept;
  /// Exchanges the records of the two; the stats are the caller's to exchange.
  void swap(record_store& other) noexcept;

  /// Frees the record and its reference to a blob.
  void free(record* r) noexcept;

private:
  void publish_sizes() noexcept;
  void add(const record* r) noexcept;
  void subtract(const record* r) noexcept;

  cell_allocator cells_;
  table_stats& stats_;
  std::uint64_t blob_bytes_ = 0;
};

} // namespace warp::storage
