#pragma once

#include "cluster/links/link_frame.hpp"
#include "cluster/links/link_socket.hpp"
#include "cluster/links/network_core.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace warp::cluster::links {

/// A link while it stands: both directions between this node and one other, on one connection.
///
/// 1. Whoever has something to send writes it, on his own thread, as far as the connection takes it
///    (flush); the rest is written by the loop's thread when there is room. So a message costs no
///    thread its turn but the one that receives it. One thread writes at a time, and what others
///    push meanwhile leaves with its next envelope.
/// 2. The loop's thread reads, takes envelopes apart and calls the listener; what one reading
///    brought arrives in one call. While the listener takes its time nothing is read, so the peer's
///    connection fills up, and then its outbox: nothing here grows by load.
/// 3. A frame that cannot be, or an envelope that is not from the peer, ends the link, with a
///    goodbye that says why.
/// 4. beat() sends a sign of life and gives up a peer that has sent none. That the listener takes
///    its time is not held against the peer.
///
/// All of it is thread-safe.
class link_stream : public std::enable_shared_from_this<link_stream> {
public:
  /// Told once, on any thread, when the link has ended.
  using end_listener = std::function<void(const op_status& why)>;

  /// `loop` calls it from start() to the end, and then lives on as long as somebody writes.
  link_stream(std::unique_ptr<link_socket> socket, std::shared_ptr<network_core> core,
              std::shared_ptr<link_loop> loop, std::shared_ptr<link_state> state,
              node_identity peer, end_listener told);

  /// Receives from now on.
  void start();
  /// Sends what is in the outbox; link_state::push() says when.
  void flush();
  void beat();
  /// Ends it. With `say` the peer hears why, where the connection takes that at once.
  void end(const op_status& why, bool say);

  [[nodiscard]] std::size_t unacknowledged() const { return socket_->unacknowledged(); }

  // -- for the loop -----------------------------------------------------------------------------

  [[nodiscard]] int fd() const { return socket_->fd(); }
  void on_readable();
  void on_writable();

private:
  using clock = std::chrono::steady_clock;

  [[nodiscard]] const link_options& options() const { return core_->options; }
  void write_envelopes();
  [[nodiscard]] bool write_out();
  [[nodiscard]] bool next_out();
  void add_control(frame_kind kind, std::span<const char> bytes);
  void wait_for_room();

  [[nodiscard]] op_status read();
  [[nodiscard]] op_status take_frames();
  [[nodiscard]] op_status take(frame_head head, std::span<const char> bytes);
  [[nodiscard]] op_status take_envelope(std::span<const char> bytes);
  void make_room();
  void deliver();
  [[nodiscard]] op_status malformed(const std::string& what);

  const std::shared_ptr<network_core> core_;
  const std::shared_ptr<link_loop> loop_;
  const std::shared_ptr<link_state> state_;
  const node_identity peer_;
  const end_listener told_;
  const std::unique_ptr<link_socket> socket_;
  std::atomic<bool> ended_{false};

  // Of who writes
  std::mutex write_mutex_;
  std::vector<char> out_;     ///< frames that are being written
  std::size_t out_at_ = 0;    ///< written of them
  std::vector<char> control_; ///< frames to be written before the next envelope
  bool waits_ = false;        ///< for room: the loop goes on

  // Of the loop's thread
  std::unique_ptr<char[]> in_; ///< begins a word
  std::size_t in_room_ = 0, in_from_ = 0, in_to_ = 0;
  std::vector<shard_message> arrived_; ///< not given to the listener yet
  std::atomic<clock::rep> heard_at_;
  std::atomic<bool> delivering_{false};
};

} // namespace warp::cluster::links
