// What watches cost writers: puts in process, 16 B + 100 B, one at a time, with nobody watching,
// with many watches of other keys, and with watches that want every change, taken or not; and how
// fast the changes come through.
#include "storage/engine.hpp"
#include "storage/watch_thread.hpp"
#include "tests/bench/live_engine.hpp"
#include "tests/bench/report.hpp"
#include "tests/bench/workload.hpp"

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace warp;
using namespace warp::storage;
using namespace warp::bench;
using clock_type = std::chrono::steady_clock;

constexpr std::uint64_t keys = 100'000;
const std::string payload(100, 'v');

/// Takes what a watch tells, on a thread of its own.
class taker {
public:
  taker(engine& e, watch_options o) {
    auto made = e.watch_changes(std::move(o), [this] {
      ready_.store(1);
      ready_.notify_one();
    });
    if (!made) std::abort();
    watch_ = std::move(*made);
    thread_ = std::jthread{[this](std::stop_token stop) {
      std::stop_callback wake{stop, [this] {
                                ready_.store(1);
                                ready_.notify_one();
                              }};
      std::vector<watch_change_ptr> out;
      while (!stop.stop_requested()) {
        ready_.wait(0);
        ready_.store(0);
        do {
          out.clear();
          watch_->take(out, 1'000, 1 << 20);
          for (const auto& c : out) {
            changes_ += c->view().is_change();
            if (c->kind == watch_kind::lost) lost_ = true;
          }
        } while (!out.empty());
      }
    }};
  }
  [[nodiscard]] std::uint64_t changes() const { return changes_; }
  [[nodiscard]] bool lost() const { return lost_; }

private:
  std::atomic<int> ready_{0};
  std::atomic<std::uint64_t> changes_{0};
  std::atomic<bool> lost_{false};
  std::unique_ptr<watch> watch_;
  std::jthread thread_;
};

/// Puts random keys for about `time`; returns how many, and millions a second in `rate`.
std::uint64_t put(engine& e, std::chrono::milliseconds time, double& rate) {
  fast_random random{1};
  value_arena arena;
  std::uint64_t n = 0;
  const auto began = clock_type::now();
  do
    for (int i = 0; i < 1'000; ++i, ++n) {
      const key_text key{random() % keys};
      const operation op{.kind = op_kind::put, .key = key.view(), .value = payload};
      op_reply reply;
      e.execute({&op, 1}, {&reply, 1}, arena);
    }
  while (clock_type::now() - began < time);
  rate = static_cast<double>(n) /
         std::chrono::duration<double, std::micro>(clock_type::now() - began).count();
  return n;
}

} // namespace

int main(int argc, char** argv) {
  report out{argc, argv,
             "watch_bench: what watches cost writers, and how fast changes are told.\n"};
  const std::chrono::milliseconds time{
      static_cast<int>(1'000 * out.seconds(out.quick() ? 0.3 : 2))};
  const int runs = out.quick() ? 1 : 5;
  out.begin("watches: puts of 16 B + 100 B by one thread, one at a time", 180);
  out.setting("keys", std::to_string(keys));

  for (const bool in_memory : {true, false}) {
    out.section(in_memory ? "in memory only" : "level async");
    const auto live = in_memory ? live_engine::in_memory() : std::make_unique<live_engine>();
    auto& e = **live;
    watch_thread pump{e};
    const auto measure = [&](const std::string& name, const std::function<void()>& after = {}) {
      figure f{.name = name, .unit = "M/s", .runs = {}};
      for (int i = 0; i < runs; ++i) {
        double rate = 0;
        put(e, time, rate);
        f.runs.push_back(rate);
        if (after) after();
        live->settle();
      }
      out.add(std::move(f));
    };
    double warm = 0;
    put(e, time, warm);
    if (out.wanted("puts, nobody watches")) measure("puts, nobody watches");
    if (out.wanted("puts, 10,000 watches of other keys")) {
      std::vector<std::unique_ptr<watch>> others;
      for (int i = 0; i < 10'000; ++i) {
        auto made = e.watch_changes({.key = "other" + std::to_string(i)}, {});
        if (made) others.push_back(std::move(*made));
      }
      measure("puts, 10,000 watches of other keys");
    }
    if (out.wanted("puts, 256 of the keys are watched")) {
      taker some{e, {.key = "key:0000aaaaab", .prefix = true}};
      measure("puts, 256 of the keys are watched");
    }
    if (out.wanted("puts, a watch of all keys that nobody takes")) {
      const auto made = e.watch_changes({.key = "", .prefix = true}, {});
      measure("puts, a watch of all keys that nobody takes");
    }
    if (out.wanted("puts, a watch of all keys")) {
      taker all{e, {.key = "", .prefix = true}};
      figure told{.name = "changes told by it meanwhile", .unit = "M/s", .runs = {}};
      auto before = all.changes();
      auto began = clock_type::now();
      measure("puts, a watch of all keys", [&] {
        const auto now = clock_type::now();
        told.runs.push_back(
            static_cast<double>(all.changes() - before) /
            std::chrono::duration<double, std::micro>(now - std::exchange(began, now)).count());
        before = all.changes();
      });
      out.add(std::move(told));
    }
    if (in_memory || !out.wanted("changes told from the log, nobody writes")) continue;
    figure past{.name = "changes told from the log, nobody writes", .unit = "M/s", .runs = {}};
    for (int i = 0; i < runs; ++i) {
      auto mark = e.watch_changes({.key = "", .prefix = true}, {});
      double rate = 0;
      const auto written = put(e, time, rate);
      watch_options o{.key = "", .prefix = true, .start = watch_start::after};
      o.token = (*mark)->start();
      mark->reset();
      const auto began = clock_type::now();
      taker t{e, o};
      while (t.changes() < written && !t.lost()) std::this_thread::yield();
      if (t.lost()) continue; // a checkpoint has released the log
      past.runs.push_back(
          static_cast<double>(written) /
          std::chrono::duration<double, std::micro>(clock_type::now() - began).count());
    }
    if (!past.runs.empty()) out.add(std::move(past));
  }
}
