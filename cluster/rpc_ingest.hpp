#pragma once

#include "cluster/durable_waiters.hpp"
#include "cluster/rpc_context.hpp"
#include "messages/warp.capnp.h"

#include <string>
#include <string_view>
#include <vector>

namespace warp::cluster {

/// The `Ingest` capability: a stream of unconditional puts, and one answer for all of them when
/// it is asked for. Lives on an I/O thread.
class rpc_ingest final : public wire::Ingest::Server {
public:
  /// Levels above async are taken as async: finish() waits for the disk once. In a cluster async is
  /// taken as the universe's level, and an entry of a shard that another node serves fails with
  /// wrong_shard.
  rpc_ingest(rpc_context& context, durability level);

  kj::Promise<void> put(PutContext call) override;
  kj::Promise<void> finish(FinishContext call) override;

private:
  struct failure {
    std::uint64_t index;
    std::string key;
    op_status status;
  };

  op_status read(wire::Entry::Reader from, operation& op) const;
  void execute(std::size_t count);
  void failed(std::string_view key, op_status status);
  void take_ticket(const storage::op_reply& reply);
  void drop_ready_tickets();
  void write_answer(op_code on_disk, FinishResults::Builder to) const;

  rpc_context& context_;
  durability level_;
  std::uint64_t stored_ = 0, failed_ = 0; // together: entries that are decided
  op_status stopped_;                     // not ok: nothing more is taken
  op_status first_failure_;
  std::vector<failure> failures_; // the first ones
  std::vector<lsn_t> newest_;     // per shard: what finish() waits for
  // In a cluster an entry is an ordinary write, at least at the universe's level, with a ticket of
  // its own: those that are not ready yet.
  std::vector<durable_waiters::target> tickets_;
  bool lost_ = false; // one of them failed
};

} // namespace warp::cluster
