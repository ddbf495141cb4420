#pragma once

#include "storage/hash_view.hpp"
#include "storage/record.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace warp::storage {

/// Up to here, both included, a hash is packed into its record: fields, and bytes of its packed
/// form. A change of a packed one writes all of it again.
inline constexpr std::uint32_t packed_hash_fields_max = 128;
inline constexpr std::size_t packed_hash_bytes_max = 2 * 1024;
/// An indexed one that has shrunk to this is packed again.
inline constexpr std::uint32_t packed_again_fields_max = packed_hash_fields_max / 4;
inline constexpr std::size_t packed_again_bytes_max = packed_hash_bytes_max / 4;

/// Makes the value of a hash out of another one and changes; what it begins with stays as it is.
/// Reused, so that changes of packed hashes allocate nothing. One thread at a time. What throws
/// std::bad_alloc leaves something that can only be begun anew.
class hash_builder {
public:
  /// Begins with the fields of `from`. `changes_bytes`: of packed fields that will be set, all
  /// together; an estimate.
  void begin(const hash_view& from, std::size_t changes_bytes = 0);

  /// Writes a field; true: it is new. Throws std::bad_alloc, as erase().
  bool set(std::string_view name, std::string_view value);
  /// Removes a field; false: it is not there.
  bool erase(std::string_view name);
  /// All pairs or names, well-formed; how many were new (set) or there (erased).
  std::uint32_t set_all(std::string_view pairs);
  std::uint32_t erase_all(std::string_view names);

  /// The fields as they are now; valid until the next change.
  [[nodiscard]] hash_view fields() noexcept;
  /// A value for the table, in the form that suits it. Valid until begin().
  [[nodiscard]] new_value value();

  /// Gives back memory that a usual hash does not need, and what large_ holds.
  void rest() noexcept;

private:
  void begin_packed();
  void index();

  /// Packed: room for the count, then the pairs.
  std::string packed_;
  std::uint32_t count_ = 0;
  blob_ref large_; ///< when indexed
};

/// The value of a whole hash in its packed form, well-formed. Throws std::bad_alloc.
[[nodiscard]] new_value hash_value_of(hash_builder& builder, std::string_view pairs);

} // namespace warp::storage
