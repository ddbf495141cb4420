#include "cluster/corked_stream.hpp"

#include <algorithm>
#include <bit>
#include <capnp/serialize.h>
#include <cerrno>
#include <cstring>
#include <kj/debug.h>
#include <sys/socket.h>

namespace warp::cluster {

namespace {

constexpr std::size_t word_bytes = sizeof(capnp::word);
constexpr std::size_t input_bytes_min = 8 * 1024, input_bytes_max = 64 * 1024;
constexpr std::size_t chunk_bytes = 16 * 1024;
/// Output above this is sent at once rather than at the end of the turn: a busy loop may have no
/// end of a turn for long.
constexpr std::size_t send_now_bytes = 256 * 1024;
/// One write at most, so that a slow peer that still takes something is told from one that takes
/// nothing.
constexpr std::size_t write_bytes_max = 1024 * 1024;

/// Words first, so that they outlive the reader over them.
struct words_holder {
  kj::Array<capnp::word> words;
};
class owning_reader final : private words_holder, public capnp::FlatArrayMessageReader {
public:
  owning_reader(kj::Array<capnp::word> w, capnp::ReaderOptions options)
      : words_holder{kj::mv(w)}, FlatArrayMessageReader(words, options) {}
};

std::uint32_t read_u32(const kj::byte* at) noexcept {
  return std::uint32_t(at[0]) | std::uint32_t(at[1]) << 8 | std::uint32_t(at[2]) << 16 |
         std::uint32_t(at[3]) << 24;
}

} // namespace

corked_stream::corked_stream(kj::AsyncIoStream& io, kj::Timer& timer, const stream_limits& limits,
                             std::atomic<std::uint64_t>* received, std::atomic<std::uint64_t>* sent)
    : io_(io), timer_(timer), limits_(limits), received_(received), sent_(sent), tasks_(*this) {}

// -- input --------------------------------------------------------------------------------------

kj::Promise<kj::Maybe<capnp::MessageReaderAndFds>>
corked_stream::tryReadMessage(kj::ArrayPtr<kj::AutoCloseFd>, capnp::ReaderOptions options,
                              kj::ArrayPtr<capnp::word>) {
  return read().then([options](message&& words) -> kj::Maybe<capnp::MessageReaderAndFds> {
    KJ_IF_MAYBE (w, words) {
      const auto limited = options_for(w->size(), options);
      kj::Own<capnp::MessageReader> reader = kj::heap<owning_reader>(kj::mv(*w), limited);
      return capnp::MessageReaderAndFds{kj::mv(reader), nullptr};
    }
    return nullptr;
  });
}

capnp::ReaderOptions corked_stream::options_for(std::size_t words,
                                                capnp::ReaderOptions options) noexcept {
  // Nothing that Cap'n Proto builds points twice at the same object, and a receiver looks at each
  // of them a few times.
  options.traversalLimitInWords = 4 * words + 1024;
  return options;
}

kj::Array<capnp::word> corked_stream::take_buffered() {
  if (fault_ != stream_fault::none || must_drain()) [[unlikely]]
    return nullptr;
  const auto needed = needed_bytes();
  if (needed == 0 || in_end_ - in_begin_ < needed) return nullptr;
  auto words = kj::heapArray<capnp::word>(needed / word_bytes);
  std::memcpy(words.begin(), in_.asBytes().begin() + in_begin_, needed);
  in_begin_ += needed;
  if (in_begin_ == in_end_) in_begin_ = in_end_ = 0;
  return words;
}

kj::Promise<corked_stream::message> corked_stream::read() {
  if (must_drain()) [[unlikely]]
    return drained_below(limits_.unread_output_max / 2).then([this] { return read(); });
  if (auto words = take_buffered(); words != nullptr) return message{kj::mv(words)};
  if (fault_ != stream_fault::none) return fault_exception();
  return read_more();
}

/// All of the next message is not here yet.
kj::Promise<corked_stream::message> corked_stream::read_more() {
  const auto needed = needed_bytes();
  if (needed > input_bytes_max) return read_large(needed);
  make_room(needed);
  auto* to = in_.asBytes().begin() + in_end_;
  const auto room = in_.asBytes().size() - in_end_;
  return read_some(to, room).then([this, room](std::size_t got) -> kj::Promise<message> {
    if (got == 0 && in_begin_ == in_end_) {
      ended_ = true;
      return message{nullptr};
    }
    if (got == 0) return ended_early();
    in_end_ += got;
    in_filled_ = got == room;
    if (auto words = take_buffered(); words != nullptr) return message{kj::mv(words)};
    if (fault_ != stream_fault::none) return fault_exception();
    return read_more();
  });
}

kj::Promise<corked_stream::message> corked_stream::read_large(std::size_t total) {
  if (large_ == nullptr) {
    const auto have = in_end_ - in_begin_;
    large_ = kj::heapArray<capnp::word>(std::min(total, 2 * input_bytes_max) / word_bytes);
    std::memcpy(large_.begin(), in_.asBytes().begin() + in_begin_, have);
    large_have_ = have;
    in_begin_ = in_end_ = 0;
  }
  if (large_have_ == large_.asBytes().size()) {
    if (large_have_ == total) {
      large_have_ = 0;
      return message{kj::mv(large_)};
    }
    // Memory follows what has arrived: announcing 64 MiB and sending nothing reserves next to
    // nothing.
    auto larger = kj::heapArray<capnp::word>(std::min(total, 2 * large_have_) / word_bytes);
    std::memcpy(larger.begin(), large_.begin(), large_have_);
    large_ = kj::mv(larger);
  }
  auto* to = large_.asBytes().begin() + large_have_;
  const auto room = large_.asBytes().size() - large_have_;
  return read_some(to, room).then([this, total](std::size_t got) -> kj::Promise<message> {
    if (got == 0) return ended_early();
    large_have_ += got;
    return read_large(total);
  });
}

kj::Promise<std::size_t> corked_stream::read_some(kj::byte* to, std::size_t room) {
  return io_.tryRead(to, 1, room)
      .then(
          [this](std::size_t got) {
            if (received_) received_->fetch_add(got, std::memory_order_relaxed);
            return got;
          },
          [this](kj::Exception&& e) -> std::size_t {
            give_up(stream_fault::broken, std::string(e.getDescription().cStr()));
            kj::throwFatalException(kj::mv(e));
          });
}

kj::Exception corked_stream::ended_early() {
  give_up(stream_fault::malformed, "the stream ended within a message");
  return fault_exception();
}

std::size_t corked_stream::needed_bytes() {
  const auto have = in_end_ - in_begin_;
  if (have < word_bytes) return word_bytes;
  const auto* head = in_.asBytes().begin() + in_begin_;

  const auto segments = std::uint64_t{read_u32(head)} + 1;
  if (segments > limits_.segments_max) {
    give_up(stream_fault::malformed, "a message of " + std::to_string(segments) +
                                         " segments, the limit is " +
                                         std::to_string(limits_.segments_max));
    return 0;
  }
  const std::size_t table = (segments / 2 + 1) * word_bytes;
  if (have < table) return table;

  std::uint64_t total = table; // cannot overflow: 512 times 32 GiB
  for (std::uint64_t i = 0; i < segments; ++i)
    total += std::uint64_t{read_u32(head + 4 * (i + 1))} * word_bytes;
  if (total > limits_.message_bytes_max) {
    give_up(stream_fault::oversized, "a message of " + std::to_string(total) +
                                         " bytes, the limit is " +
                                         std::to_string(limits_.message_bytes_max));
    return 0;
  }
  return total;
}

void corked_stream::make_room(std::size_t needed) {
  const auto have = in_end_ - in_begin_;
  const auto size = in_.asBytes().size();
  // A message that does not fit, or a read that filled the buffer to the brim, makes it grow.
  if (size < needed || (in_filled_ && size < input_bytes_max)) {
    in_filled_ = false;
    const auto wanted = std::clamp(std::max(needed, 2 * size), input_bytes_min, input_bytes_max);
    auto larger = kj::heapArray<capnp::word>(std::bit_ceil(wanted) / word_bytes);
    if (have) std::memcpy(larger.begin(), in_.asBytes().begin() + in_begin_, have);
    in_ = kj::mv(larger);
  } else if (in_begin_ != 0) {
    std::memmove(in_.begin(), in_.asBytes().begin() + in_begin_, have);
  }
  in_begin_ = 0;
  in_end_ = have;
}

std::size_t corked_stream::input_bytes_held() const noexcept {
  return (in_.size() + large_.size()) * word_bytes;
}

// -- output -------------------------------------------------------------------------------------

kj::Promise<void>
corked_stream::writeMessage(kj::ArrayPtr<const int>,
                            kj::ArrayPtr<const kj::ArrayPtr<const capnp::word>> segments) {
  if (fault_ != stream_fault::none) return fault_exception();
  send(segments);
  return kj::READY_NOW;
}

kj::Promise<void> corked_stream::writeMessages(
    kj::ArrayPtr<kj::ArrayPtr<const kj::ArrayPtr<const capnp::word>>> messages) {
  if (fault_ != stream_fault::none) return fault_exception();
  for (auto& segments : messages) send(segments);
  return kj::READY_NOW;
}

void corked_stream::send(kj::ArrayPtr<const kj::ArrayPtr<const capnp::word>> segments) {
  if (fault_ != stream_fault::none) return;
  append_table(segments);
  for (auto& segment : segments) append(segment.begin(), segment.asBytes().size());
  schedule_write();
}

void corked_stream::append_table(kj::ArrayPtr<const kj::ArrayPtr<const capnp::word>> segments) {
  KJ_REQUIRE(segments.size() > 0, "a message has at least one segment");
  const auto put_u32 = [this](std::size_t value) {
    const kj::byte bytes[4] = {kj::byte(value), kj::byte(value >> 8), kj::byte(value >> 16),
                               kj::byte(value >> 24)};
    append(bytes, 4);
  };
  put_u32(segments.size() - 1);
  for (auto& segment : segments) put_u32(segment.size());
  if (segments.size() % 2 == 0) put_u32(0); // the table ends at a word
}

void corked_stream::append_whole(kj::Array<kj::byte> bytes) {
  if (bytes.size() == 0) return;
  out_bytes_ += bytes.size();
  const auto size = bytes.size();
  out_.push_back({kj::mv(bytes), size, false});
}

void corked_stream::append(const void* bytes, std::size_t size) {
  auto* from = static_cast<const kj::byte*>(bytes);
  out_bytes_ += size;
  while (size != 0) {
    if (out_.empty() || out_.back().used == out_.back().bytes.size()) {
      if (spare_ != nullptr && size <= spare_.size())
        out_.push_back({kj::mv(spare_), 0, true});
      else
        out_.push_back({kj::heapArray<kj::byte>(std::max(size, chunk_bytes)), 0, true});
    }
    auto& last = out_.back();
    const auto part = std::min(size, last.bytes.size() - last.used);
    std::memcpy(last.bytes.begin() + last.used, from, part);
    last.used += part;
    from += part;
    size -= part;
  }
}

void corked_stream::schedule_write() {
  if (writer_ == writer::writing) return;
  if (out_bytes_ >= send_now_bytes) {
    writer_ = writer::writing;
    tasks_.add(write_loop());
  } else if (writer_ == writer::idle) {
    writer_ = writer::scheduled;
    tasks_.add(kj::evalLast([this]() -> kj::Promise<void> {
      if (writer_ != writer::scheduled) return kj::READY_NOW; // overtaken: see above
      writer_ = writer::writing;
      return write_loop();
    }));
  }
}

kj::Promise<void> corked_stream::write_loop() {
  if (fault_ != stream_fault::none) return kj::READY_NOW;
  if (out_bytes_ == 0) {
    writer_ = writer::idle;
    return kj::READY_NOW;
  }
  pieces_.clear();
  std::size_t size = 0, offset = out_offset_;
  for (auto& c : out_) {
    const auto part = std::min(c.used - offset, write_bytes_max - size);
    pieces_.push_back(c.bytes.slice(offset, offset + part));
    size += part;
    offset = 0;
    if (size == write_bytes_max) break;
  }
  // The pieces stay where they are while the write goes on: append() only adds behind them.
  auto write = io_.write(kj::arrayPtr(pieces_.data(), pieces_.size()));
  if (limits_.output_stall_max.count() != 0)
    write = timer_.timeoutAfter(limits_.output_stall_max.count() * kj::MILLISECONDS, kj::mv(write));
  return write.then(
      [this, size] {
        wrote(size);
        // What was asked for meanwhile joins at the end of the turn.
        return kj::evalLast([this] { return write_loop(); });
      },
      [this](kj::Exception&& e) -> kj::Promise<void> {
        // The timer's own exception says OVERLOADED; a connection's says DISCONNECTED or FAILED.
        if (e.getType() == kj::Exception::Type::OVERLOADED)
          give_up(stream_fault::stalled,
                  std::to_string(out_bytes_) + " bytes of answers were left unread for " +
                      std::to_string(limits_.output_stall_max.count()) + " ms");
        else
          give_up(stream_fault::broken, std::string(e.getDescription().cStr()));
        return kj::READY_NOW;
      });
}

void corked_stream::wrote(std::size_t bytes) {
  if (sent_) sent_->fetch_add(bytes, std::memory_order_relaxed);
  out_bytes_ -= bytes;
  out_offset_ += bytes;
  std::size_t gone = 0;
  while (gone < out_.size() && out_offset_ >= out_[gone].used) {
    out_offset_ -= out_[gone].used;
    if (spare_ == nullptr && out_[gone].ours && out_[gone].bytes.size() == chunk_bytes)
      spare_ = kj::mv(out_[gone].bytes);
    ++gone;
  }
  out_.erase(out_.begin(), out_.begin() + static_cast<std::ptrdiff_t>(gone));
  std::erase_if(drain_waiters_, [this](drain_waiter& w) {
    if (out_bytes_ > w.below) return false;
    w.fulfiller->fulfill();
    return true;
  });
}

kj::Promise<void> corked_stream::drained_below(std::size_t bytes) {
  if (fault_ != stream_fault::none) return fault_exception();
  if (out_bytes_ <= bytes) return kj::READY_NOW;
  auto paf = kj::newPromiseAndFulfiller<void>();
  drain_waiters_.push_back({bytes, kj::mv(paf.fulfiller)});
  return kj::mv(paf.promise);
}

kj::Maybe<int> corked_stream::getSendBufferSize() {
  try {
    int size = 0;
    kj::uint length = sizeof(size);
    io_.getsockopt(SOL_SOCKET, SO_SNDBUF, &size, &length);
    return size;
  } catch (const kj::Exception&) {
    return nullptr; // not a socket
  }
}

kj::Promise<void> corked_stream::end() {
  return drained_below(0).then([this] { io_.shutdownWrite(); });
}

// -- faults -------------------------------------------------------------------------------------

kj::Promise<void> corked_stream::on_fault() {
  if (fault_ != stream_fault::none) return kj::READY_NOW;
  auto paf = kj::newPromiseAndFulfiller<void>();
  fault_fulfiller_ = kj::mv(paf.fulfiller);
  return kj::mv(paf.promise);
}

void corked_stream::give_up(stream_fault fault, std::string text) {
  if (fault_ != stream_fault::none) return;
  fault_ = fault;
  fault_text_ = std::move(text);
  if (writer_ != writer::writing) {
    out_.clear(); // a write under way still looks at its chunks
    out_bytes_ = out_offset_ = 0;
  }
  for (auto& w : drain_waiters_) w.fulfiller->reject(fault_exception());
  drain_waiters_.clear();
  KJ_IF_MAYBE (fulfiller, fault_fulfiller_) {
    (*fulfiller)->fulfill();
  }
}

kj::Exception corked_stream::fault_exception() const {
  return {kj::Exception::Type::DISCONNECTED, __FILE__, __LINE__,
          kj::heapString(fault_text_.data(), fault_text_.size())};
}

void corked_stream::taskFailed(kj::Exception&& exception) {
  give_up(stream_fault::broken, std::string(exception.getDescription().cStr()));
}

} // namespace warp::cluster
