#pragma once

#include "cluster/rpc_context.hpp"
#include "messages/warp.capnp.h"

#include <cstdint>
#include <kj/timer.h>

namespace warp::cluster {

/// The `Admin` capability: hands the operator's calls to the thread that may block, and the
/// engine's counters out directly. Lives on an I/O thread; a call under way survives its
/// capability, not its server.
class rpc_admin final : public wire::Admin::Server {
public:
  /// context.admin must not be null.
  explicit rpc_admin(rpc_context& context) : context_(context) {}

  kj::Promise<void> shards(ShardsContext call) override;
  kj::Promise<void> checkpoint(CheckpointContext call) override;
  kj::Promise<void> tree(TreeContext call) override;
  kj::Promise<void> chaos(ChaosContext call) override;
  kj::Promise<void> walDump(WalDumpContext call) override;
  kj::Promise<void> backup(BackupContext call) override;
  kj::Promise<void> backupState(BackupStateContext call) override;
  kj::Promise<void> verify(VerifyContext call) override;
  // rpc_physics.cpp
  kj::Promise<void> entropy(EntropyContext call) override;
  kj::Promise<void> planRebalance(PlanRebalanceContext call) override;
  kj::Promise<void> physics(PhysicsContext call) override;
  kj::Promise<void> setPhysicsTier(SetPhysicsTierContext call) override;
  kj::Promise<void> setPhysicsRule(SetPhysicsRuleContext call) override;
  // rpc_gpu.cpp
  kj::Promise<void> gpu(GpuContext call) override;
  kj::Promise<void> gpuBench(GpuBenchContext call) override;
  kj::Promise<void> gpuCalibrate(GpuCalibrateContext call) override;

private:
  template <class Job, class Answer>
  kj::Promise<void> beside(Job job, Answer answer);
  /// As beside(), again after each change, until `over(result)` or the time is up; nothing blocks
  /// or is counted as under way meanwhile, and a client that goes away ends it.
  template <class Job, class Over, class Answer>
  kj::Promise<void> in_time(Job job, Over over, Answer answer, std::uint32_t wait_ms);
  template <class Job, class Over, class Answer>
  kj::Promise<void> in_time(Job job, Over over, Answer answer, kj::TimePoint deadline);
  template <class Results>
  void answer_status(const op_status& status, Results results);

  rpc_context& context_;
};

} // namespace warp::cluster
