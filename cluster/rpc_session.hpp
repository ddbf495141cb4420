#pragma once

#include "cluster/rpc_context.hpp"
#include "messages/conversion.hpp"
#include "messages/warp.capnp.h"

#include <memory>
#include <span>
#include <vector>

namespace warp::cluster {

/// Whether an answer is a failure in the eyes of the metrics: what a well-behaved client asks for
/// in passing is none.
[[nodiscard]] constexpr bool counts_as_error(op_code code) noexcept {
  return code != op_code::ok && code != op_code::not_found && code != op_code::already_exists &&
         code != op_code::version_mismatch;
}

/// Fills the Info that clients are told.
void write_info(const rpc_context& context, wire::Info::Builder to);

/// The `Session` capability of one connection: turns calls into operations, executes them on the
/// spot, and answers at once or when the disk has them. Lives on an I/O thread.
class rpc_session final : public wire::Session::Server {
public:
  rpc_session(rpc_context& context, std::shared_ptr<connection_watches> watches)
      : context_(context), watches_(std::move(watches)) {}

  kj::Promise<void> ping(PingContext call) override;
  kj::Promise<void> info(InfoContext call) override;
  kj::Promise<void> get(GetContext call) override;
  kj::Promise<void> exists(ExistsContext call) override;
  kj::Promise<void> put(PutContext call) override;
  kj::Promise<void> erase(EraseContext call) override;
  kj::Promise<void> increment(IncrementContext call) override;
  kj::Promise<void> expire(ExpireContext call) override;
  kj::Promise<void> execute(ExecuteContext call) override;
  kj::Promise<void> executeAtomic(ExecuteAtomicContext call) override;
  kj::Promise<void> scan(ScanContext call) override;
  kj::Promise<void> ingest(IngestContext call) override;
  kj::Promise<void> admin(AdminContext call) override;
  kj::Promise<void> watch(WatchContext call) override;
  kj::Promise<void> quantumGet(QuantumGetContext call) override;
  kj::Promise<void> entangle(EntangleContext call) override;
  kj::Promise<void> cluster(ClusterContext call) override;

private:
  /// One operation that has been answered in the results already and waits for the disk.
  struct pending {
    std::uint32_t index;
    bool is_write;
    durable_waiters::target target;
  };
  using replies_builder = capnp::List<wire::Reply>::Builder;

  /// Are the operations one, all or nothing?
  enum class together : bool { no, yes };

  template <class Call>
  kj::Promise<void> single(operation op, op_status asked, Call& call);
  template <class Params>
  static op_status read_options(Params params, std::uint64_t now_ms, operation& op);

  void write_chunk(std::span<const operation> operations,
                   std::span<const storage::op_reply> replies, std::span<const std::uint32_t> at,
                   replies_builder to, std::size_t& room, std::vector<pending>& waiting,
                   together how);
  template <class Call>
  kj::Promise<void> when_durable(std::vector<pending> waiting, call_header header, Call& call);
  /// Returns the code that the reply has now; ok: it stays as it is.
  op_code write_outcome(op_code outcome, const pending& p, wire::Reply::Builder to);
  template <class Call>
  kj::Promise<void> refuse(op_status status, Call& call);
  void refuse_elsewhere(shard_id shard, std::uint32_t count,
                        wire::Session::ExecuteAtomicResults::Builder to);
  [[nodiscard]] op_status refusal(std::size_t operations) const;
  /// In a cluster: ok where this node serves the key's shard.
  [[nodiscard]] op_status placement_of(std::string_view key) const;
  /// Tells whoever observes accesses whose the next ones are.
  void begin_stream() const noexcept {
    context_.engine.begin_stream(reinterpret_cast<std::uintptr_t>(this));
  }

  rpc_context& context_;
  const std::shared_ptr<connection_watches> watches_;
};

} // namespace warp::cluster
