#include "gpu/compute.hpp"

#include "gpu/answer_check.hpp"
#include "gpu/batch_rules.hpp"
#include "gpu/sample_batch.hpp"

#include <algorithm>
#include <exception>
#include <utility>

namespace warp::gpu {

namespace {

/// A batch whose outputs lie elsewhere.
template <class Batch>
class shadow {
public:
  explicit shadow(const Batch& original) : batch_(original) {
    for_each_output(batch_, [&](auto& out) {
      auto& memory = memory_.emplace_back(out.size_bytes() + alignment);
      const auto skew = reinterpret_cast<std::uintptr_t>(memory.data()) % alignment;
      using value = typename std::remove_reference_t<decltype(out)>::element_type;
      out = {reinterpret_cast<value*>(memory.data() + (alignment - skew) % alignment), out.size()};
    });
  }

  [[nodiscard]] const Batch& batch() const noexcept { return batch_; }

private:
  static constexpr std::size_t alignment = 64;
  Batch batch_;
  std::vector<std::vector<std::byte>> memory_;
};

/// The best of three runs, the first of which warms up; -1: one of them came to nothing.
double quickest(backend& on, const sample_batch& sample, const std::function<double()>& clock) {
  double least = -1;
  for (int i = 0; i < 3; ++i) {
    const auto begin = clock();
    const auto what = std::visit([&](const auto& b) { return on.run(b); }, sample.batch());
    const auto took = clock() - begin;
    if (what != outcome::done) return -1;
    least = least < 0 ? took : std::min(least, took);
  }
  return least;
}

std::string_view trouble_of(outcome what) noexcept {
  switch (what) {
  case outcome::done:
    return {};
  case outcome::failed:
    return "failed";
  case outcome::out_of_memory:
    return "out of memory";
  case outcome::lost:
    return "lost";
  }
  return "unknown";
}

} // namespace

compute::compute(const compute_options& options, device_list devices)
    : compute(options, std::move(devices), std::make_unique<cpu_backend>(options.cpu)) {}

compute::compute(const compute_options& options, device_list devices, std::unique_ptr<backend> cpu)
    : options_(options), said_(std::move(devices.said)), cpu_(std::move(cpu)) {
  calibration_.crossover.fill(calibration::never);
  for (auto& driver : devices.found) {
    auto d = std::make_unique<device>();
    d->seen.name = driver->name();
    d->driver = std::move(driver);
    devices_.push_back(std::move(d));
  }
}

answer compute::run(const gravity_batch& b, double now_s) noexcept {
  return run_any(b, now_s);
}
answer compute::run(const entropy_batch& b, double now_s) noexcept {
  return run_any(b, now_s);
}
answer compute::run(const walk_batch& b, double now_s) noexcept {
  return run_any(b, now_s);
}
answer compute::run(const evolution_batch& b, double now_s) noexcept {
  return run_any(b, now_s);
}
answer compute::run(const heat_batch& b, double now_s) noexcept {
  return run_any(b, now_s);
}
answer compute::run(const horizon_batch& b, double now_s) noexcept {
  return run_any(b, now_s);
}
answer compute::run(const score_batch& b, double now_s) noexcept {
  return run_any(b, now_s);
}
answer compute::run(const train_batch& b, double now_s) noexcept {
  return run_any(b, now_s);
}
answer compute::run(const column_batch& b, double now_s) noexcept {
  return run_any(b, now_s);
}

template <class Batch>
answer compute::run_any(const Batch& b, double now_s) noexcept {
  const auto kind = static_cast<std::size_t>(kind_of(b));
  if (!valid(b)) {
    const std::lock_guard lock{state_};
    ++counted_.invalid;
    return answer::invalid;
  }
  const auto ticket = choose(kind_of(b), work_of(b), now_s);
  if (ticket.to && run_on_device(b, ticket, now_s)) {
    const std::lock_guard lock{state_};
    ++counted_.on_device[kind];
    return answer::by_device;
  }
  outcome what;
  {
    const std::lock_guard turn{cpu_turn_};
    what = cpu_->run(b);
  }
  const std::lock_guard lock{state_};
  if (what != outcome::done) return answer::out_of_memory;
  ++counted_.on_cpu[kind];
  counted_.fallbacks += ticket.to != nullptr;
  return answer::by_cpu;
}

compute::ticket compute::choose(operation kind, std::uint64_t work, double now_s) noexcept {
  if (devices_.empty() || work < calibration_.of(kind)) return {};
  const std::lock_guard lock{state_};
  device* best = nullptr;
  bool full = false;
  for (auto& d : devices_) {
    // A device that may be tried again is: else those that are idle would keep it out for ever.
    const bool rested = d->breaker.now() != circuit_breaker::state::closed;
    if (!d->breaker.allows(now_s)) continue;
    if (!rested && d->seen.waiting >= options_.queue_max) {
      full = true;
      continue;
    }
    if (rested) {
      ++d->seen.waiting;
      return {d.get(), true};
    }
    if (!best || d->seen.waiting < best->seen.waiting) best = d.get();
  }
  if (!best) {
    ++(full ? counted_.queues_full : counted_.breakers_open);
    return {};
  }
  ++best->seen.waiting;
  ++on_devices_;
  return {best, options_.check_one_in != 0 && on_devices_ % options_.check_one_in == 0};
}

template <class Batch>
bool compute::run_on_device(const Batch& b, const ticket& t, double now_s) noexcept {
  auto& d = *t.to;
  std::unique_lock turn{d.turn};
  {
    // It may have gone while this batch stood in the queue.
    const std::lock_guard lock{state_};
    if (d.breaker.now() == circuit_breaker::state::open) {
      --d.seen.waiting;
      return false;
    }
  }
  const auto what = d.driver->run(b);
  {
    // Before the next one's turn: that one has to hear of a device that has gone.
    const std::lock_guard lock{state_};
    --d.seen.waiting;
    ++d.seen.batches;
    if (what != outcome::done) {
      trouble(d, what, now_s);
      return false;
    }
    if (!t.checked) {
      d.breaker.success();
      return true;
    }
  }
  turn.unlock();
  return check(b, d, now_s);
}

template <class Batch>
bool compute::check(const Batch& b, device& d, double now_s) noexcept {
  bool compared = false, same = false;
  std::string said;
  try {
    const shadow<Batch> own{b};
    const std::lock_guard turn{cpu_turn_};
    if (cpu_->run(own.batch()) == outcome::done) {
      const auto difference = differs(b, own.batch());
      compared = true;
      same = !difference;
      if (difference) said = "wrong answer: " + *difference;
    }
  } catch (const std::exception&) {
    // No memory to compare with, or to say what differs.
  }
  const std::lock_guard lock{state_};
  if (!compared) {
    // It stands unchecked; but what is on probation has not proved anything.
    if (d.breaker.now() != circuit_breaker::state::half_open) return true;
    d.breaker.failure(now_s);
    return false;
  }
  ++counted_.checked;
  if (same) {
    d.breaker.success();
    return true;
  }
  ++counted_.mismatched;
  d.breaker.trip(now_s);
  d.seen.last_trouble = std::move(said);
  return false;
}

void compute::trouble(device& d, outcome what, double now_s) noexcept {
  d.seen.failed += what == outcome::failed;
  d.seen.out_of_memory += what == outcome::out_of_memory;
  d.seen.lost += what == outcome::lost;
  if (what == outcome::lost)
    d.breaker.trip(now_s);
  else
    d.breaker.failure(now_s);
  try {
    d.seen.last_trouble = trouble_of(what);
  } catch (const std::exception&) {
    d.seen.last_trouble.clear();
  }
}

std::string compute::device_names() const {
  std::string names;
  for (const auto& d : devices_) names += (names.empty() ? "" : " + ") + d->seen.name;
  return names;
}

compute::calibrated compute::calibrate(std::string_view text,
                                       const std::function<double()>& clock) {
  if (devices_.empty()) return {false, said_.empty() ? "no device" : said_, {}};
  calibrated out;
  auto read = calibration_from(text);
  if (auto* const c = std::get_if<calibration>(&read)) {
    if (c->cpu == cpu_->name() && c->device == device_names()) {
      calibration_ = std::move(*c);
      return {false, "the crossovers are those of an earlier calibration", std::string{text}};
    }
    out.said = "measured: the calibration was of " + c->cpu + " and " + c->device;
  } else {
    out.said = text.empty()
                   ? "measured: there was no calibration"
                   : "measured: the calibration could not be read: " + std::get<std::string>(read);
  }
  out.measured = true;
  calibration_.cpu = cpu_->name();
  calibration_.device = device_names();
  for (std::size_t i = 0; i < operations; ++i)
    calibration_.crossover[i] = measured_crossover(static_cast<operation>(i), clock);
  out.text = to_text(calibration_);
  return out;
}

// The devices of one machine are taken to be alike: the first one is measured.
std::uint64_t compute::measured_crossover(operation kind, const std::function<double()>& clock) {
  constexpr std::uint64_t smallest = 1 << 8;
  auto crossover = calibration::never;
  for (auto work = options_.calibrate_up_to; work >= smallest; work /= 4) {
    const sample_batch sample{kind, work, 1};
    const double by_device = quickest(*devices_.front()->driver, sample, clock),
                 by_cpu = quickest(*cpu_, sample, clock);
    if (by_device < 0 || (by_cpu >= 0 && by_device > by_cpu)) break;
    crossover = std::visit([](const auto& b) { return work_of(b); }, sample.batch());
  }
  return crossover;
}

std::vector<compute::timing> compute::measure(std::uint64_t work,
                                              const std::function<double()>& clock) {
  std::vector<timing> out;
  for (std::size_t i = 0; i < operations; ++i) {
    const auto kind = static_cast<operation>(i);
    const sample_batch sample{kind, work, 1};
    timing t{.kind = kind};
    t.work = std::visit([](const auto& b) { return work_of(b); }, sample.batch());
    t.cpu_s = quickest(*cpu_, sample, clock);
    if (!devices_.empty()) t.device_s = quickest(*devices_.front()->driver, sample, clock);
    out.push_back(t);
  }
  return out;
}

compute::counters compute::counted() const {
  const std::lock_guard lock{state_};
  return counted_;
}

std::vector<compute::device_state> compute::devices() const {
  const std::lock_guard lock{state_};
  std::vector<device_state> out;
  for (const auto& d : devices_) {
    out.push_back(d->seen);
    out.back().breaker = d->breaker.now();
    out.back().openings = d->breaker.openings();
  }
  return out;
}

std::string compute::status() const {
  std::string text = cpu_->name() + "\n";
  for (const auto& d : devices()) {
    text += d.name + ": breaker " + std::string{to_string(d.breaker)};
    if (!d.last_trouble.empty()) text += ", last trouble: " + d.last_trouble;
    text += "\n";
  }
  if (!said_.empty()) text += said_ + "\n";
  return text;
}

} // namespace warp::gpu
