#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

/// What each file NAME_fuzz.cpp defines: one input, from the fuzzer (tests/run fuzz) or from the
/// driver of the suite (replay_main.cpp). Returns 0; a finding ends the process. One thread.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size);

namespace warp::fuzzing {

/// Ends the process with the reason on stderr: a finding.
[[noreturn]] void found(std::string_view reason);
inline void require(bool holds, std::string_view otherwise) {
  if (!holds) [[unlikely]]
    found(otherwise);
}

/// Takes an input apart from its front; at its end numbers are 0 and pieces empty.
class input_reader {
public:
  input_reader(const std::uint8_t* bytes, std::size_t size)
      : rest_(reinterpret_cast<const char*>(bytes), size) {}

  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const auto value = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return value;
  }
  /// As many bytes as the next four say, little-endian, or what there is.
  std::string_view piece() {
    std::size_t size = 0;
    for (int shift = 0; shift < 32; shift += 8) size |= std::size_t{byte()} << shift;
    const auto taken = rest_.substr(0, size);
    rest_.remove_prefix(taken.size());
    return taken;
  }
  [[nodiscard]] std::string_view rest() const noexcept { return rest_; }
  [[nodiscard]] bool at_end() const noexcept { return rest_.empty(); }

private:
  std::string_view rest_;
};

/// The inverse of input_reader::piece().
void append_piece(std::string& to, std::string_view piece);

/// Of the bytes: the same on every machine, for choices that should not depend on anything else.
[[nodiscard]] std::uint64_t hash_of(std::string_view bytes) noexcept;

} // namespace warp::fuzzing
