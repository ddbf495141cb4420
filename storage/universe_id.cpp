#include "storage/universe_id.hpp"

#include <random>

namespace warp::storage {

namespace {

constexpr std::string_view digits = "0123456789abcdef";

std::uint64_t random_number() {
  std::random_device source;
  return std::uint64_t{source()} << 32 | source();
}

} // namespace

universe_id make_universe_id() {
  universe_id id;
  for (std::size_t i = 0; i < id.bytes.size(); i += 8) {
    auto number = random_number();
    for (std::size_t j = 0; j < 8; ++j, number >>= 8)
      id.bytes[i + j] = static_cast<std::uint8_t>(number);
  }
  return id;
}

std::uint64_t make_generation() {
  for (;;)
    if (const auto number = random_number()) return number;
}

std::string to_string(const universe_id& id) {
  std::string text;
  for (const auto byte : id.bytes) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

std::optional<universe_id> parse_universe_id(std::string_view text) noexcept {
  universe_id id;
  if (text.size() != 2 * id.bytes.size()) return {};
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto digit = digits.find(text[i]);
    if (digit == std::string_view::npos) return {};
    id.bytes[i / 2] = static_cast<std::uint8_t>(id.bytes[i / 2] << 4 | digit);
  }
  return id;
}

} // namespace warp::storage
