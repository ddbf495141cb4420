#pragma once

#include "cluster/resp_buffer.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace warp::cluster {

/// Writes replies into a buffer, as the protocol version of the client wants them: what RESP2 has
/// no form for is written in the form that Redis gives it there.
class resp_writer {
public:
  /// `out` is borrowed. `protocol`: 2 or 3.
  resp_writer(resp_buffer& out, int protocol) noexcept : out_(&out), protocol_(protocol) {}

  [[nodiscard]] int protocol() const noexcept { return protocol_; }
  void set_protocol(int protocol) noexcept { protocol_ = protocol; }
  [[nodiscard]] resp_buffer& buffer() noexcept { return *out_; }
  /// Bytes in the buffer: where the next reply begins.
  [[nodiscard]] std::size_t position() const noexcept { return out_->size(); }

  /// A status; `text` has no line break.
  void simple(std::string_view text);
  void ok() { out_->append("+OK\r\n"); }
  /// "-text"; `text` begins with the code ("ERR ..."). Line breaks in it become spaces.
  void error(std::string_view text);
  void integer(std::int64_t number);
  void bulk(std::string_view bytes);
  void null();
  void null_array(); ///< of a transaction that was not done
  /// What follows belongs to it: `count` values, or for a map pairs.
  void array(std::size_t count) { header('*', count); }
  void map(std::size_t pairs);
  void set(std::size_t count) { header(protocol_ == 3 ? '~' : '*', count); }
  void push(std::size_t count) { header(protocol_ == 3 ? '>' : '*', count); }
  void real(double number); ///< as ",1.5", or as a bulk string
  void boolean(bool value);
  void verbatim(std::string_view text); ///< of the kind "txt"
  void big_number(std::string_view digits);
  /// Bytes that are replies already.
  void raw(std::string_view bytes) { out_->append(bytes); }

private:
  void header(char type, std::uint64_t count);

  resp_buffer* out_;
  int protocol_;
};

} // namespace warp::cluster
