#include "storage/crc32c.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace warp::storage {

static_assert(std::endian::native == std::endian::little,
              "words are loaded as they stand in memory");

namespace {

constexpr std::uint32_t polynomial = 0x82f63b78; // reflected

using byte_table = std::array<std::uint32_t, 256>;

// tables[k][b]: the register after byte b and k zero bytes.
constexpr std::array<byte_table, 8> make_tables() {
  std::array<byte_table, 8> tables{};
  for (std::uint32_t b = 0; b < 256; ++b) {
    std::uint32_t crc = b;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? polynomial : 0);
    tables[0][b] = crc;
  }
  for (std::uint32_t b = 0; b < 256; ++b)
    for (std::size_t k = 1; k < 8; ++k)
      tables[k][b] = (tables[k - 1][b] >> 8) ^ tables[0][tables[k - 1][b] & 0xff];
  return tables;
}
constexpr auto tables = make_tables();

std::uint64_t load64(const char* at) {
  std::uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

#if defined(__x86_64__)

// The instruction takes 3 cycles and one can start each cycle: three stretches side by side are
// three times as fast as one. Their registers are joined by "append n zero bytes", which is linear,
// so four table lookups do it.
class zeros_operator {
public:
  explicit zeros_operator(std::size_t length) {
    std::array<std::uint32_t, 32> matrix{};
    for (unsigned bit = 0; bit < 32; ++bit) {
      const std::uint32_t crc = 1u << bit; // one zero byte
      matrix[bit] = (crc >> 8) ^ tables[0][crc & 0xff];
    }
    for (std::size_t n = length; n > 1; n /= 2) { // length is a power of two
      std::array<std::uint32_t, 32> squared{};
      for (unsigned bit = 0; bit < 32; ++bit) squared[bit] = times(matrix, matrix[bit]);
      matrix = squared;
    }
    for (std::uint32_t b = 0; b < 256; ++b)
      for (unsigned k = 0; k < 4; ++k) table_[k][b] = times(matrix, b << (8 * k));
  }

  [[nodiscard]] std::uint32_t operator()(std::uint32_t crc) const noexcept {
    return table_[0][crc & 0xff] ^ table_[1][(crc >> 8) & 0xff] ^ table_[2][(crc >> 16) & 0xff] ^
           table_[3][crc >> 24];
  }

private:
  static std::uint32_t times(const std::array<std::uint32_t, 32>& matrix, std::uint32_t vector) {
    std::uint32_t sum = 0;
    for (unsigned bit = 0; vector != 0; vector >>= 1, ++bit)
      if ((vector & 1) != 0) sum ^= matrix[bit];
    return sum;
  }
  std::array<byte_table, 4> table_;
};

constexpr std::size_t long_stretch = 8192, short_stretch = 256;

[[gnu::target("sse4.2")]] void three_stretches(std::uint64_t& crc, const char*& at,
                                               std::size_t& left, std::size_t stretch,
                                               const zeros_operator& append_zeros) {
  while (left >= 3 * stretch) {
    std::uint64_t second = 0, third = 0;
    for (std::size_t i = 0; i < stretch; i += 8) {
      crc = _mm_crc32_u64(crc, load64(at + i));
      second = _mm_crc32_u64(second, load64(at + stretch + i));
      third = _mm_crc32_u64(third, load64(at + 2 * stretch + i));
    }
    crc = append_zeros(static_cast<std::uint32_t>(crc)) ^ second;
    crc = append_zeros(static_cast<std::uint32_t>(crc)) ^ third;
    at += 3 * stretch;
    left -= 3 * stretch;
  }
}

[[gnu::target("sse4.2")]] std::uint32_t crc32c_instruction(std::string_view bytes,
                                                           std::uint32_t before) {
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  std::uint64_t crc = ~before;
  if (left >= 3 * short_stretch) {
    static const zeros_operator long_zeros{long_stretch}, short_zeros{short_stretch};
    three_stretches(crc, at, left, long_stretch, long_zeros);
    three_stretches(crc, at, left, short_stretch, short_zeros);
  }
  for (; left >= 8; at += 8, left -= 8) crc = _mm_crc32_u64(crc, load64(at));
  auto narrow = static_cast<std::uint32_t>(crc);
  for (; left > 0; ++at, --left) narrow = _mm_crc32_u8(narrow, static_cast<unsigned char>(*at));
  return ~narrow;
}

#endif

} // namespace

std::uint32_t crc32c_portable(std::string_view bytes, std::uint32_t before) noexcept {
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  std::uint32_t crc = ~before;
  for (; left >= 8; at += 8, left -= 8) {
    const std::uint64_t word = load64(at) ^ crc;
    crc = tables[7][word & 0xff] ^ tables[6][(word >> 8) & 0xff] ^ tables[5][(word >> 16) & 0xff] ^
          tables[4][(word >> 24) & 0xff] ^ tables[3][(word >> 32) & 0xff] ^
          tables[2][(word >> 40) & 0xff] ^ tables[1][(word >> 48) & 0xff] ^ tables[0][word >> 56];
  }
  for (; left > 0; ++at, --left)
    crc = (crc >> 8) ^ tables[0][(crc ^ static_cast<unsigned char>(*at)) & 0xff];
  return ~crc;
}

std::uint32_t crc32c(std::string_view bytes, std::uint32_t before) noexcept {
#if defined(__x86_64__)
  static const bool instruction = __builtin_cpu_supports("sse4.2") != 0;
  if (instruction) [[likely]]
    return crc32c_instruction(bytes, before);
#endif
  return crc32c_portable(bytes, before);
}

} // namespace warp::storage
