#include "messages/packed_fields.hpp"

namespace warp {

bool are_packed_pairs(std::string_view bytes) noexcept {
  packed_reader in{bytes};
  const auto count = in.number();
  if (!count || *count == 0) return false;
  for (std::uint32_t i = 0; i < *count; ++i)
    if (std::string_view name, value; !in.pair(name, value) || name.size() > field_name_size_max)
      return false;
  return in.at_end();
}

bool are_packed_names(std::string_view bytes) noexcept {
  packed_reader in{bytes};
  const auto count = in.number();
  if (!count || *count == 0) return false;
  for (std::uint32_t i = 0; i < *count; ++i)
    if (const auto name = in.bytes(); !name || name->size() > field_name_size_max) return false;
  return in.at_end();
}

bool are_packed_answers(std::string_view bytes) noexcept {
  packed_reader in{bytes};
  const auto count = in.number();
  if (!count) return false;
  for (std::uint32_t i = 0; i < *count; ++i) {
    const auto size = in.number();
    if (!size || (*size != 0 && *size - 1 > in.rest().size())) return false;
    if (*size != 0) in = packed_reader{in.rest().substr(*size - 1)};
  }
  return in.at_end();
}

} // namespace warp
