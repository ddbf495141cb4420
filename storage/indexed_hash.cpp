#include "storage/indexed_hash.hpp"

#include "storage/key_hash.hpp"
#include "storage/small_bytes.hpp"

#include <algorithm>
#include <array>
#include <new>

namespace warp::storage {

namespace {

constexpr std::size_t leaf_bytes_max = 2 * 1024;
constexpr unsigned level_bits = 4, fan_out = 1u << level_bits;
/// Below this level all bits of a hash are used: names that are alike so far share a leaf.
constexpr unsigned shift_max = 60;
constexpr std::size_t malloc_bytes = 8; ///< of its own, for each piece

unsigned child_of(std::uint64_t hash, unsigned shift) noexcept {
  return static_cast<unsigned>(hash << shift >> (64 - level_bits));
}

} // namespace

struct indexed_hash::node {
  explicit node(bool inner) noexcept : is_inner(inner) {}
  std::atomic<std::uint32_t> references{1};
  const bool is_inner;

  [[nodiscard]] bool is_unshared() const noexcept {
    return references.load(std::memory_order_acquire) == 1;
  }
};

struct indexed_hash::leaf : node {
  explicit leaf(std::uint32_t room) noexcept : node(false), capacity(room) {}
  std::uint32_t used = 0;
  const std::uint32_t capacity;

  [[nodiscard]] char* bytes() noexcept { return reinterpret_cast<char*>(this + 1); }
  [[nodiscard]] std::string_view pairs() const noexcept {
    return {reinterpret_cast<const char*>(this + 1), used};
  }
  [[nodiscard]] std::size_t memory() const noexcept {
    return sizeof(leaf) + capacity + malloc_bytes;
  }

  /// Where a pair stands, and its value; size 0: it is not there.
  struct found {
    std::size_t offset = 0, size = 0;
    std::string_view value;
  };
  [[nodiscard]] found find(std::string_view wanted) const noexcept {
    packed_reader in{pairs()};
    for (std::string_view name, value;;) {
      const auto offset = used - in.rest().size();
      if (!in.pair(name, value)) return {};
      if (equal_keys(name, wanted)) return {offset, used - in.rest().size() - offset, value};
    }
  }
};

struct indexed_hash::inner : node {
  inner() noexcept : node(true) {}
  std::array<node*, fan_out> children{};

  static constexpr std::size_t memory() noexcept { return sizeof(inner) + malloc_bytes; }
};

// -- life
// --------------------------------------------------------------------------------------------------------------

blob_ref indexed_hash::make() {
  void* memory = std::malloc(sizeof(indexed_hash));
  if (!memory) throw std::bad_alloc{};
  auto* made = new (memory) indexed_hash;
  made->memory_ = sizeof(indexed_hash) + malloc_bytes;
  made->count_bytes();
  return blob_ref::adopt(made);
}

blob_ref indexed_hash::copy_of(const indexed_hash& other) {
  auto copy = make();
  auto& to = *copy.get()->hash();
  to.top_ = other.top_;
  if (to.top_) to.top_->references.fetch_add(1, std::memory_order_relaxed);
  to.count_ = other.count_;
  to.pair_bytes_ = other.pair_bytes_;
  to.memory_ = other.memory_;
  to.size_ = other.size_;
  return copy;
}

indexed_hash::~indexed_hash() {
  if (top_) release(top_);
}

void blob::destroy_hash() noexcept {
  auto* const h = static_cast<indexed_hash*>(this);
  h->~indexed_hash();
  std::free(h);
}

void indexed_hash::release(node* n) noexcept {
  if (n->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (n->is_inner) {
    auto* const i = static_cast<inner*>(n);
    for (auto* child : i->children)
      if (child) release(child); // at most 16 levels deep
    i->~inner();
  } else {
    static_cast<leaf*>(n)->~leaf();
  }
  std::free(n);
}

void indexed_hash::count_bytes() noexcept {
  size_ = varint_bytes(count_) + pair_bytes_;
}

indexed_hash::leaf* indexed_hash::new_leaf(std::size_t bytes) {
  // Some room to grow, or every new field would move its leaf.
  const auto room = (bytes + std::min<std::size_t>(bytes / 8, 256) + 15) & ~std::size_t{15};
  void* memory = std::malloc(sizeof(leaf) + room);
  if (!memory) throw std::bad_alloc{};
  auto* const l = new (memory) leaf(static_cast<std::uint32_t>(room));
  memory_ += l->memory();
  return l;
}

indexed_hash::inner* indexed_hash::new_inner() {
  void* memory = std::malloc(sizeof(inner));
  if (!memory) throw std::bad_alloc{};
  memory_ += inner::memory();
  return new (memory) inner;
}

void indexed_hash::drop(node* n) noexcept {
  memory_ -= n->is_inner ? inner::memory() : static_cast<leaf*>(n)->memory();
  release(n);
}

// -- reading
// -----------------------------------------------------------------------------------------------------------

std::optional<std::string_view> indexed_hash::find(std::string_view name) const noexcept {
  const auto hash = key_hash(name);
  const auto* n = top_;
  for (unsigned shift = 0; n && n->is_inner; shift += level_bits)
    n = static_cast<const inner*>(n)->children[child_of(hash, shift)];
  if (!n) return std::nullopt;
  const auto at = static_cast<const leaf*>(n)->find(name);
  if (at.size == 0) return std::nullopt;
  return at.value;
}

indexed_hash::place indexed_hash::leaf_at(std::uint64_t cursor) const noexcept {
  for (;;) {
    const auto* n = top_;
    unsigned shift = 0;
    for (; n && n->is_inner; shift += level_bits)
      n = static_cast<const inner*>(n)->children[child_of(cursor, shift)];
    // All hashes that begin with the same `shift` bits are dealt with here.
    const auto next = shift == 0 ? 0 : ((cursor >> (64 - shift)) + 1) << (64 - shift);
    if (n) return {static_cast<const leaf*>(n)->pairs(), next};
    if (next == 0) return {{}, 0};
    cursor = next;
  }
}

// -- changing
// ----------------------------------------------------------------------------------------------------------

/// The inner node of a slot, as one that nobody else has.
indexed_hash::inner* indexed_hash::own(node*& slot) {
  auto* const shared = static_cast<inner*>(slot);
  if (shared->is_unshared()) return shared;
  auto* const copy = new_inner();
  copy->children = shared->children;
  for (auto* child : copy->children)
    if (child) child->references.fetch_add(1, std::memory_order_relaxed);
  slot = copy;
  drop(shared);
  return copy;
}

/// An inner node in place of the slot's leaf, which deals its pairs out to leaves of its own.
indexed_hash::inner* indexed_hash::split(node*& slot, unsigned shift) {
  auto* const old = static_cast<leaf*>(slot);
  std::array<std::size_t, fan_out> sizes{};
  const auto deal = [&](auto&& to) {
    packed_reader in{old->pairs()};
    for (std::string_view name, value;;) {
      const auto from = in.rest();
      if (!in.pair(name, value)) return;
      to(child_of(key_hash(name), shift), from.substr(0, from.size() - in.rest().size()));
    }
  };
  deal([&](unsigned child, std::string_view pair) { sizes[child] += pair.size(); });
  auto* const made = new_inner();
  try {
    for (unsigned i = 0; i < fan_out; ++i)
      if (sizes[i] != 0) made->children[i] = new_leaf(sizes[i]);
  } catch (...) {
    for (auto* child : made->children)
      if (child) memory_ -= static_cast<leaf*>(child)->memory();
    memory_ -= inner::memory();
    release(made);
    throw;
  }
  deal([&](unsigned child, std::string_view pair) {
    auto* const to = static_cast<leaf*>(made->children[child]);
    std::memcpy(to->bytes() + to->used, pair.data(), pair.size());
    to->used += static_cast<std::uint32_t>(pair.size());
  });
  slot = made;
  drop(old);
  return made;
}

bool indexed_hash::set(std::string_view name, std::string_view value) {
  const auto hash = key_hash(name);
  const auto pair = packed_pair_bytes(name.size(), value.size());
  node** slot = &top_;
  unsigned shift = 0;
  leaf::found old;
  for (;; shift += level_bits) {
    auto* const n = *slot;
    if (n && !n->is_inner) {
      const auto& l = *static_cast<const leaf*>(n);
      old = l.find(name);
      const auto others = l.used - old.size;
      if (others == 0 || others + pair <= leaf_bytes_max || shift == shift_max) break;
    }
    if (!n) break;
    auto* const i = n->is_inner ? own(*slot) : split(*slot, shift);
    slot = &i->children[child_of(hash, shift)];
  }

  auto* l = static_cast<leaf*>(*slot);
  const auto used = (l ? l->used : 0) - old.size + pair;
  if (l && l->is_unshared() && used <= l->capacity) {
    char* const behind = l->bytes() + old.offset + old.size;
    if (old.size != 0 && old.size != pair) // a pair of another size goes to the place of the old
      std::memmove(l->bytes() + old.offset + pair, behind, l->used - old.offset - old.size);
    char* const to = l->bytes() + (old.size != 0 ? old.offset : l->used);
    write_packed(write_packed(to, name), value);
  } else {
    auto* const moved = new_leaf(used);
    char* to = moved->bytes();
    const auto before =
        l ? l->pairs().substr(0, old.size != 0 ? old.offset : l->used) : std::string_view{};
    const auto after =
        old.size != 0 ? l->pairs().substr(old.offset + old.size) : std::string_view{};
    if (!before.empty()) std::memcpy(to, before.data(), before.size());
    to = write_packed(write_packed(to + before.size(), name), value);
    if (!after.empty()) std::memcpy(to, after.data(), after.size());
    *slot = moved;
    if (l) drop(l);
    l = moved;
  }
  l->used = static_cast<std::uint32_t>(used);
  pair_bytes_ = pair_bytes_ - old.size + pair;
  count_ += old.size == 0 ? 1 : 0;
  count_bytes();
  return old.size == 0;
}

bool indexed_hash::erase(std::string_view name) {
  if (!find(name)) return false;
  const auto hash = key_hash(name);
  std::array<node**, shift_max / level_bits + 2> path;
  std::size_t depth = 0;
  path[0] = &top_;
  for (unsigned shift = 0; (*path[depth])->is_inner; shift += level_bits) {
    auto* const i = own(*path[depth]);
    path[++depth] = &i->children[child_of(hash, shift)];
  }
  auto* const l = static_cast<leaf*>(*path[depth]);
  const auto old = l->find(name);
  const auto left = l->used - old.size;
  const auto behind = l->pairs().substr(old.offset + old.size);
  if (left == 0) {
    drop(l);
    *path[depth] = nullptr;
    // Inner nodes that have nothing left go too.
    for (; depth != 0; --depth) {
      auto* const above = static_cast<inner*>(*path[depth - 1]);
      if (std::any_of(above->children.begin(), above->children.end(), [](auto* c) { return c; }))
        break;
      drop(above);
      *path[depth - 1] = nullptr;
    }
  } else if (l->is_unshared()) {
    std::memmove(l->bytes() + old.offset, behind.data(), behind.size());
    l->used = static_cast<std::uint32_t>(left);
  } else {
    auto* const moved = new_leaf(left);
    std::memcpy(moved->bytes(), l->pairs().data(), old.offset);
    if (!behind.empty()) std::memcpy(moved->bytes() + old.offset, behind.data(), behind.size());
    moved->used = static_cast<std::uint32_t>(left);
    *path[depth] = moved;
    drop(l);
  }
  pair_bytes_ -= old.size;
  --count_;
  count_bytes();
  return true;
}

} // namespace warp::storage
