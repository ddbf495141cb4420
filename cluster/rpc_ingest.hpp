#pragma once

#include "cluster/rpc_context.hpp"
#include "messages/warp.capnp.h"

#include <vector>

namespace warp::cluster {

/// The `Ingest` capability: a stream of unconditional puts, and one answer for all of them at the
/// end. Lives on an I/O thread.
class rpc_ingest final : public wire::Ingest::Server {
public:
  /// Levels above async are taken as async: finish() waits for the disk once.
  rpc_ingest(rpc_context& context, durability level);

  kj::Promise<void> put(PutContext call) override;
  kj::Promise<void> finish(FinishContext call) override;

private:
  void execute(std::size_t count);

  rpc_context& context_;
  durability level_;
  std::uint64_t stored_ = 0, failed_ = 0;
  op_status first_failure_;
  std::vector<lsn_t> newest_; // per shard: what finish() waits for
};

} // namespace warp::cluster
