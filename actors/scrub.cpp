#include "actors/scrub.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace warp::actors {

scrub::scrub(storage::engine& engine, change_bell& ended)
    : engine_(engine), ended_(ended), interval_(engine.options().scrub_interval),
      // A server that is started every day is to be scrubbed too.
      due_(steady::now() + interval_ / 10) {}

void scrub::turn(std::chrono::milliseconds wait_max) {
  {
    std::unique_lock hold{mutex_};
    const auto is_due = [&] { return interval_.count() != 0 && steady::now() >= due_; };
    auto until = steady::now() + wait_max;
    if (interval_.count() != 0) until = std::min(until, due_);
    changed_.wait_until(hold, until, [&] { return wanted_ || interrupted_; });
    const bool go = !interrupted_ && (wanted_ || is_due());
    interrupted_ = false;
    if (!go) return;
    if (!wanted_) ++status_.begun; // else request() has counted it
    wanted_ = false;
  }
  run();
}

void scrub::run() {
  const auto& options = engine_.options();
  auto& files = options.files ? *options.files : storage::posix_file_system();
  storage::paced_file_system paced{files, options.scrub_rate_bytes};
  {
    std::lock_guard hold{mutex_};
    running_ = &paced;
  }
  auto report = storage::verify_folder(paced, options.folder);
  note_end(std::move(report), paced.bytes());
  ended_.ring();
}

void scrub::note_end(op_result<storage::verify_report> report, std::uint64_t bytes) {
  const storage::system_clock time;
  std::lock_guard hold{mutex_};
  running_ = nullptr;
  due_ = steady::now() + interval_;
  status_.bytes += bytes;
  ++status_.finished;
  status_.finished_at_ms = time.now_ms();
  status_.failure = report.ok() ? std::string{} : report.status().to_string();
  if (!report.ok()) {
    if (report.code() != op_code::shutting_down)
      spdlog::warn("scrubbing could not check everything: {}", report.status().to_string());
    return;
  }
  status_.files += 1 + report->checkpoints + report->segments;
  for (const auto& finding : report->findings)
    if (std::find(status_.last.findings.begin(), status_.last.findings.end(), finding) ==
        status_.last.findings.end()) // said once
      spdlog::error("scrubbing found damage: {}", finding);
  status_.last = std::move(*report);
}

void scrub::interrupt() {
  {
    std::lock_guard hold{mutex_};
    interrupted_ = true;
    if (running_ != nullptr) running_->stop();
  }
  changed_.notify_all();
}

std::uint64_t scrub::request() {
  std::uint64_t number = 0;
  {
    std::lock_guard hold{mutex_};
    if (!wanted_) ++status_.begun;
    wanted_ = true;
    number = status_.begun;
  }
  changed_.notify_all();
  return number;
}

scrub_status scrub::status() const {
  std::lock_guard hold{mutex_};
  auto copy = status_;
  if (running_ != nullptr) copy.bytes += running_->bytes();
  return copy;
}

} // namespace warp::actors
