#include "storage/record_store.hpp"

#include "storage/indexed_hash.hpp"

#include <cstring>
#include <utility>

namespace warp::storage {

namespace {

std::uint64_t blob_memory(const blob* b) noexcept {
  if (!b) return 0;
  if (const auto* hash = b->hash()) return hash->memory();
  return sizeof(blob) + b->size();
}

/// The bytes, or the pointer of a blob with a reference of its own. The bytes may overlap with
/// `to`.
void write_value(char* to, const new_value& value) noexcept {
  if (value.large) {
    blob* const shared = blob_ref(value.large).detach();
    std::memcpy(to, &shared, sizeof shared);
  } else if (!value.bytes.empty()) {
    std::memmove(to, value.bytes.data(), value.bytes.size());
  }
}

} // namespace

void record_store::publish_sizes() noexcept {
  stats_.record_bytes = cells_.used_bytes() + blob_bytes_;
  stats_.free_bytes = cells_.free_bytes();
}

void record_store::swap(record_store& other) noexcept {
  cells_.swap(other.cells_);
  std::swap(blob_bytes_, other.blob_bytes_);
}

void record_store::add(const record* r) noexcept {
  stats_.value_bytes += r->value_size();
  stats_.expiring_keys += r->has(record::flag_expiry);
  blob_bytes_ += blob_memory(r->large());
}

void record_store::subtract(const record* r) noexcept {
  stats_.value_bytes -= r->value_size();
  stats_.expiring_keys -= r->has(record::flag_expiry);
  blob_bytes_ -= blob_memory(r->large());
}

record* record_store::make(std::string_view key, const new_value& value, const record_meta& meta) {
  const auto form = record::layout_for(key.size(), value, meta.expires_at_ms);
  const auto cell = cells_.allocate(form.total);
  // A record is a trivial type that lives in raw memory; its header is written first, since offsets
  // derive from it.
  auto* r = static_cast<record*>(cell.memory);
  const auto inline_size = form.blob ? 0 : value.bytes.size();
  r->write_header(meta, form, key.size(), inline_size, cell.source);
  std::memcpy(r->at(form.key_offset), key.data(), key.size());
  write_value(r->at(form.key_offset + key.size()), value);
  ++stats_.keys;
  stats_.key_bytes += key.size();
  add(r);
  publish_sizes();
  return r;
}

bool record_store::overwrite(record* r, const new_value& value, const record_meta& meta) noexcept {
  const auto key_size = r->key_size();
  const auto form = record::layout_for(key_size, value, meta.expires_at_ms);
  if (form.key_offset != r->key_offset()) return false; // an expiry or the long form comes or goes
  const auto inline_size = form.blob ? 0 : value.bytes.size();
  const auto source = r->source();
  char* const to = r->at(form.key_offset + key_size);
  const bool was_blob = r->has(record::flag_blob);
  if (!form.blob && !was_blob && r->inline_value_size() == inline_size) [[likely]] {
    write_value(to, value); // nothing to count: this makes a put of a batch a tenth faster
    r->write_header(meta, form, key_size, inline_size, source);
    return true;
  }
  if (!cell_allocator::fits({r, source}, r->total_size(), form.total)) return false;
  subtract(r);
  const auto old_blob = blob_ref::adopt(r->large()); // released last: value.bytes may lie in it
  write_value(to, value);
  r->write_header(meta, form, key_size, inline_size, source);
  add(r);
  publish_sizes();
  return true;
}

bool record_store::overwrite_meta(record* r, const record_meta& meta) noexcept {
  if (r->has(record::flag_expiry) != (meta.expires_at_ms != 0)) return false;
  record::layout form{};
  form.long_form = r->has(record::flag_long);
  form.expiry = r->has(record::flag_expiry);
  form.blob = r->has(record::flag_blob);
  const auto heat = r->heat();
  r->write_header(meta, form, r->key_size(), form.blob ? 0 : r->inline_value_size(), r->source());
  r->set_heat(heat);
  return true;
}

void record_store::forget_size(const record* r) noexcept {
  subtract(r);
}

void record_store::count_size(const record* r) noexcept {
  add(r);
  publish_sizes();
}

void record_store::free(record* r) noexcept {
  subtract(r);
  --stats_.keys;
  stats_.key_bytes -= r->key_size();
  const auto size = r->total_size();
  const auto source = r->source();
  const auto value = blob_ref::adopt(r->large());
  cells_.free({r, source}, size);
  publish_sizes();
}

} // namespace warp::storage
