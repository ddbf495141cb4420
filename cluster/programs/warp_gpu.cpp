#include "cluster/ndjson.hpp"
#include "cluster/programs/tool.hpp"

#include <fmt/format.h>

namespace warp::programs {

namespace {

constexpr std::uint64_t work_default = 1 << 18, work_max = 1 << 24;

std::string json_text(std::string_view text) {
  std::string out;
  cluster::append_json_string(out, text);
  return out;
}

/// 312 us, 4.20 ms, 1.30 s; "-" for what was not measured.
std::string readable_s(double s) {
  if (s < 0) return "-";
  if (s < 1e-3) return fmt::format("{:.1f} us", s * 1e6);
  if (s < 1) return fmt::format("{:.2f} ms", s * 1e3);
  return fmt::format("{:.2f} s", s);
}

// -- status --------------------------------------------------------------------------------------

void show_json(const gpu_report& r) {
  fmt::print("{{\"mode\": {}, \"backend\": {}, \"why\": {}, \"calibration\": {}, \"opened_s\": "
             "{:.9f}, \"jobs\": {}, \"batches\": {}, \"refused\": {}, \"failed\": {}, "
             "\"fallbacks\": {}, \"checked\": {}, \"mismatched\": {}, \"queues_full\": {}, "
             "\"breakers_open\": {}, \"queue_max\": {}, \"queued_bytes\": {}, \"transfer_bytes\": "
             "{}, \"busy_s\": {{\"cpu\": {:.6f}, \"device\": {:.6f}}}, \"utilisation\": {:.6f}, "
             "\"ranks\": [",
             json_text(r.mode), json_text(r.backend), json_text(r.why), json_text(r.calibration),
             r.opened_s, r.jobs, r.batches, r.refused, r.failed, r.fallbacks, r.checked,
             r.mismatched, r.queues_full, r.breakers_open, r.queue_max, r.queued_bytes,
             r.transfer_bytes, r.busy_cpu_s, r.busy_device_s, r.utilisation);
  for (const auto& k : r.ranks)
    fmt::print("{}{{\"rank\": {}, \"queued\": {}, \"answered\": {}, \"mean_s\": {:.9f}, \"p99_s\": "
               "{:.9f}}}",
               &k == r.ranks.data() ? "" : ", ", json_text(k.name), k.queued, k.answered, k.mean_s,
               k.p99_s);
  fmt::print("], \"devices\": [");
  for (const auto& d : r.devices)
    fmt::print("{}{{\"name\": {}, \"breaker\": {}, \"openings\": {}, \"batches\": {}, \"failed\": "
               "{}, \"out_of_memory\": {}, \"lost\": {}, \"last_trouble\": {}}}",
               &d == r.devices.data() ? "" : ", ", json_text(d.name), json_text(d.breaker),
               d.openings, d.batches, d.failed, d.out_of_memory, d.lost, json_text(d.last_trouble));
  fmt::print("], \"operations\": [");
  for (const auto& o : r.operations)
    fmt::print("{}\n  {{\"operation\": {}, \"jobs\": {}, \"on_cpu\": {}, \"on_device\": {}, "
               "\"crossover\": {}}}",
               &o == r.operations.data() ? "" : ",", json_text(o.name), o.jobs, o.on_cpu,
               o.on_device, o.crossover);
  fmt::print("\n]}}\n");
}

void show(const gpu_report& r) {
  fmt::print("backend   {}\n", printable(r.backend));
  if (!r.why.empty()) fmt::print("why       {}\n", printable(r.why));
  fmt::print("mode      {} (gpu.mode)", r.mode);
  if (r.opened_s > 0) fmt::print("; devices were looked for in {}", readable_s(r.opened_s));
  fmt::print("\n");
  for (const auto& d : r.devices) {
    fmt::print(
        "device    {}: breaker {}, opened {} times; {} batches, {} failed, {} out of memory, "
        "{} lost",
        printable(d.name), d.breaker, d.openings, with_commas(d.batches), d.failed, d.out_of_memory,
        d.lost);
    if (!d.last_trouble.empty()) fmt::print("; last: {}", printable(d.last_trouble));
    fmt::print("\n");
  }
  if (!r.devices.empty()) fmt::print("measured  {}\n", printable(r.calibration));
  fmt::print("work      {} jobs in {} batches, {} refused, {} failed; busy {} on the CPU, {} on "
             "devices, lately {:.1f} % of the time\n",
             with_commas(r.jobs), with_commas(r.batches), with_commas(r.refused),
             with_commas(r.failed), readable_s(r.busy_cpu_s), readable_s(r.busy_device_s),
             100 * r.utilisation);
  if (!r.devices.empty())
    fmt::print(
        "devices   {} transferred; {} batches checked, {} of them wrong; to the CPU instead: "
        "{} after a failure, {} as devices were busy, {} as breakers were open\n",
        readable_bytes(r.transfer_bytes), with_commas(r.checked), with_commas(r.mismatched),
        with_commas(r.fallbacks), with_commas(r.queues_full), with_commas(r.breakers_open));
  for (const auto& k : r.ranks)
    fmt::print("{:<11} {} of at most {} jobs wait; {} answered, in {} on average, 99 % in {}\n",
               k.name, k.queued, r.queue_max, with_commas(k.answered), readable_s(k.mean_s),
               readable_s(k.p99_s));
  fmt::print("{:<9}  {:>9}  {:>9}  {:>9}  {}\n", "operation", "jobs", "by CPU", "by device",
             "device from");
  for (const auto& o : r.operations)
    fmt::print("{:<9}  {:>9}  {:>9}  {:>9}  {}\n", o.name, with_commas(o.jobs),
               with_commas(o.on_cpu), with_commas(o.on_device),
               o.crossover == 0 ? "never" : with_commas(o.crossover));
}

void status(tool& t) {
  const auto c = t.connect();
  if (!c) return;
  const auto r = c->admin().gpu();
  if (!t.check(r.status(), "gpu status")) return;
  t.json ? show_json(*r) : show(*r);
}

// -- measuring -----------------------------------------------------------------------------------

void bench(tool& t, std::uint64_t work) {
  const auto c = t.connect();
  if (!c) return;
  const auto r = c->admin().gpu_bench(work);
  if (!t.check(r.status(), "gpu bench")) return;
  if (t.json) {
    fmt::print("[");
    for (const auto& m : *r)
      fmt::print("{}\n  {{\"operation\": {}, \"work\": {}, \"cpu_s\": {:.9f}, \"device_s\": {}}}",
                 &m == r->data() ? "" : ",", json_text(m.operation), m.work, m.cpu_s,
                 m.device_s < 0 ? "null" : fmt::format("{:.9f}", m.device_s));
    fmt::print("\n]\n");
    return;
  }
  fmt::print("{:<9}  {:>12}  {:>10}  {:>10}  {:>8}\n", "operation", "work", "CPU", "device",
             "speed-up");
  bool any = false;
  for (const auto& m : *r) {
    const bool both = m.cpu_s >= 0 && m.device_s > 0;
    any |= m.device_s >= 0;
    fmt::print("{:<9}  {:>12}  {:>10}  {:>10}  {:>8}\n", m.operation, with_commas(m.work),
               readable_s(m.cpu_s), readable_s(m.device_s),
               both ? fmt::format("{:.1f}", m.cpu_s / m.device_s) : "-");
  }
  if (!any) fmt::print("no device computed anything: `warp gpu status` says why\n");
}

void calibrate(tool& t) {
  const auto c = t.connect();
  if (!c) return;
  const auto r = c->admin().gpu_calibrate();
  if (!t.check(r.status(), "gpu calibrate")) return;
  if (t.json) {
    fmt::print("{{\"measured\": {}, \"said\": {}, \"saved\": {}}}\n", r->measured,
               json_text(r->said), json_text(r->saved));
    return;
  }
  fmt::print("{}: {}\n", r->measured ? "measured" : "nothing was measured", printable(r->said));
  if (!r->saved.empty())
    fmt::print("kept in {}, which the next start reads; `warp gpu status` shows it\n",
               printable(r->saved));
}

} // namespace

void add_gpu_command(CLI::App& app, tool& t) {
  auto* g = app.add_subcommand(
      "gpu", "What is computed beside the data path, on a GPU where there is one");
  g->group("Operation");
  g->fallthrough();
  g->require_subcommand(0, 1);
  g->add_subcommand("status", "Who computes and why, and what was computed; without a word too");
  auto* b = g->add_subcommand(
      "bench", "What a sample of each operation takes on the server, on its CPU and its device");
  const auto work = std::make_shared<std::uint64_t>(work_default);
  b->add_option("--work", *work, "Size of a sample: pairs, buckets, links, ... of the operation")
      ->check(CLI::Range(std::uint64_t{1}, work_max))
      ->capture_default_str();
  b->fallthrough();
  auto* m = g->add_subcommand(
      "calibrate", "Measure from which size on the device is faster, and keep it for next starts");
  m->fallthrough();
  g->callback([&t, b, m, work] {
    if (b->parsed())
      bench(t, *work);
    else if (m->parsed())
      calibrate(t);
    else
      status(t);
  });
}

} // namespace warp::programs
