#pragma once

#include "messages/packed_fields.hpp"
#include "storage/indexed_hash.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace warp::storage {

/// The fields of a hash, whichever way they are kept: packed pairs (those of a small one stand in
/// its record) or an indexed hash. Borrows both. Of a reply of hash_all:
///
///     const hash_view fields{reply.value, reply.large.get()};
class hash_view {
public:
  hash_view() noexcept = default; ///< no fields
  hash_view(std::string_view pairs, const blob* indexed) noexcept
      : pairs_(pairs), indexed_(indexed ? indexed->hash() : nullptr) {}

  [[nodiscard]] std::uint32_t count() const noexcept {
    return indexed_ ? indexed_->count() : packed_count(pairs_);
  }
  /// Of the packed form.
  [[nodiscard]] std::size_t bytes() const noexcept {
    return indexed_ ? indexed_->size() : pairs_.size();
  }
  [[nodiscard]] const indexed_hash* indexed() const noexcept { return indexed_; }
  [[nodiscard]] std::string_view pairs() const noexcept { return pairs_; } ///< unless indexed

  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const noexcept;

  /// Calls visit(name, value) for each field: of a packed one in the order in which they came.
  template <class Visit>
  void for_each(Visit&& visit) const {
    if (indexed_) return indexed_->for_each(visit);
    for_each_pair(pairs_, visit);
  }
  /// Some fields from `cursor` (0: the first ones) on; the cursor of the rest, 0 for none. Of a
  /// packed one all. See indexed_hash::walk().
  template <class Visit>
  std::uint64_t walk(std::uint64_t cursor, Visit&& visit) const {
    if (indexed_) return indexed_->walk(cursor, visit);
    for_each_pair(pairs_, visit);
    return 0;
  }

  /// Writes the packed form, bytes() long.
  void pack(char* to) const noexcept;

private:
  std::string_view pairs_;
  const indexed_hash* indexed_ = nullptr;
};

/// A large value as bytes: the same, or an indexed hash in its packed form. For whoever passes on
/// what a reply, or a page of a scan, has in `large`. Throws std::bad_alloc.
[[nodiscard]] blob_ref as_bytes(const blob_ref& large);

} // namespace warp::storage
