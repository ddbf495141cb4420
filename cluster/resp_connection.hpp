#pragma once

#include "cluster/resp_buffer.hpp"
#include "cluster/resp_clients.hpp"
#include "cluster/resp_parser.hpp"
#include "cluster/resp_transaction.hpp"
#include "cluster/resp_writer.hpp"
#include "messages/ids.hpp"
#include "messages/operations.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace warp::cluster {

/// Bytes of the output that may not leave before the disk has something. Offsets count all bytes
/// that the connection ever wrote. Several may stand for the same bytes: all must hold.
struct resp_mark {
  std::uint64_t begin = 0, end = 0;
  shard_id shard;
  lsn_t lsn = 0;
  std::chrono::steady_clock::time_point deadline;
  /// What takes the place of the bytes when it does not come true; empty: an error.
  std::string_view instead;
};

/// What a client has subscribed to; only for those that have.
struct resp_subscriptions {
  std::set<std::string, std::less<>> names[3]; ///< by channel_kind
  [[nodiscard]] std::size_t plain() const noexcept { return names[0].size() + names[1].size(); }
  [[nodiscard]] bool any() const noexcept { return plain() + names[2].size() != 0; }
};

/// A client's connection and its state. Belongs to one I/O thread. Idle it holds no buffers.
struct resp_connection {
  resp_connection(int socket, const resp_limits& limits, std::shared_ptr<client_card> its_card)
      : fd(socket), card(std::move(its_card)), parser(limits), out(output, 2) {}

  // -- the socket
  int fd;
  std::shared_ptr<client_card> card;
  std::uint32_t interest = 0; ///< what epoll watches for
  resp_parser parser;
  resp_buffer input, output;
  resp_writer out;
  std::uint64_t sent = 0; ///< bytes that have left (or will never), of all that were written
  std::vector<resp_mark> marks;
  std::chrono::steady_clock::time_point progress_at; ///< since when output has not moved
  std::size_t batch_max = 16; ///< operations done together; fewer when replies are large

  // -- its state
  bool more = false;    ///< commands that have arrived wait for the output to get shorter
  std::size_t need = 0; ///< bytes that the command which has begun has at least; 0: none has
  bool closing = false; ///< close when the output has left; no more commands are taken
  bool doomed = false;  ///< to be closed at the end of the turn, whatever is still to be sent
  bool dead = false;    ///< closed, to be deleted
  bool dirty = false;   ///< in the thread's list of those with new output
  bool waiting = false; ///< in the thread's list of those with marks
  bool paused = false;  ///< takes no commands until `resume_at` or resume()
  std::chrono::steady_clock::time_point resume_at; ///< max: only by resume()
  std::string resume_reply; ///< written then; empty: it is paused by CLIENT PAUSE

  enum class replies : std::uint8_t { on, off, skip_next, skip } reply_mode = replies::on;
  durability level = durability::unspecified;
  std::unique_ptr<resp_transaction> transaction; ///< of MULTI or WATCH
  std::unique_ptr<resp_subscriptions> subscriptions;
  bool in_exec = false;           ///< a command of a transaction is carried out: nothing may wait
  std::uint64_t pubsub_bytes = 0; ///< of messages in the output, about

  [[nodiscard]] bool in_multi() const noexcept { return transaction && transaction->open; }
  /// RESP2 and subscribed: only few commands are allowed.
  [[nodiscard]] bool only_listens() const noexcept {
    return subscriptions && subscriptions->any() && out.protocol() == 2;
  }
};

} // namespace warp::cluster
