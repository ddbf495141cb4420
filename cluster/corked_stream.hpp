#pragma once

#include <atomic>
#include <capnp/serialize-async.h>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <kj/async-io.h>
#include <string>
#include <vector>

namespace warp::cluster {

/// Why a stream was given up by this side.
enum class stream_fault : std::uint8_t {
  none,
  malformed, ///< the segment table makes no sense, or the stream ended within a message
  oversized, ///< the segment table announces more than the limits allow
  stalled,   ///< nothing of the output got through for output_stall_max
  broken,    ///< the connection failed
};

/// What a peer may do to us. Sizes are checked before memory is taken: a message occupies at most
/// twice what has arrived of it.
struct stream_limits {
  /// Longest message, bytes, segment table included.
  std::size_t message_bytes_max = (64u << 20) + (1u << 20);
  /// Segments of a message at most. Cap'n Proto itself accepts 512; builders that grow by doubling
  /// stay below 30.
  std::uint32_t segments_max = 512;
  /// Unsent output, bytes, above which nothing more is read, so that a peer that does not read its
  /// answers cannot make us keep them. 0: never; for the side that asks, since two sides that both
  /// wait would wait forever.
  std::size_t unread_output_max = 0;
  /// The stream is given up when nothing of the output gets through for so long; 0: never.
  std::chrono::milliseconds output_stall_max{0};
};

/// Cap'n Proto messages over a byte stream with as few system calls as possible: messages written
/// in one turn of the event loop leave in one write, and one read brings as many as have arrived.
/// Four times less CPU per call than the stock stream. Takes no file descriptors. The RPC system
/// drives it through corked_network; as a capnp::MessageStream it also serves
/// capnp::TwoPartyVatNetwork. One event loop's thread.
///
/// Messages are taken over at once, so writing never waits: whoever writes bounds what is under
/// way. After a fault the stream reads and writes nothing more: reads fail, writes fail, on_fault()
/// resolves.
class corked_stream final : public capnp::MessageStream, private kj::TaskSet::ErrorHandler {
public:
  /// Borrows the connection and the timer. `received` and `sent` count bytes; null: not counted.
  corked_stream(kj::AsyncIoStream& io, kj::Timer& timer, const stream_limits& limits,
                std::atomic<std::uint64_t>* received = nullptr,
                std::atomic<std::uint64_t>* sent = nullptr);

  // -- capnp::MessageStream ---------------------------------------------------------------------

  using capnp::MessageStream::tryReadMessage;
  using capnp::MessageStream::writeMessage;
  using capnp::MessageStream::writeMessages;

  /// Nothing at the end of the stream; fails after a fault. The message is bounded by its own size:
  /// a reader that follows more pointers than four times what has arrived fails, so small messages
  /// cannot cost large work.
  kj::Promise<kj::Maybe<capnp::MessageReaderAndFds>>
  tryReadMessage(kj::ArrayPtr<kj::AutoCloseFd> fd_space, capnp::ReaderOptions options,
                 kj::ArrayPtr<capnp::word> scratch) override;
  kj::Promise<void>
  writeMessage(kj::ArrayPtr<const int> fds,
               kj::ArrayPtr<const kj::ArrayPtr<const capnp::word>> segments) override;
  kj::Promise<void> writeMessages(
      kj::ArrayPtr<kj::ArrayPtr<const kj::ArrayPtr<const capnp::word>>> messages) override;
  kj::Maybe<int> getSendBufferSize() override;
  /// Sends what is left, then the end of the stream.
  kj::Promise<void> end() override;

  // -- the same without a promise per message ---------------------------------------------------

  /// The next message if all of it has arrived and nothing else has to be done first; else no
  /// words.
  kj::Array<capnp::word> take_buffered();
  /// The next message; nothing at the end of the stream; fails after a fault.
  kj::Promise<kj::Maybe<kj::Array<capnp::word>>> read();
  /// How a message of so many words may be read, see tryReadMessage().
  static capnp::ReaderOptions options_for(std::size_t words, capnp::ReaderOptions options) noexcept;

  /// Sends a message: a copy of the segments, or, with an owner, the segments themselves, which
  /// live and stay as they are as long as it does. Does nothing after a fault.
  void send(kj::ArrayPtr<const kj::ArrayPtr<const capnp::word>> segments);
  template <class Owner>
  void send(kj::ArrayPtr<const kj::ArrayPtr<const capnp::word>> segments, kj::Own<Owner> owner) {
    if (fault_ != stream_fault::none) return;
    append_table(segments);
    for (auto& s : segments)
      // Nobody writes to a chunk that is full.
      append_whole(kj::arrayPtr(const_cast<kj::byte*>(s.asBytes().begin()), s.asBytes().size())
                       .attach(kj::addRef(*owner)));
    schedule_write();
  }

  // -- observation ------------------------------------------------------------------------------

  /// Resolves when this side gives the stream up; at most one caller.
  kj::Promise<void> on_fault();
  [[nodiscard]] stream_fault fault() const noexcept { return fault_; }
  /// The fault as the RPC system wants it.
  [[nodiscard]] kj::Exception fault_exception() const;
  /// What was wrong, for logs: "a message of 90000008 bytes, the limit is 68157440".
  [[nodiscard]] const std::string& fault_text() const noexcept { return fault_text_; }
  /// Whether the peer has closed its side between two messages.
  [[nodiscard]] bool ended() const noexcept { return ended_; }
  /// Bytes that wait to be sent.
  [[nodiscard]] std::size_t unsent_bytes() const noexcept { return out_bytes_; }
  /// Bytes held for input now.
  [[nodiscard]] std::size_t input_bytes_held() const noexcept;

private:
  struct chunk {
    kj::Array<kj::byte> bytes;
    std::size_t used = 0;
    bool ours = true; // else part of a message that is kept until it is sent
  };
  enum class writer : std::uint8_t { idle, scheduled, writing };
  using message = kj::Maybe<kj::Array<capnp::word>>;

  kj::Promise<message> read_more();
  kj::Promise<message> read_large(std::size_t total);
  kj::Promise<std::size_t> read_some(kj::byte* to, std::size_t room);
  kj::Exception ended_early();
  /// Bytes of the message at the head of the input, or of as much of it as must be seen to know; 0
  /// after a fault.
  std::size_t needed_bytes();
  void make_room(std::size_t needed);

  void append(const void* bytes, std::size_t size);
  void append_table(kj::ArrayPtr<const kj::ArrayPtr<const capnp::word>> segments);
  void append_whole(kj::Array<kj::byte> bytes);
  [[nodiscard]] bool must_drain() const noexcept {
    return limits_.unread_output_max != 0 && out_bytes_ > limits_.unread_output_max;
  }
  void schedule_write();
  kj::Promise<void> write_loop();
  void wrote(std::size_t bytes);
  kj::Promise<void> drained_below(std::size_t bytes);

  void give_up(stream_fault fault, std::string text);
  void taskFailed(kj::Exception&& exception) override;

  kj::AsyncIoStream& io_;
  kj::Timer& timer_;
  stream_limits limits_;
  std::atomic<std::uint64_t>* received_;
  std::atomic<std::uint64_t>* sent_;

  // Input: the bytes [in_begin_, in_end_) of in_ have arrived and are not taken yet; in_begin_ is
  // word-aligned.
  kj::Array<capnp::word> in_;
  std::size_t in_begin_ = 0, in_end_ = 0;
  bool in_filled_ = false; // the last read filled all the room it had
  // A message longer than the input buffer gathers here, large_have_ bytes of it so far.
  kj::Array<capnp::word> large_;
  std::size_t large_have_ = 0;
  bool ended_ = false;

  // Output: chunks in order; out_offset_ bytes of the first one are sent.
  std::vector<chunk> out_;
  std::size_t out_offset_ = 0, out_bytes_ = 0;
  kj::Array<kj::byte> spare_;
  std::vector<kj::ArrayPtr<const kj::byte>> pieces_;
  writer writer_ = writer::idle;
  struct drain_waiter {
    std::size_t below;
    kj::Own<kj::PromiseFulfiller<void>> fulfiller;
  };
  std::vector<drain_waiter> drain_waiters_;

  stream_fault fault_ = stream_fault::none;
  std::string fault_text_;
  kj::Maybe<kj::Own<kj::PromiseFulfiller<void>>> fault_fulfiller_;
  kj::TaskSet tasks_; // last: its tasks use all of the above
};

} // namespace warp::cluster
