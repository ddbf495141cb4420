#pragma once

#include "gpu/backend.hpp"
#include "gpu/batch_rules.hpp"
#include "gpu/cpu_backend.hpp"

#include <atomic>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace warp::gpu {

/// What a fake device is to do; the test keeps it and the device looks at it. One thread, but for
/// what `during` does.
struct device_script {
  std::deque<outcome> next;           ///< of the batches to come; done when it runs out
  bool wrong = false;                 ///< one number of each answer
  std::function<void()> during;       ///< called in the middle of each batch
  double* clock = nullptr;            ///< moves on by the cost below
  double cost_s = 0, cost_a_work = 0; ///< of a batch, and for each unit of its work
  std::atomic<std::uint64_t> batches{0};
};

/// A device that computes on the CPU, and fails as told: then half of its outputs are garbage.
class fake_device final : public backend {
public:
  explicit fake_device(std::shared_ptr<device_script> script, std::string name = "fake")
      : script_(std::move(script)), name_(std::move(name)) {}

  [[nodiscard]] std::string name() const override { return name_; }
  outcome run(const gravity_batch& b) noexcept override { return any(b); }
  outcome run(const entropy_batch& b) noexcept override { return any(b); }
  outcome run(const walk_batch& b) noexcept override { return any(b); }
  outcome run(const evolution_batch& b) noexcept override { return any(b); }
  outcome run(const heat_batch& b) noexcept override { return any(b); }
  outcome run(const horizon_batch& b) noexcept override { return any(b); }
  outcome run(const score_batch& b) noexcept override { return any(b); }
  outcome run(const train_batch& b) noexcept override { return any(b); }
  outcome run(const column_batch& b) noexcept override { return any(b); }

private:
  template <class Batch>
  outcome any(const Batch& b) noexcept {
    auto& s = *script_;
    ++s.batches;
    if (s.clock) *s.clock += s.cost_s + s.cost_a_work * static_cast<double>(work_of(b));
    if (s.during) s.during();
    auto what = outcome::done;
    if (!s.next.empty()) {
      what = s.next.front();
      s.next.pop_front();
    }
    auto outputs = b;
    if (what != outcome::done) {
      for_each_output(outputs, [](auto& out) {
        if (!out.empty()) std::memset(out.data(), 0xa5, (out.size() + 1) / 2 * sizeof(out[0]));
      });
      return what;
    }
    what = inner_.run(b);
    bool spoil = s.wrong;
    for_each_output(outputs, [&](auto& out) {
      if (std::exchange(spoil, spoil && out.empty()) && !out.empty())
        std::memset(&out[out.size() / 2], 0x5a, sizeof(out[0]));
    });
    return what;
  }

  std::shared_ptr<device_script> script_;
  std::string name_;
  cpu_backend inner_;
};

} // namespace warp::gpu
