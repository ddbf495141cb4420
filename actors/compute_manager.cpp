#include "actors/compute_manager.hpp"

#include "actors/joined_batch.hpp"
#include "storage/path.hpp"
#include "storage/replace_file.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <exception>
#include <new>
#include <optional>
#include <utility>

namespace warp::actors {

namespace {

constexpr double patience_s = 1; ///< a background job that has waited for it goes before others
constexpr double lately_s = 10;  ///< what utilisation is a mean over
constexpr std::chrono::seconds command_bound{60};

gpu::operation kind_of(const gpu::any_batch& batch) noexcept {
  return static_cast<gpu::operation>(batch.index());
}

void count(storage::latency_histogram& h, double s) noexcept {
  const auto ns = static_cast<std::uint64_t>(std::max(0.0, s) * 1e9);
  const auto bucket =
      std::min<std::size_t>(static_cast<std::size_t>(std::bit_width(ns)), h.bucket_count - 1);
  ++h.buckets[bucket];
  ++h.count;
  h.sum_ns += ns;
}

double steady_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

} // namespace

/// A job that was taken. Whoever drops it unanswered has answered it.
class compute_manager::ticket {
public:
  ticket(compute_job job, double since_s, std::uint64_t bytes)
      : job_(std::move(job)), since_s_(since_s), bytes_(bytes) {}
  ~ticket() {
    if (!answered_)
      answer({{op_code::unavailable, "the worker of this job has ended: try again"}, false});
  }
  ticket(const ticket&) = delete;
  ticket& operator=(const ticket&) = delete;

  [[nodiscard]] const compute_job& job() const noexcept { return job_; }
  [[nodiscard]] double since_s() const noexcept { return since_s_; }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] bool answered() const noexcept { return answered_; }
  [[nodiscard]] std::future<compute_answer> future() { return to_.get_future(); }

  void answer(compute_answer a) {
    answered_ = true;
    job_.memory.reset(); // whoever waits for the answer may expect to have it alone
    to_.set_value(std::move(a));
  }

private:
  compute_job job_;
  double since_s_;
  std::uint64_t bytes_;
  bool answered_ = false;
  std::promise<compute_answer> to_;
};

/// Something to be done with no batch under way.
struct compute_manager::order {
  /// With the status: it will not be done, and that is why.
  std::function<void(gpu::compute*, const op_status&)> what;
};

compute_manager::compute_manager(compute_settings settings, storage::file_system& files,
                                 std::string folder, clock now_s)
    : settings_(std::move(settings)), files_(files), folder_(std::move(folder)),
      now_s_(now_s ? std::move(now_s) : clock{steady_s}),
      interrupted_(std::max(1u, settings_.workers), 0) {
  crossovers_.crossover.fill(gpu::calibration::never);
}

compute_manager::~compute_manager() {
  close();
}

// -- taking --------------------------------------------------------------------------------------

op_status compute_manager::refusal(compute_rank rank, std::uint64_t bytes) const {
  if (settings_.mode == compute_mode::off)
    return {op_code::not_supported, "nothing is computed beside the data path: gpu.mode is off"};
  if (closed_) return op_code::shutting_down;
  const auto waiting = queued_[0] + queued_[1];
  if (waiting == 0) return {};
  const bool all = rank == compute_rank::interactive;
  const std::uint64_t jobs_max = all ? settings_.queue_max : settings_.queue_max / 4 * 3;
  const auto bytes_max = all ? settings_.queue_bytes_max : settings_.queue_bytes_max / 4 * 3;
  if (waiting >= std::max<std::uint64_t>(1, jobs_max))
    return {op_code::overloaded,
            fmt::format("{} jobs wait to be computed, the most that may of this rank "
                        "(gpu.queue_max): try again in a moment",
                        waiting)};
  if (queued_bytes_ + bytes > bytes_max)
    return {op_code::overloaded,
            fmt::format("jobs of {} bytes wait to be computed, and {} more may not "
                        "(gpu.queue_memory): try again in a moment",
                        queued_bytes_, bytes)};
  return {};
}

std::future<compute_answer> compute_manager::submit(compute_job job) {
  const auto rank = job.rank;
  const auto kind = kind_of(job.batch);
  const auto bytes = std::visit([](const auto& b) { return bytes_of(b); }, job.batch);
  auto t = std::make_unique<ticket>(std::move(job), now_s_(), bytes);
  auto answered = t->future();
  op_status no;
  {
    std::lock_guard hold{mutex_};
    no = refusal(rank, bytes);
    if (no.ok()) {
      queue_of(rank, kind).push_back(std::move(t));
      ++jobs_;
      ++queued_[static_cast<std::size_t>(rank)];
      queued_bytes_ += bytes;
    } else {
      refused_ += no == op_code::overloaded;
    }
  }
  if (no.ok())
    changed_.notify_one();
  else
    t->answer({std::move(no), false});
  return answered;
}

compute_manager::queue& compute_manager::queue_of(compute_rank rank, gpu::operation kind) noexcept {
  return queues_[static_cast<std::size_t>(rank)][static_cast<std::size_t>(kind)];
}

// -- batches -------------------------------------------------------------------------------------

/// Under mutex_.
compute_manager::source compute_manager::next_source(double now_s) {
  const auto window_s = std::chrono::duration<double>(settings_.window).count();
  queue* first[compute_ranks] = {};
  source out{.wait_s = 3600};
  for (std::size_t rank = 0; rank < compute_ranks; ++rank)
    for (auto& q : queues_[rank]) {
      if (q.empty()) continue;
      const auto age_s = now_s - q.front()->since_s();
      const bool due = static_cast<compute_rank>(rank) == compute_rank::interactive ||
                       q.size() >= settings_.batch_max || age_s >= window_s;
      if (!due)
        out.wait_s = std::min(out.wait_s, window_s - age_s);
      else if (!first[rank] || q.front()->since_s() < first[rank]->front()->since_s())
        first[rank] = &q;
    }
  const auto [interactive, background] = first;
  const bool late = background && now_s - background->front()->since_s() >= patience_s;
  out.from = interactive && !late ? interactive : background;
  return out;
}

/// Under mutex_.
compute_manager::tickets compute_manager::take(queue& from) {
  tickets out;
  const auto n = std::min<std::size_t>(from.size(), std::max(1u, settings_.batch_max));
  out.reserve(n);
  for (std::size_t i = 0; i < n; ++i) {
    auto& t = from.front();
    --queued_[static_cast<std::size_t>(t->job().rank)];
    queued_bytes_ -= t->bytes();
    out.push_back(std::move(t));
    from.pop_front();
  }
  return out;
}

void compute_manager::turn(std::uint32_t worker, std::chrono::milliseconds wait_max) {
  try {
    next(worker, wait_max);
  } catch (const std::bad_alloc&) {
    // What was in hand has answered that its worker has ended.
  }
}

void compute_manager::next(std::uint32_t worker, std::chrono::milliseconds wait_max) {
  const bool opened = settings_.mode == compute_mode::off || open();
  tickets taken;
  std::shared_ptr<order> ordered;
  {
    std::unique_lock hold{mutex_};
    const auto until = steady::now() + wait_max;
    for (;;) {
      if (std::exchange(interrupted_[worker], 0)) return;
      if (opened && !orders_.empty()) {
        ordered = std::move(orders_.front());
        orders_.pop_front();
        break;
      }
      const auto found = opened ? next_source(now_s_()) : source{.wait_s = 3600};
      if (found.from) {
        taken = take(*found.from);
        break;
      }
      const auto now = steady::now();
      if (now >= until) return;
      const auto sooner = now + std::chrono::ceil<steady::duration>(
                                    std::chrono::duration<double>(std::max(0.0, found.wait_s)));
      changed_.wait_until(hold, std::min(until, sooner));
    }
  }
  if (ordered)
    obey(*ordered);
  else
    work(std::move(taken));
}

void compute_manager::work(tickets taken) {
  const std::shared_lock hold{gate_};
  std::visit([&]([[maybe_unused]] const auto& b) { work_on<std::decay_t<decltype(b)>>(taken); },
             taken.front()->job().batch);
}

template <class Batch>
void compute_manager::work_on(const tickets& taken) {
  const auto batch_of = [](const ticket& t) -> const Batch& {
    return std::get<Batch>(t.job().batch);
  };
  for (std::size_t i = 0; i < taken.size(); ++i) {
    auto& t = *taken[i];
    if (t.answered()) continue;
    if (!gpu::valid(batch_of(t))) {
      answer(t, gpu::answer::invalid);
      continue;
    }
    std::vector<ticket*> group{&t};
    for (std::size_t j = i + 1; j < taken.size(); ++j)
      if (!taken[j]->answered() && gpu::valid(batch_of(*taken[j])) &&
          can_join(batch_of(t), batch_of(*taken[j])))
        group.push_back(taken[j].get());
    if (group.size() == 1 || !work_joined<Batch>(group)) answer(t, run(batch_of(t)));
  }
}

/// False: there is no memory for it, so each is to be computed alone.
template <class Batch>
bool compute_manager::work_joined(const std::vector<ticket*>& group) {
  std::optional<joined_batch<Batch>> all;
  try {
    std::vector<Batch> parts;
    parts.reserve(group.size());
    for (const auto* t : group) parts.push_back(std::get<Batch>(t->job().batch));
    all.emplace(std::move(parts));
  } catch (const std::bad_alloc&) {
    return false;
  }
  const auto a = run(all->batch());
  if (a != gpu::answer::by_cpu && a != gpu::answer::by_device) return false;
  all->hand_out();
  for (auto* t : group) answer(*t, a);
  return true;
}

template <class Batch>
gpu::answer compute_manager::run(const Batch& b) {
  const auto begun_s = now_s_();
  const auto a = door_->run(b, begun_s);
  note_busy(now_s_() - begun_s, a == gpu::answer::by_device, bytes_of(b));
  return a;
}

void compute_manager::note_busy(double took_s, bool by_device, std::uint64_t bytes) {
  const auto now_s = now_s_();
  std::lock_guard hold{mutex_};
  ++batches_;
  (by_device ? busy_device_s_ : busy_cpu_s_) += took_s;
  transfer_bytes_ += by_device ? bytes : 0;
  lately_ = lately(now_s) + took_s / lately_s / static_cast<double>(interrupted_.size());
  lately_at_s_ = now_s;
}

/// Under mutex_.
double compute_manager::lately(double now_s) const {
  return std::min(1.0, lately_ * std::exp(std::min(0.0, lately_at_s_ - now_s) / lately_s));
}

void compute_manager::answer(ticket& t, gpu::answer a) {
  switch (a) {
  case gpu::answer::by_cpu:
  case gpu::answer::by_device:
    return answer(t, {{}, a == gpu::answer::by_device});
  case gpu::answer::invalid:
    return answer(
        t, {{op_code::invalid_argument, "the sizes of this batch do not fit each other"}, false});
  case gpu::answer::out_of_memory:
    break;
  }
  answer(t, {{op_code::no_space, "there is no memory to compute this batch: try a smaller one"},
             false});
}

void compute_manager::answer(ticket& t, compute_answer a) {
  {
    const auto now_s = now_s_();
    std::lock_guard hold{mutex_};
    failed_ += !a.status.ok();
    ++answered_[static_cast<std::size_t>(kind_of(t.job().batch))];
    count(latencies_[static_cast<std::size_t>(t.job().rank)], now_s - t.since_s());
  }
  t.answer(std::move(a));
}

// -- the devices ---------------------------------------------------------------------------------

bool compute_manager::open() {
  const std::lock_guard one{opening_};
  {
    std::lock_guard hold{mutex_};
    if (door_ || closed_) return door_ != nullptr;
  }
  try {
    ask_for_devices();
    return true;
  } catch (const std::exception& e) {
    // Memory, or a thread, that the system refuses: the next turn tries again.
    const op_status why{op_code::unavailable,
                        fmt::format("what computes batches could not be set up: {}", e.what())};
    spdlog::warn("gpu: {}", why.message());
    refuse_all(why);
    std::lock_guard hold{mutex_};
    trouble_ = why.message();
    return false;
  }
}

void compute_manager::ask_for_devices() {
  const auto begun = steady::now();
  gpu::device_list list;
  if (settings_.mode == compute_mode::cpu)
    list.said = "no device is asked: gpu.mode is cpu";
  else
    list = settings_.devices ? settings_.devices() : gpu::find_devices();
  auto said = list.said;
  gpu::compute_options options;
  options.cpu.threads = std::max(1u, settings_.threads);
  options.check_one_in = settings_.check_one_in;
  options.calibrate_up_to = settings_.calibrate_up_to;
  auto door = std::make_unique<gpu::compute>(options, std::move(list));
  const auto took_s = std::chrono::duration<double>(steady::now() - begun).count();
  std::string text;
  const auto devices = door->devices().size();
  if (devices != 0 && !folder_.empty())
    if (const auto kept =
            storage::read_file(files_, storage::join_path(folder_, compute_calibration_file));
        kept.ok())
      text = *kept;
  const auto calibrated = calibrate(*door, text);
  if (devices == 0)
    spdlog::info("gpu: {}: the CPU computes what is computed beside the data path", said);
  else
    spdlog::info("gpu: {} device{}{}{}; {}", devices, devices == 1 ? "" : "s",
                 said.empty() ? "" : ", ", said, calibrated.said);
  std::lock_guard hold{mutex_};
  opened_s_ = took_s;
  said_ = std::move(said);
  trouble_.clear();
  door_ = std::move(door);
}

/// With no batch under way.
gpu_calibration_report compute_manager::calibrate(gpu::compute& door, std::string_view text) {
  auto made = door.calibrate(text, now_s_);
  gpu_calibration_report out{.measured = made.measured, .said = std::move(made.said), .saved = {}};
  if (made.measured && !folder_.empty()) {
    const auto saved = storage::replace_file(files_, folder_, compute_calibration_file, made.text);
    if (saved.ok())
      out.saved = storage::join_path(folder_, compute_calibration_file);
    else
      out.said += "; it cannot be kept: " + saved.to_string();
  }
  std::lock_guard hold{mutex_};
  crossovers_ = door.crossovers();
  calibration_ = out.said;
  return out;
}

// -- operators -----------------------------------------------------------------------------------

template <class Result, class Do>
op_result<Result> compute_manager::command(Do what) {
  auto done = std::make_shared<std::promise<op_result<Result>>>();
  auto answered = done->get_future();
  auto ordered = std::make_shared<order>();
  ordered->what = [done, what = std::move(what)](gpu::compute* door, const op_status& no) {
    if (!no.ok()) return done->set_value(no);
    try {
      done->set_value(what(*door));
    } catch (const std::bad_alloc&) {
      done->set_value(op_status{op_code::no_space, "there is no memory for it"});
    }
  };
  {
    std::lock_guard hold{mutex_};
    if (auto no = refusal(compute_rank::interactive, 0);
        no == op_code::not_supported || no == op_code::shutting_down)
      return no;
    orders_.push_back(std::move(ordered));
  }
  changed_.notify_all();
  if (answered.wait_for(command_bound) != std::future_status::ready)
    return op_status{op_code::timed_out, "no worker was free for it within a minute"};
  return answered.get();
}

void compute_manager::obey(order& o) {
  const std::unique_lock alone{gate_};
  o.what(door_.get(), {});
}

op_result<std::vector<gpu_timing>> compute_manager::bench(std::uint64_t work) {
  if (work > bench_work_max)
    return op_status{op_code::invalid_argument,
                     fmt::format("a work of {}: at most {}", work, bench_work_max)};
  return command<std::vector<gpu_timing>>([this, work](gpu::compute& door) {
    std::vector<gpu_timing> out;
    for (const auto& t : door.measure(work, now_s_))
      out.push_back({std::string{gpu::to_string(t.kind)}, t.work, t.cpu_s, t.device_s});
    return out;
  });
}

op_result<gpu_calibration_report> compute_manager::calibrate() {
  return command<gpu_calibration_report>(
      [this](gpu::compute& door) { return calibrate(door, std::string_view{}); });
}

// -- the end -------------------------------------------------------------------------------------

void compute_manager::interrupt(std::uint32_t worker) {
  {
    std::lock_guard hold{mutex_};
    interrupted_[worker] = 1;
  }
  changed_.notify_all();
}

void compute_manager::refuse_all(const op_status& why) {
  tickets all;
  std::deque<std::shared_ptr<order>> orders;
  {
    std::lock_guard hold{mutex_};
    for (auto& rank : queues_)
      for (auto& q : rank) {
        for (auto& t : q) all.push_back(std::move(t));
        q.clear();
      }
    orders.swap(orders_);
    queued_ = {};
    queued_bytes_ = 0;
  }
  for (auto& t : all) answer(*t, {why, false});
  for (auto& o : orders) o->what(nullptr, why);
}

void compute_manager::close() {
  {
    std::lock_guard hold{mutex_};
    closed_ = true;
  }
  refuse_all(op_code::shutting_down);
}

// -- what happened -------------------------------------------------------------------------------

std::array<storage::latency_histogram, compute_ranks> compute_manager::latencies() const {
  std::lock_guard hold{mutex_};
  return latencies_;
}

} // namespace warp::actors
