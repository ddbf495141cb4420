#include "storage/record.hpp"

namespace warp::storage {

record_meta record::meta() const noexcept {
  record_meta meta;
  meta.version = version();
  meta.expires_at_ms = expires_at_ms();
  meta.type = type();
  meta.unlogged = has(flag_unlogged);
  meta.rank = static_cast<priority>(flags() >> rank_shift & 7u);
  meta.pattern = static_cast<access_pattern>(flags() >> pattern_shift & 3u);
  return meta;
}

record::layout record::layout_for(std::size_t key_size, const new_value& value,
                                  std::uint64_t expires_at_ms) noexcept {
  layout form{};
  form.blob = static_cast<bool>(value.large);
  form.expiry = expires_at_ms != 0;
  const auto inline_size = form.blob ? 0 : value.bytes.size();
  form.long_form = key_size > 256 || inline_size >= (1u << 24);
  form.key_offset = 12 + (form.long_form ? 4 : 0) + (form.expiry ? 8 : 0);
  form.total = form.key_offset + key_size + (form.blob ? sizeof(blob*) : inline_size);
  return form;
}

void record::write_header(const record_meta& meta, const layout& form, std::size_t key_size,
                          std::size_t inline_value_size, cell_source source) noexcept {
  std::uint32_t flags = static_cast<std::uint32_t>(meta.type) & type_mask;
  if (meta.unlogged) flags |= flag_unlogged;
  flags |= (static_cast<std::uint32_t>(meta.rank) & 7u) << rank_shift;
  flags |= (static_cast<std::uint32_t>(meta.pattern) & 3u) << pattern_shift;
  if (form.expiry) flags |= flag_expiry;
  if (form.long_form) flags |= flag_long;
  if (form.blob) flags |= flag_blob;
  flags |= static_cast<std::uint32_t>(source) << source_shift;
  version_low_ = static_cast<std::uint32_t>(meta.version);
  version_high_and_flags_ = static_cast<std::uint32_t>(meta.version >> 32 & 0xffffu) | flags << 16;
  const auto value_size = static_cast<std::uint32_t>(inline_value_size);
  if (form.long_form) {
    lengths_ = static_cast<std::uint32_t>(key_size);
    std::memcpy(at(12), &value_size, sizeof value_size);
  } else {
    lengths_ = static_cast<std::uint32_t>(key_size - 1) | value_size << 8;
  }
  if (form.expiry) std::memcpy(at(expiry_offset()), &meta.expires_at_ms, 8);
}

} // namespace warp::storage
