#include "cluster/line_source.hpp"

#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <unistd.h>
#include <vector>
#include <zstd.h>

namespace warp::cluster {

namespace {

constexpr std::size_t chunk_bytes = 256 * 1024;
constexpr std::string_view zstd_magic = "\x28\xb5\x2f\xfd";
constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";

} // namespace

byte_reader read_descriptor(int fd, std::string name) {
  return [fd, name = std::move(name)](std::span<char> buffer) -> op_result<std::size_t> {
    for (;;) {
      const auto n = ::read(fd, buffer.data(), buffer.size());
      if (n >= 0) return static_cast<std::size_t>(n);
      if (errno != EINTR)
        return op_status(op_code::io_error,
                         fmt::format("cannot read {}: {}", name, std::strerror(errno)));
    }
  };
}

/// Takes zstd frames apart, one after the other.
struct line_source::decoder {
  struct deleter {
    void operator()(ZSTD_DCtx* c) const { ZSTD_freeDCtx(c); }
  };
  std::unique_ptr<ZSTD_DCtx, deleter> context{ZSTD_createDCtx()};
  std::vector<char> input = std::vector<char>(chunk_bytes);
  ZSTD_inBuffer in{input.data(), 0, 0};
  bool frame_open = false;
  bool output_left = false; ///< the last buffer was filled: there may be more without further input
};

line_source::line_source(byte_reader reader, std::size_t line_bytes_max)
    : reader_(std::move(reader)), line_bytes_max_(line_bytes_max) {}

line_source::~line_source() = default;

op_result<std::size_t> line_source::read_raw(std::span<char> to) {
  auto n = reader_(to);
  if (n) bytes_read_ += *n;
  return n;
}

op_result<std::size_t> line_source::fill() {
  // What has been handed out makes room; a long line keeps its beginning.
  buffer_.erase(0, begin_);
  searched_ -= begin_;
  begin_ = 0;
  const auto old_size = buffer_.size();

  if (!started_) {
    started_ = true;
    char head[4];
    std::size_t have = 0;
    while (have < sizeof head) {
      auto n = read_raw(std::span{head}.subspan(have));
      if (!n) return n;
      if (*n == 0) break;
      have += *n;
    }
    const std::string_view seen(head, have);
    if (seen == zstd_magic) {
      decoder_ = std::make_unique<decoder>();
      std::memcpy(decoder_->input.data(), head, have);
      decoder_->in.size = have;
    } else {
      buffer_.append(seen);
      if (have > 0) return have;
    }
  }

  buffer_.resize(old_size + chunk_bytes);
  const std::span<char> to{buffer_.data() + old_size, chunk_bytes};
  if (!decoder_) {
    auto n = read_raw(to);
    buffer_.resize(old_size + (n ? *n : 0));
    return n;
  }
  auto& d = *decoder_;
  ZSTD_outBuffer out{to.data(), to.size(), 0};
  while (out.pos == 0) {
    if (d.in.pos == d.in.size && !d.output_left) {
      auto n = read_raw(d.input);
      if (!n || *n == 0) {
        buffer_.resize(old_size);
        if (n && d.frame_open)
          return op_status(op_code::corruption,
                           "the zstd data ends in the middle of a frame: the file is cut off");
        return n;
      }
      d.in = {d.input.data(), *n, 0};
    }
    const auto left = ZSTD_decompressStream(d.context.get(), &out, &d.in);
    if (ZSTD_isError(left)) {
      buffer_.resize(old_size);
      return op_status(op_code::corruption,
                       fmt::format("the zstd data is damaged near byte {}: {}",
                                   bytes_read_ - d.in.size + d.in.pos, ZSTD_getErrorName(left)));
    }
    d.frame_open = left != 0;
    d.output_left = out.pos == out.size;
  }
  buffer_.resize(old_size + out.pos);
  return out.pos;
}

op_result<line_source::outcome> line_source::next(std::string_view& line) {
  bool too_long = false;
  for (;;) {
    const auto feed = buffer_.find('\n', searched_);
    const bool complete = feed != std::string::npos;
    auto end = complete ? feed : buffer_.size();
    if (!complete && !ended_) {
      const auto mark = line_number_ == 0 ? byte_order_mark.size() : 0;
      if (end - begin_ > line_bytes_max_ + mark) { // forget what cannot be handed out any more
        too_long = true;
        begin_ = end;
      }
      searched_ = end;
      auto n = fill();
      if (!n) return n.status();
      ended_ = *n == 0;
      continue;
    }
    line = std::string_view(buffer_).substr(begin_, end - begin_);
    if (!complete && !too_long && (line.empty() || (line_number_ == 0 && line == byte_order_mark)))
      return outcome::end;
    begin_ = searched_ = complete ? end + 1 : end;
    if (++line_number_ == 1 && line.starts_with(byte_order_mark))
      line.remove_prefix(byte_order_mark.size());
    return too_long || line.size() > line_bytes_max_ ? outcome::too_long : outcome::line;
  }
}

} // namespace warp::cluster
