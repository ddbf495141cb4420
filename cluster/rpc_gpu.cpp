// What is computed beside the data path, for operators.

#include "cluster/gpu_backend.hpp"
#include "cluster/rpc_admin_detail.hpp"

#include <string>
#include <utility>
#include <vector>

namespace warp::cluster {

namespace {

op_status no_gpu() {
  return {op_code::not_supported, "this server computes nothing beside its data path"};
}

void write_lists(const gpu_report& from, wire::GpuState::Builder to) {
  auto operations = to.initOperations(static_cast<unsigned>(from.operations.size()));
  for (unsigned i = 0; i < operations.size(); ++i) {
    const auto& o = from.operations[i];
    operations[i].setName(as_text(o.name));
    operations[i].setJobs(o.jobs);
    operations[i].setOnCpu(o.on_cpu);
    operations[i].setOnDevice(o.on_device);
    operations[i].setCrossover(o.crossover);
  }
  auto devices = to.initDevices(static_cast<unsigned>(from.devices.size()));
  for (unsigned i = 0; i < devices.size(); ++i) {
    const auto& d = from.devices[i];
    devices[i].setName(as_text(d.name));
    devices[i].setBreaker(as_text(d.breaker));
    devices[i].setOpenings(d.openings);
    devices[i].setBatches(d.batches);
    devices[i].setFailed(d.failed);
    devices[i].setOutOfMemory(d.out_of_memory);
    devices[i].setLost(d.lost);
    if (!d.last_trouble.empty()) devices[i].setLastTrouble(as_text(d.last_trouble));
  }
  auto ranks = to.initRanks(static_cast<unsigned>(from.ranks.size()));
  for (unsigned i = 0; i < ranks.size(); ++i) {
    const auto& r = from.ranks[i];
    ranks[i].setName(as_text(r.name));
    ranks[i].setQueued(r.queued);
    ranks[i].setAnswered(r.answered);
    ranks[i].setMeanS(r.mean_s);
    ranks[i].setP99S(r.p99_s);
  }
}

void write_gpu(const gpu_report& from, wire::GpuState::Builder to) {
  to.setMode(as_text(from.mode));
  to.setBackend(as_text(from.backend));
  if (!from.why.empty()) to.setWhy(as_text(from.why));
  to.setCalibration(as_text(from.calibration));
  write_lists(from, to);
  to.setQueueMax(from.queue_max);
  to.setQueuedBytes(from.queued_bytes);
  to.setJobs(from.jobs);
  to.setBatches(from.batches);
  to.setRefused(from.refused);
  to.setFailed(from.failed);
  to.setFallbacks(from.fallbacks);
  to.setChecked(from.checked);
  to.setMismatched(from.mismatched);
  to.setQueuesFull(from.queues_full);
  to.setBreakersOpen(from.breakers_open);
  to.setTransferBytes(from.transfer_bytes);
  to.setBusyCpuS(from.busy_cpu_s);
  to.setBusyDeviceS(from.busy_device_s);
  to.setUtilisation(from.utilisation);
  to.setOpenedS(from.opened_s);
}

} // namespace

kj::Promise<void> rpc_admin::gpu(GpuContext call) {
  return beside(
      [known = context_.options.gpu]() -> op_result<gpu_report> {
        if (!known) return no_gpu();
        return known->status();
      },
      [this, call](kj::Own<op_result<gpu_report>> found) mutable {
        auto results = call.getResults();
        if (!found->ok()) return answer_status(found->status(), results);
        write_gpu(**found, results.initGpu());
      });
}

kj::Promise<void> rpc_admin::gpuBench(GpuBenchContext call) {
  return beside(
      [known = context_.options.gpu,
       work = call.getParams().getWork()]() -> op_result<std::vector<gpu_timing>> {
        if (!known) return no_gpu();
        return known->bench(work);
      },
      [this, call](kj::Own<op_result<std::vector<gpu_timing>>> found) mutable {
        auto results = call.getResults();
        if (!found->ok()) return answer_status(found->status(), results);
        const auto& from = **found;
        auto timings = results.initTimings(static_cast<unsigned>(from.size()));
        for (unsigned i = 0; i < timings.size(); ++i) {
          timings[i].setOperation(as_text(from[i].operation));
          timings[i].setWork(from[i].work);
          timings[i].setCpuS(from[i].cpu_s);
          timings[i].setDeviceS(from[i].device_s);
        }
      });
}

kj::Promise<void> rpc_admin::gpuCalibrate(GpuCalibrateContext call) {
  return beside(
      [known = context_.options.gpu]() -> op_result<gpu_calibration_report> {
        if (!known) return no_gpu();
        return known->calibrate();
      },
      [this, call](kj::Own<op_result<gpu_calibration_report>> found) mutable {
        auto results = call.getResults();
        if (!found->ok()) return answer_status(found->status(), results);
        results.setMeasured((*found)->measured);
        results.setSaid(as_text((*found)->said));
        if (!(*found)->saved.empty()) results.setSaved(as_text((*found)->saved));
      });
}

} // namespace warp::cluster
