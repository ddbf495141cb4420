// What watches cost writers: puts in process, 16 B + 100 B, one at a time, with nobody watching,
// with many watches of other keys, and with watches that want every change, taken or not; and how
// fast the changes come through.
#include "storage/engine.hpp"
#include "storage/stream_threads.hpp"
#include "storage/watch_thread.hpp"
#include "tests/bench/report.hpp"
#include "tests/bench/workload.hpp"

#include <atomic>
#include <chrono>
#include <filesystem>
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
          for (const auto& c : out) changes_ += c->view().is_change();
        } while (!out.empty());
      }
    }};
  }
  [[nodiscard]] std::uint64_t changes() const { return changes_; }

private:
  std::atomic<int> ready_{0};
  std::atomic<std::uint64_t> changes_{0};
  std::unique_ptr<watch> watch_;
  std::jthread thread_;
};

/// Millions of puts a second of `threads` threads for about `time`; returns how many there were.
std::uint64_t put(engine& e, unsigned threads, std::chrono::milliseconds time, double& rate) {
  std::atomic<bool> over{false};
  std::atomic<std::uint64_t> total{0};
  const auto began = clock_type::now();
  {
    std::vector<std::jthread> writers;
    for (unsigned t = 0; t < threads; ++t)
      writers.emplace_back([&, t] {
        fast_random random{t + 1};
        value_arena arena;
        std::uint64_t n = 0;
        while (!over) {
          for (int i = 0; i < 100; ++i, ++n) {
            const key_text key{random() % keys};
            const operation op{.kind = op_kind::put, .key = key.view(), .value = payload};
            op_reply reply;
            e.execute({&op, 1}, {&reply, 1}, arena);
          }
        }
        total += n;
      });
    std::this_thread::sleep_for(time);
    over = true;
  }
  rate = static_cast<double>(total) /
         std::chrono::duration<double, std::micro>(clock_type::now() - began).count();
  return total;
}

} // namespace

int main(int argc, char** argv) {
  report out{argc, argv};
  const auto time = std::chrono::milliseconds{out.quick() ? 300 : 2'000};
  const int runs = out.quick() ? 1 : 5;
  const auto folder = std::filesystem::temp_directory_path() / "warp-watch-bench";

  for (const bool in_memory : {true, false}) {
    std::filesystem::remove_all(folder);
    auto opened = engine::open(
        {.folder = in_memory ? "" : folder.string(), .wal_max_bytes = std::uint64_t{16} << 30});
    if (!opened) return std::fprintf(stderr, "%s\n", opened.status().to_string().c_str()), 1;
    auto& e = **opened;
    {
      stream_threads log{e};
      watch_thread pump{e};
      out.section(in_memory ? "puts, in memory only, one thread" : "puts, level async, one thread");
      const auto measure = [&](const std::string& name, const std::function<void()>& after = {}) {
        figure f{.name = name, .unit = "M/s", .runs = {}};
        for (int i = 0; i < runs; ++i) {
          double rate = 0;
          put(e, 1, time, rate);
          f.runs.push_back(rate);
          if (after) after();
        }
        out.add(std::move(f));
      };
      double warm = 0;
      put(e, 1, time, warm);
      measure("nobody watches");
      {
        std::vector<std::unique_ptr<watch>> others;
        for (int i = 0; i < 10'000; ++i) {
          auto made = e.watch_changes({.key = "other" + std::to_string(i)}, {});
          if (made) others.push_back(std::move(*made));
        }
        measure("10,000 watches of other keys");
      }
      {
        watch_options o{.key = "key:00000001", .prefix = true};
        taker some{e, o};
        measure("a watch of one key in a thousand, taken");
      }
      {
        auto made = e.watch_changes({.key = "", .prefix = true}, {});
        measure("a watch of all keys that nobody takes");
      }
      {
        taker all{e, {.key = "", .prefix = true}};
        std::uint64_t before = all.changes();
        figure told{.name = "  changes told by it meanwhile", .unit = "M/s", .runs = {}};
        auto began = clock_type::now();
        measure("a watch of all keys, taken", [&] {
          const auto now = clock_type::now();
          told.runs.push_back(
              static_cast<double>(all.changes() - before) /
              std::chrono::duration<double, std::micro>(now - std::exchange(began, now)).count());
          before = all.changes();
        });
        out.add(std::move(told));
      }
      figure past{.name = "changes told from the log, nobody writes", .unit = "M/s", .runs = {}};
      for (int i = 0; !in_memory && i < runs; ++i) {
        auto mark = e.watch_changes({.key = "", .prefix = true}, {});
        double rate = 0;
        const auto written = put(e, 1, time, rate);
        watch_options o{.key = "", .prefix = true, .start = watch_start::after};
        o.token = (*mark)->start();
        mark->reset();
        const auto began = clock_type::now();
        taker t{e, o};
        while (t.changes() < written) std::this_thread::yield();
        past.runs.push_back(
            static_cast<double>(written) /
            std::chrono::duration<double, std::micro>(clock_type::now() - began).count());
      }
      if (!in_memory) out.add(std::move(past));
    }
    if (!e.close().ok()) return 1;
    opened->reset();
  }
  std::filesystem::remove_all(folder);
}
