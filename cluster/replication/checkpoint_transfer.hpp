#pragma once

#include "cluster/replication/authority.hpp"
#include "cluster/replication/read_lease.hpp"
#include "cluster/replication/replica_log.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace warp::cluster::replication {

/// An immutable checkpoint as its holder offers it (R10). Equal ids mean equal bytes, whoever holds
/// them: a hash over everything else.
struct checkpoint_manifest {
  std::uint64_t id = 0;
  log_position start, end; ///< it is exact once the log from `start` to `end` is in it
  std::uint64_t size_bytes = 0;
  std::uint32_t chunk_bytes = 1 << 20;
  std::vector<std::uint32_t> checksums; ///< of each chunk
  friend bool operator==(const checkpoint_manifest&, const checkpoint_manifest&) = default;
};

/// Messages of the stream on which checkpoints travel, apart from those of the log.
namespace transfer {
/// Answer of a member to checkpoint_request.
struct offer {
  epoch_t max_epoch = 0; ///< of the sender (R1)
  checkpoint_manifest what;
};
struct chunk_request {
  std::uint64_t id = 0;
  std::uint32_t index = 0;
};
struct chunk {
  std::uint64_t id = 0;
  std::uint32_t index = 0;
  std::string bytes;
};
/// The holder has it no more: something newer has taken its place.
struct gone {
  std::uint64_t id = 0;
};
} // namespace transfer
using transfer_message =
    std::variant<transfer::offer, transfer::chunk_request, transfer::chunk, transfer::gone>;

/// What the receiving side wants done, in this order.
namespace transfer_action {
struct send {
  node_id to;
  transfer_message what;
};
/// A new file: what was there of another checkpoint is of no use any more. Tell the replica that a
/// checkpoint is coming.
struct begin_file {
  checkpoint_manifest what;
};
/// A verified chunk, at index * chunk_bytes.
struct store {
  std::uint32_t index = 0;
  std::string bytes;
};
/// Everything is stored: sync it, then tell the replica that the checkpoint was received.
struct whole {
  epoch_t max_epoch = 0;
  checkpoint_manifest what;
};
} // namespace transfer_action
using transfer_actions =
    std::vector<std::variant<transfer_action::send, transfer_action::begin_file,
                             transfer_action::store, transfer_action::whole>>;

struct transfer_options {
  std::size_t chunks_in_flight = 4;
  /// A chunk that was not answered for so long is asked for again.
  moment resend = 500 * milliseconds;
  /// Without a chunk for so long another holder's offer is taken, even of another checkpoint.
  moment stall = 2 * seconds;
  /// Of a chunk; the same everywhere, as it stands in manifests.
  std::uint32_t (*checksum)(std::string_view bytes) = nullptr;
};

/// Takes one checkpoint from whoever has it, chunk by chunk, and goes on where it was after a lost
/// connection, with another holder of the same checkpoint, or after a restart. A value without
/// sockets, files or clocks, one per copy that is rebuilt; the offers are answers to what the
/// replica asks (checkpoint_request), again and again, of one member after the other.
class checkpoint_receiver {
public:
  /// What a start found of an earlier life: chunks that were verified against the manifest.
  struct found_chunks {
    checkpoint_manifest what;
    std::vector<bool> have;
  };

  checkpoint_receiver(transfer_options options, std::optional<found_chunks> found, moment now);

  [[nodiscard]] transfer_actions received(node_id from, const transfer_message& what, moment now);
  /// At least every 100 ms.
  [[nodiscard]] transfer_actions tick(moment now);
  /// What it had is outdated (the log behind it is gone): begins anew with the next offer.
  void give_up();

  [[nodiscard]] bool is_under_way() const { return manifest_.has_value(); }
  [[nodiscard]] std::size_t chunks_missing() const { return missing_; }
  /// Chunks that did not match the manifest.
  [[nodiscard]] std::uint64_t refused() const { return refused_; }

private:
  enum class progress : std::uint8_t { missing, asked, stored };
  struct chunk_state {
    progress is = progress::missing;
    moment asked_at = 0;
  };
  void adopt(node_id from, const transfer::offer& offer, transfer_actions& actions);
  void on(node_id from, const transfer::offer& m, transfer_actions& actions);
  void on(node_id from, const transfer::chunk& m, transfer_actions& actions);
  void on(node_id from, const transfer::gone& m, transfer_actions& actions);
  void on(node_id, const transfer::chunk_request&, transfer_actions&) {} // the holder's side
  void ask(transfer_actions& actions);
  [[nodiscard]] std::size_t size_of(std::uint32_t index) const;
  [[nodiscard]] bool has_stalled() const {
    return !source_ || now_ - progress_at_ > options_.stall;
  }

  transfer_options options_;
  moment now_;
  std::optional<checkpoint_manifest> manifest_;
  epoch_t max_epoch_ = 0;
  std::optional<node_id> source_;
  std::vector<chunk_state> chunks_;
  std::size_t missing_ = 0;
  moment progress_at_ = 0;
  std::uint64_t refused_ = 0;
};

/// How many chunks a checkpoint has: at least one.
[[nodiscard]] std::uint32_t chunk_count(const checkpoint_manifest& manifest);
/// Whether a manifest from another node can be what it says.
[[nodiscard]] bool is_plausible(const checkpoint_manifest& manifest);

} // namespace warp::cluster::replication
