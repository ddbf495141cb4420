#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace warp::cluster {

/// What a client may send.
struct resp_limits {
  std::size_t bulk_bytes_max = 512u << 20;  ///< longest argument
  std::int64_t arguments_max = 0x7fff'ffff; ///< most arguments of a command
  std::size_t line_bytes_max = 64 * 1024; ///< longest inline command, and longest line of a length
};

/// Takes the requests of a client apart: arrays of bulk strings, and lines as people type them
/// (inline commands, with Redis's rules for quotes). Nothing is copied but what has quotes:
/// arguments are views into the input.
///
/// A command may arrive in pieces of any size: next() then says `incomplete`, remembers how far it
/// has come, and goes on when it is called with the same bytes and more behind them (at whatever
/// address). So all calls together look at each byte a bounded number of times.
class resp_parser {
public:
  enum class outcome : std::uint8_t {
    command,    ///< arguments are filled; consumed() bytes belong to it
    incomplete, ///< more bytes are needed
    broken,     ///< error() says why; the connection is of no use any more
  };

  /// Borrows the limits.
  explicit resp_parser(const resp_limits& limits) noexcept : limits_(&limits) {}
  explicit resp_parser(const resp_limits&&) = delete;

  /// The next command of `input`, which begins where the last one ended. A command without
  /// arguments (an empty line, an array of none) has none and is to be passed over.
  outcome next(std::string_view input, std::vector<std::string_view>& arguments);

  /// The arguments of the last command are copies, which live until the next call.
  [[nodiscard]] bool copied() const noexcept { return !unquoted_.empty(); }
  [[nodiscard]] std::size_t consumed() const noexcept { return consumed_; }
  /// After `incomplete`: how many bytes, from the beginning of the input, the command has at least.
  [[nodiscard]] std::size_t wanted() const noexcept { return wanted_; }
  /// "Protocol error: ...", as Redis words it.
  [[nodiscard]] std::string_view error() const noexcept { return {error_, error_size_}; }
  /// Bytes that it keeps for an incomplete command.
  [[nodiscard]] std::size_t memory() const noexcept { return partial_.capacity() * sizeof(piece); }

private:
  struct piece {
    std::size_t offset, size;
  };
  enum class line : std::uint8_t { number, incomplete, too_long, bad };

  line read_number(std::string_view input, std::int64_t& number);
  outcome next_inline(std::string_view input, std::vector<std::string_view>& arguments);
  outcome fail(std::string_view text);
  outcome suspend(std::string_view input, std::vector<std::string_view>& arguments,
                  std::size_t wanted);

  const resp_limits* limits_;
  std::size_t consumed_ = 0, wanted_ = 0;
  // Of a command that has begun: where to go on, the arguments still to come, and the length of
  // the one that is next when its line has been read (-1 when not).
  std::size_t at_ = 0;
  std::int64_t left_ = 0, bulk_ = -1;
  std::vector<piece> partial_;
  std::string unquoted_; // an inline command with quotes
  char error_[64] = {};
  std::size_t error_size_ = 0;
};

} // namespace warp::cluster
