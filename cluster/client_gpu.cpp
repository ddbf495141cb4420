// What a server computes beside its data path.

#include "cluster/client.hpp"
#include "cluster/client_admin_call.hpp"
#include "cluster/client_calls.hpp"
#include "messages/conversion.hpp"

namespace warp {

namespace {

using cluster::ask_admin;

std::string text_of(capnp::Text::Reader from) {
  return std::string{as_view(from)};
}

void read_gpu(wire::GpuState::Reader from, gpu_report& to) {
  to.mode = text_of(from.getMode());
  to.backend = text_of(from.getBackend());
  to.why = text_of(from.getWhy());
  to.calibration = text_of(from.getCalibration());
  for (const auto o : from.getOperations())
    to.operations.push_back(
        {text_of(o.getName()), o.getJobs(), o.getOnCpu(), o.getOnDevice(), o.getCrossover()});
  for (const auto d : from.getDevices())
    to.devices.push_back({text_of(d.getName()), text_of(d.getBreaker()), d.getOpenings(),
                          d.getBatches(), d.getFailed(), d.getOutOfMemory(), d.getLost(),
                          text_of(d.getLastTrouble())});
  for (const auto r : from.getRanks())
    to.ranks.push_back(
        {text_of(r.getName()), r.getQueued(), r.getAnswered(), r.getMeanS(), r.getP99S()});
  to.queue_max = from.getQueueMax();
  to.queued_bytes = from.getQueuedBytes();
  to.jobs = from.getJobs();
  to.batches = from.getBatches();
  to.refused = from.getRefused();
  to.failed = from.getFailed();
  to.fallbacks = from.getFallbacks();
  to.checked = from.getChecked();
  to.mismatched = from.getMismatched();
  to.queues_full = from.getQueuesFull();
  to.breakers_open = from.getBreakersOpen();
  to.transfer_bytes = from.getTransferBytes();
  to.busy_cpu_s = from.getBusyCpuS();
  to.busy_device_s = from.getBusyDeviceS();
  to.utilisation = from.getUtilisation();
  to.opened_s = from.getOpenedS();
}

} // namespace

op_result<gpu_report> client_admin::gpu() {
  return owner_->state_->call<gpu_report>([](wire::Session::Client session, auto out) {
    return ask_admin(
        std::move(session), [](auto admin) { return admin.gpuRequest(); },
        [out](auto& answer) {
          *out = {};
          read_gpu(answer.getGpu(), *out);
        });
  });
}

op_result<std::vector<gpu_timing>> client_admin::gpu_bench(std::uint64_t work,
                                                           std::chrono::milliseconds deadline) {
  return owner_->state_->call<std::vector<gpu_timing>>(
      [work](wire::Session::Client session, auto out) {
        return ask_admin(
            std::move(session),
            [work](auto admin) {
              auto request = admin.gpuBenchRequest();
              request.setWork(work);
              return request;
            },
            [out](auto& answer) {
              out->clear();
              for (const auto t : answer.getTimings())
                out->push_back(
                    {text_of(t.getOperation()), t.getWork(), t.getCpuS(), t.getDeviceS()});
            });
      },
      deadline, true);
}

op_result<gpu_calibration_report> client_admin::gpu_calibrate(std::chrono::milliseconds deadline) {
  return owner_->state_->call<gpu_calibration_report>(
      [](wire::Session::Client session, auto out) {
        return ask_admin(
            std::move(session), [](auto admin) { return admin.gpuCalibrateRequest(); },
            [out](auto& answer) {
              *out = {answer.getMeasured(), text_of(answer.getSaid()), text_of(answer.getSaved())};
            });
      },
      deadline, true);
}

} // namespace warp
