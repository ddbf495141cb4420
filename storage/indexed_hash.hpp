#pragma once

#include "messages/packed_fields.hpp"
#include "storage/blob.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace warp::storage {

/// A large hash: a tree over packed leaves, by the hash of a field's name, four bits of it a level,
/// the highest first. A leaf holds up to 2 KiB of pairs (or one longer pair) and is split into
/// sixteen when more are to come. So a change of a field touches one leaf and the few words above
/// it.
///
/// Head, inner nodes and leaves are reference-counted, and copied before a change where somebody
/// else has a reference too. So a copy of a whole hash is a reference to its head (for readers) or
/// a new head over the same nodes (for a writer who may have to take back what it does), and costs
/// the same for any size; the first changes after it copy a leaf each.
///
/// Made by make() and copy_of(), owned by blob_ref. What the owner of one head changes, under the
/// shard's lock, is seen by nobody who has another one; a head that others hold is not changed.
///
/// Bytes beside the pairs: 40 for the head, 32 for a leaf (of about 700 B as a rule), 160 for the
/// inner node above sixteen of them.
class indexed_hash final : public blob {
public:
  /// An empty one. Throws std::bad_alloc.
  [[nodiscard]] static blob_ref make();
  /// A new head over what the other one has. Throws std::bad_alloc.
  [[nodiscard]] static blob_ref copy_of(const indexed_hash& other);

  [[nodiscard]] std::uint32_t count() const noexcept { return count_; }
  /// Memory of all nodes, and of the head.
  [[nodiscard]] std::uint64_t memory() const noexcept { return memory_; }

  /// The value of a field; valid until the next change.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const noexcept;

  /// Writes a field; true: it is new. Throws std::bad_alloc, and then has no other field than
  /// before. Neither may lie in this hash.
  bool set(std::string_view name, std::string_view value);
  /// Removes a field; false: it is not there. Throws std::bad_alloc, likewise.
  bool erase(std::string_view name);

  /// Calls visit(name, value) for every field, in the order of their hashes.
  template <class Visit>
  void for_each(Visit&& visit) const {
    std::uint64_t cursor = 0;
    do cursor = walk(cursor, visit);
    while (cursor != 0);
  }
  /// Calls visit(name, value) for the fields of the leaf at `cursor` (0: the first) and returns the
  /// cursor of the next one; 0 when the walk is over. A field that is there during the whole walk
  /// is met at least once, whatever is changed between the calls. `visit` must change nothing.
  template <class Visit>
  std::uint64_t walk(std::uint64_t cursor, Visit&& visit) const {
    const auto here = leaf_at(cursor);
    packed_reader in{here.pairs};
    for (std::string_view name, value; in.pair(name, value);) visit(name, value);
    return here.next;
  }

private:
  friend class blob;
  struct node;
  struct leaf;
  struct inner;
  struct place {
    std::string_view pairs; ///< without a count
    std::uint64_t next;     ///< cursor behind it
  };
  /// The leaf of the hash `cursor`, or the next one behind it.
  [[nodiscard]] place leaf_at(std::uint64_t cursor) const noexcept;

  indexed_hash() noexcept : blob(of_hash{}) {}
  ~indexed_hash();
  void count_bytes() noexcept;

  [[nodiscard]] leaf* new_leaf(std::size_t bytes);
  [[nodiscard]] inner* new_inner();
  void drop(node* n) noexcept; ///< one reference, and what this hash counts of its memory
  [[nodiscard]] inner* own(node*& slot);
  [[nodiscard]] inner* split(node*& slot, unsigned shift);
  static void release(node* n) noexcept;

  node* top_ = nullptr; ///< null: no fields
  std::uint32_t count_ = 0;
  std::uint64_t pair_bytes_ = 0;
  std::uint64_t memory_ = 0;
};

inline indexed_hash* blob::hash() noexcept {
  return is_hash_ ? static_cast<indexed_hash*>(this) : nullptr;
}
inline const indexed_hash* blob::hash() const noexcept {
  return is_hash_ ? static_cast<const indexed_hash*>(this) : nullptr;
}

} // namespace warp::storage
