#pragma once

#include "actors/compute_job.hpp"
#include "actors/compute_settings.hpp"
#include "gpu/compute.hpp"
#include "messages/gpu.hpp"
#include "messages/status.hpp"
#include "storage/file_system.hpp"
#include "storage/stats.hpp"

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

namespace warp::actors {

/// The file in the data folder that keeps from which size on a device beats the CPU
/// (gpu/calibration.hpp). A start reads it; without it, or when it is damaged or of other
/// hardware, it is measured anew, in some seconds beside everything else. Nothing else depends
/// on it, and no backup has it. A machine without a device has none.
inline constexpr std::string_view compute_calibration_file = "gpu-calibration";

/// Owns warp::gpu for a universe: takes jobs from any thread, makes batches of them, has them
/// computed by its workers, and answers. Workers are threads that call turn() in a loop
/// (actors/computing.hpp); nobody else ever waits for a device.
///
/// 1. A job that was taken is answered, whatever happens: by the device, by the CPU in its place
///    (gpu/compute.hpp), or with an error. Who dies with a job in hand answers `unavailable`; jobs
///    in the queue are for its successor.
/// 2. At most settings.queue_max jobs and settings.queue_bytes_max bytes wait, and background jobs
///    fill three quarters of that at most; the next one is refused with `overloaded` at once.
///    Where nothing waits a job is taken however large it is.
/// 3. Jobs of one kind and rank that can share a batch (joined_batch.hpp) do. A background job is
///    due when settings.batch_max of its kind wait, or after settings.window; an interactive one at
///    once. Interactive ones go first, but before a background job that has waited for 1 s.
/// 4. gpu.mode off: every job is refused with `not_supported`.
///
/// The devices are looked for by the first turn, not by the constructor, so that a driver that
/// takes its time holds nothing up. Thread-safe.
class compute_manager {
public:
  using clock = std::function<double()>; ///< seconds since any fixed moment, never back

  /// Borrows the files. `folder` empty: nothing is kept. `now_s` empty: the steady clock.
  compute_manager(compute_settings settings, storage::file_system& files, std::string folder,
                  clock now_s = {});
  /// As close(). No turn is under way any more.
  ~compute_manager();
  compute_manager(const compute_manager&) = delete;
  compute_manager& operator=(const compute_manager&) = delete;

  // -- whoever wants something computed ----------------------------------------------------------

  /// Never blocks. The future is ready when the outputs are filled, or at once when refused;
  /// dropping it does not take the job back. Throws std::bad_alloc: nothing was taken.
  [[nodiscard]] std::future<compute_answer> submit(compute_job job);

  // -- operators: block until a worker has done it, a minute at most -----------------------------

  /// What a sample of about so much work of each operation takes on the CPU and on the first
  /// device. Jobs wait meanwhile. invalid_argument: more than bench_work_max. not_supported: off.
  [[nodiscard]] op_result<std::vector<gpu_timing>> bench(std::uint64_t work);
  static constexpr std::uint64_t bench_work_max = 1 << 24;
  /// Measures the crossovers now, and keeps them. Without a device there is nothing to measure,
  /// which is an answer. Jobs wait meanwhile. not_supported: off.
  [[nodiscard]] op_result<gpu_calibration_report> calibrate();

  // -- what happened -----------------------------------------------------------------------------

  [[nodiscard]] gpu_report report() const;
  /// From the call to the answer, by rank.
  [[nodiscard]] std::array<storage::latency_histogram, compute_ranks> latencies() const;
  [[nodiscard]] const compute_settings& settings() const noexcept { return settings_; }

  // -- workers -----------------------------------------------------------------------------------

  /// Waits up to `wait_max` (shorter after interrupt()) until a batch is due, and computes it.
  /// Several threads may, each with its number, < settings.workers.
  void turn(std::uint32_t worker, std::chrono::milliseconds wait_max);
  void interrupt(std::uint32_t worker);
  /// Answers what waits with shutting_down, and everything after it.
  void close();

private:
  using steady = std::chrono::steady_clock;
  class ticket;
  using tickets = std::vector<std::unique_ptr<ticket>>;
  using queue = std::deque<std::unique_ptr<ticket>>;
  struct order;
  /// Where a batch comes from.
  struct source {
    queue* from = nullptr; ///< null: none is due
    double wait_s = 0;     ///< until one is, if nothing comes
  };

  void next(std::uint32_t worker, std::chrono::milliseconds wait_max);
  bool open();
  void ask_for_devices();
  [[nodiscard]] gpu_calibration_report calibrate(gpu::compute& door, std::string_view text);
  template <class Result, class Do>
  op_result<Result> command(Do what);
  void obey(order& o);
  [[nodiscard]] op_status refusal(compute_rank rank, std::uint64_t bytes) const;
  [[nodiscard]] queue& queue_of(compute_rank rank, gpu::operation kind) noexcept;
  [[nodiscard]] source next_source(double now_s);
  [[nodiscard]] tickets take(queue& from);
  void work(tickets taken);
  template <class Batch>
  void work_on(const tickets& taken);
  template <class Batch>
  bool work_joined(const std::vector<ticket*>& group);
  template <class Batch>
  gpu::answer run(const Batch& b);
  void answer(ticket& t, compute_answer a);
  void answer(ticket& t, gpu::answer a);
  void refuse_all(const op_status& why);
  void note_busy(double took_s, bool by_device, std::uint64_t bytes);
  [[nodiscard]] double lately(double now_s) const;
  void say_who_computes(gpu_report& out) const;

  const compute_settings settings_;
  storage::file_system& files_;
  const std::string folder_;
  const clock now_s_;

  std::mutex opening_;
  std::shared_mutex gate_; ///< batches share it, orders have it for themselves

  mutable std::mutex mutex_; ///< guards what is below
  std::condition_variable changed_;
  std::unique_ptr<gpu::compute> door_; ///< null until the first turn; then it stays
  gpu::calibration crossovers_;
  std::string said_;        ///< of the search for devices
  std::string calibration_; ///< where the crossovers come from
  std::string trouble_;     ///< why the last turn could not begin; empty: it could
  std::array<std::array<queue, gpu::operations>, compute_ranks> queues_;
  std::array<std::uint64_t, compute_ranks> queued_{};
  std::uint64_t queued_bytes_ = 0;
  std::deque<std::shared_ptr<order>> orders_;
  std::vector<char> interrupted_; ///< by worker
  bool closed_ = false;
  std::array<std::uint64_t, gpu::operations> answered_{};
  std::array<storage::latency_histogram, compute_ranks> latencies_;
  std::uint64_t jobs_ = 0, batches_ = 0, refused_ = 0, failed_ = 0, transfer_bytes_ = 0;
  double busy_cpu_s_ = 0, busy_device_s_ = 0, opened_s_ = 0;
  double lately_ = 0, lately_at_s_ = 0; ///< part of the time that workers were at work, decayed
};

} // namespace warp::actors
