#include "actors/compute_metrics.hpp"

#include "actors/metric_family.hpp"

#include <string_view>

namespace warp::actors {

namespace {

using builder = family_builder;

double number(std::uint64_t n) {
  return static_cast<double>(n);
}

double number_of_breaker(std::string_view state) {
  return state == "open" ? 2 : state == "half open" ? 1 : 0;
}

void add_devices(std::vector<prometheus::MetricFamily>& out, const gpu_report& r) {
  out.push_back(builder::gauge("warp_gpu_devices", "Devices that batches may be computed on.")
                    .value(number(r.devices.size()))
                    .done());
  if (r.devices.empty()) return;
  auto breaker = builder::gauge("warp_gpu_breaker_state",
                                "Circuit breaker of a device: 0 closed, 1 on probation, 2 open.");
  auto openings = builder::counter("warp_gpu_breaker_openings_total",
                                   "Times that the breaker of a device opened.");
  auto failures = builder::counter("warp_gpu_device_failures_total",
                                   "Batches that a device did not compute, by reason.");
  for (const auto& d : r.devices) {
    breaker.value(number_of_breaker(d.breaker), {{"device", d.name}});
    openings.value(number(d.openings), {{"device", d.name}});
    failures.value(number(d.failed), {{"device", d.name}, {"reason", "failed"}})
        .value(number(d.out_of_memory), {{"device", d.name}, {"reason", "out of memory"}})
        .value(number(d.lost), {{"device", d.name}, {"reason", "lost"}});
  }
  for (auto* b : {&breaker, &openings, &failures}) out.push_back(b->done());
}

} // namespace

void add_compute_metrics(std::vector<prometheus::MetricFamily>& out, const compute_manager& from) {
  const auto r = from.report();
  auto jobs = builder::counter("warp_gpu_jobs_total", "Jobs answered, by operation.");
  auto batches = builder::counter("warp_gpu_batches_total",
                                  "Batches computed, by operation and by who gave the answer.");
  for (const auto& o : r.operations) {
    jobs.value(number(o.jobs), {{"operation", o.name}});
    batches.value(number(o.on_cpu), {{"operation", o.name}, {"by", "cpu"}})
        .value(number(o.on_device), {{"operation", o.name}, {"by", "device"}});
  }
  auto queued = builder::gauge("warp_gpu_queue_jobs", "Jobs that wait, by rank.");
  auto took = builder::histogram("warp_gpu_job_seconds", "From a job to its answer, by rank.");
  const auto latencies = from.latencies();
  for (std::size_t i = 0; i < r.ranks.size(); ++i) {
    queued.value(number(r.ranks[i].queued), {{"rank", r.ranks[i].name}});
    took.durations(latencies[i], {{"rank", r.ranks[i].name}});
  }
  for (auto* b : {&jobs, &batches, &queued, &took}) out.push_back(b->done());
  const auto count = [&out](const char* name, const char* help, std::uint64_t n) {
    out.push_back(builder::counter(name, help).value(number(n)).done());
  };
  count("warp_gpu_refused_total", "Jobs refused because the queue was full.", r.refused);
  count("warp_gpu_failed_total", "Jobs answered with an error.", r.failed);
  count("warp_gpu_fallbacks_total", "Batches of the CPU in place of a device that had failed.",
        r.fallbacks);
  count("warp_gpu_busy_devices_total", "Batches of the CPU because the devices were busy.",
        r.queues_full);
  count("warp_gpu_checked_total", "Batches computed on both.", r.checked);
  count("warp_gpu_mismatches_total", "Of those, the ones whose answers differed.", r.mismatched);
  count("warp_gpu_transfer_bytes_total", "Inputs and outputs of what devices answered.",
        r.transfer_bytes);
  out.push_back(builder::counter("warp_gpu_busy_seconds_total",
                                 "Time that workers computed, by who gave the answer.")
                    .value(r.busy_cpu_s, {{"by", "cpu"}})
                    .value(r.busy_device_s, {{"by", "device"}})
                    .done());
  out.push_back(builder::gauge("warp_gpu_queue_max_jobs", "Jobs that may wait (gpu.queue_max).")
                    .value(number(r.queue_max))
                    .done());
  out.push_back(builder::gauge("warp_gpu_queue_bytes", "Inputs and outputs of jobs that wait.")
                    .value(number(r.queued_bytes))
                    .done());
  out.push_back(builder::gauge("warp_gpu_utilisation_ratio",
                               "Part of the time that workers computed, over some 10 s.")
                    .value(r.utilisation)
                    .done());
  add_devices(out, r);
}

} // namespace warp::actors
