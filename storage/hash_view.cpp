#include "storage/hash_view.hpp"

#include "storage/small_bytes.hpp"

namespace warp::storage {

std::optional<std::string_view> hash_view::find(std::string_view wanted) const noexcept {
  if (indexed_) return indexed_->find(wanted);
  packed_reader in{pairs_};
  in.number();
  for (std::string_view name, value; in.pair(name, value);)
    if (equal_keys(name, wanted)) return value;
  return std::nullopt;
}

void hash_view::pack(char* to) const noexcept {
  if (!indexed_) {
    if (!pairs_.empty()) std::memcpy(to, pairs_.data(), pairs_.size());
    return;
  }
  to = write_varint(to, indexed_->count());
  indexed_->for_each([&](std::string_view name, std::string_view value) {
    to = write_packed(write_packed(to, name), value);
  });
}

blob_ref as_bytes(const blob_ref& large) {
  if (!large || !large.get()->hash()) return large;
  const hash_view fields{{}, large.get()};
  auto packed = blob_ref::of_size(fields.bytes());
  fields.pack(packed.fill());
  return packed;
}

} // namespace warp::storage
