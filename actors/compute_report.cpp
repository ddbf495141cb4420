// What a compute manager tells of itself.

#include "actors/compute_manager.hpp"
#include "gpu/batch_rules.hpp"

#include <algorithm>
#include <cmath>

namespace warp::actors {

namespace {

std::string_view name_of(compute_mode mode) noexcept {
  switch (mode) {
  case compute_mode::automatic:
    return "auto";
  case compute_mode::off:
    return "off";
  case compute_mode::cpu:
    return "cpu";
  }
  return "unknown";
}

gpu_rank_report rank_of(compute_rank rank, std::uint64_t queued,
                        const storage::latency_histogram& h) {
  gpu_rank_report out{.name = to_string(rank), .queued = queued, .answered = h.count};
  if (h.count == 0) return out;
  out.mean_s = static_cast<double>(h.sum_ns) / 1e9 / static_cast<double>(h.count);
  std::uint64_t seen = 0;
  std::size_t i = 0;
  while (i + 1 < h.bucket_count && (seen += h.buckets[i]) * 100 < h.count * 99) ++i;
  out.p99_s = std::exp2(static_cast<double>(i)) / 1e9;
  return out;
}

gpu_device_report device_of(const gpu::compute::device_state& d) {
  return {.name = d.name,
          .breaker = std::string{gpu::to_string(d.breaker)},
          .openings = d.openings,
          .batches = d.batches,
          .failed = d.failed,
          .out_of_memory = d.out_of_memory,
          .lost = d.lost,
          .last_trouble = d.last_trouble};
}

} // namespace

/// Under mutex_, after the devices.
void compute_manager::say_who_computes(gpu_report& out) const {
  if (settings_.mode == compute_mode::off) {
    out.backend = "nothing";
    out.why = "gpu.mode is off";
    return;
  }
  if (!door_) {
    out.backend = "nothing yet";
    out.why = trouble_.empty() ? "devices are being looked for" : trouble_;
    return;
  }
  const auto status = door_->status();
  const auto cpu = status.substr(0, status.find('\n'));
  std::string able, unable;
  for (const auto& d : out.devices)
    if (d.breaker == "open")
      unable += (unable.empty() ? "" : "; ") + d.name + " is left alone for 30 s" +
                (d.last_trouble.empty() ? "" : ": " + d.last_trouble);
    else
      able += (able.empty() ? "" : " + ") + d.name;
  const bool worth = std::ranges::any_of(crossovers_.crossover,
                                         [](auto c) { return c != gpu::calibration::never; });
  out.backend = able.empty() || !worth ? cpu : able + ", and for small batches " + cpu;
  if (out.devices.empty())
    out.why = said_.empty() ? "no device" : said_;
  else if (!unable.empty())
    out.why = unable;
  else if (!worth)
    out.why = "the CPU was faster at everything that was measured";
}

gpu_report compute_manager::report() const {
  gpu_report out{.mode = std::string{name_of(settings_.mode)}};
  const auto now_s = now_s_();
  std::lock_guard hold{mutex_};
  gpu::compute::counters counted;
  if (door_) {
    counted = door_->counted();
    for (const auto& d : door_->devices()) out.devices.push_back(device_of(d));
  }
  say_who_computes(out);
  out.calibration = calibration_;
  for (std::size_t i = 0; i < gpu::operations; ++i) {
    const auto from = crossovers_.crossover[i];
    out.operations.push_back(
        {.name = std::string{gpu::to_string(static_cast<gpu::operation>(i))},
         .jobs = answered_[i],
         .on_cpu = counted.on_cpu[i],
         .on_device = counted.on_device[i],
         .crossover = from == gpu::calibration::never ? 0 : std::max<std::uint64_t>(from, 1)});
  }
  for (std::size_t i = 0; i < compute_ranks; ++i)
    out.ranks.push_back(rank_of(static_cast<compute_rank>(i), queued_[i], latencies_[i]));
  out.queue_max = settings_.queue_max;
  out.queued_bytes = queued_bytes_;
  out.jobs = jobs_;
  out.batches = batches_;
  out.refused = refused_;
  out.failed = failed_;
  out.fallbacks = counted.fallbacks;
  out.checked = counted.checked;
  out.mismatched = counted.mismatched;
  out.queues_full = counted.queues_full;
  out.breakers_open = counted.breakers_open;
  out.transfer_bytes = transfer_bytes_;
  out.busy_cpu_s = busy_cpu_s_;
  out.busy_device_s = busy_device_s_;
  out.utilisation = lately(now_s);
  out.opened_s = opened_s_;
  return out;
}

} // namespace warp::actors
