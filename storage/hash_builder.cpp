#include "storage/hash_builder.hpp"

#include "storage/small_bytes.hpp"

namespace warp::storage {

namespace {

constexpr std::size_t kept_bytes_max = 64 * 1024;

/// Where a pair stands in packed pairs behind their count; size 0: nowhere.
struct found {
  std::size_t offset = 0, size = 0;
};
found find_pair(std::string_view pairs, std::string_view wanted) noexcept {
  packed_reader in{pairs};
  for (std::string_view name, value;;) {
    const auto offset = pairs.size() - in.rest().size();
    if (!in.pair(name, value)) return {};
    if (equal_keys(name, wanted)) return {offset, pairs.size() - in.rest().size() - offset};
  }
}

} // namespace

void hash_builder::begin(const hash_view& from, std::size_t changes_bytes) {
  large_ = {};
  if (const auto* indexed = from.indexed()) {
    large_ = indexed_hash::copy_of(*indexed);
    return;
  }
  begin_packed();
  if (from.bytes() != 0) {
    packed_reader in{from.pairs()};
    count_ = in.number().value_or(0);
    packed_ += in.rest();
  }
  // Much at once is not worth looking for each field among all.
  if (packed_.size() + changes_bytes > 4 * packed_hash_bytes_max) index();
}

void hash_builder::begin_packed() {
  packed_.assign(varint_bytes_max, '\0');
  count_ = 0;
}

void hash_builder::index() {
  auto made = indexed_hash::make();
  auto& to = *made.get()->hash();
  packed_reader in{std::string_view{packed_}.substr(varint_bytes_max)};
  for (std::string_view name, value; in.pair(name, value);) to.set(name, value);
  large_ = std::move(made);
}

bool hash_builder::set(std::string_view name, std::string_view value) {
  if (large_) return large_.get()->hash()->set(name, value);
  const auto old = find_pair(std::string_view{packed_}.substr(varint_bytes_max), name);
  const auto pair = packed_pair_bytes(name.size(), value.size());
  const bool is_new = old.size == 0;
  if (count_ + is_new > packed_hash_fields_max ||
      packed_.size() - old.size + pair > packed_hash_bytes_max + varint_bytes_max - 2) {
    index();
    return large_.get()->hash()->set(name, value);
  }
  const auto at = is_new ? packed_.size() : old.offset + varint_bytes_max;
  packed_.replace(at, old.size, pair, '\0');
  write_packed(write_packed(packed_.data() + at, name), value);
  count_ += is_new;
  return is_new;
}

bool hash_builder::erase(std::string_view name) {
  if (large_) return large_.get()->hash()->erase(name);
  const auto old = find_pair(std::string_view{packed_}.substr(varint_bytes_max), name);
  if (old.size == 0) return false;
  packed_.erase(old.offset + varint_bytes_max, old.size);
  --count_;
  return true;
}

std::uint32_t hash_builder::set_all(std::string_view pairs) {
  std::uint32_t fresh = 0;
  for_each_pair(pairs,
                [&](std::string_view name, std::string_view value) { fresh += set(name, value); });
  return fresh;
}

std::uint32_t hash_builder::erase_all(std::string_view names) {
  std::uint32_t gone = 0;
  for_each_name(names, [&](std::string_view name) { gone += erase(name); });
  return gone;
}

hash_view hash_builder::fields() noexcept {
  if (large_) return {{}, large_.get()};
  char* const begin = packed_.data() + varint_bytes_max - varint_bytes(count_);
  write_varint(begin, count_);
  return {{begin, packed_.data() + packed_.size()}, nullptr};
}

new_value hash_builder::value() {
  const auto now = fields();
  if (!large_) return {.bytes = now.pairs(), .large = {}};
  if (now.count() > packed_again_fields_max || now.bytes() > packed_again_bytes_max)
    return {.bytes = {}, .large = large_};
  begin_packed();
  now.for_each([&](std::string_view name, std::string_view value) {
    const auto at = packed_.size();
    packed_.resize(at + packed_pair_bytes(name.size(), value.size()));
    write_packed(write_packed(packed_.data() + at, name), value);
    ++count_;
  });
  large_ = {};
  return {.bytes = fields().pairs(), .large = {}};
}

void hash_builder::rest() noexcept {
  large_ = {};
  if (packed_.capacity() > kept_bytes_max) std::string{}.swap(packed_);
}

new_value hash_value_of(hash_builder& builder, std::string_view pairs) {
  builder.begin({}, pairs.size());
  builder.set_all(pairs);
  return builder.value();
}

} // namespace warp::storage
