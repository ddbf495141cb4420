#include "actors/backup_gate.hpp"

#include "storage/backup_repository.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace warp::actors {

namespace {

using steady = std::chrono::steady_clock;

constexpr std::size_t orders_max = 16, states_max = 64;
/// After a failure a scheduled backup is tried again so soon, if its interval is longer.
constexpr std::chrono::seconds retry_after{60};
/// Progress below it is not worth waking anybody.
constexpr std::uint64_t step_bytes_min = 1u << 20;

storage::file_system& files_of(const storage::engine& engine) {
  auto* files = engine.options().files;
  return files != nullptr ? *files : storage::posix_file_system();
}

std::uint64_t now_us(const storage::engine& engine) {
  const auto* time = engine.options().time.get();
  return time != nullptr ? time->now_us() : storage::system_clock{}.now_us();
}

} // namespace

void backup_gate::configure(backup_schedule schedule) {
  schedule_ = std::move(schedule);
}

op_result<std::uint64_t> backup_gate::order(std::string folder) {
  std::lock_guard hold{mutex_};
  if (stopping_) return op_code::shutting_down;
  if (orders_.size() >= orders_max)
    return op_status{op_code::overloaded, "too many backups are waiting already"};
  orders_.push_back({++tickets_, std::move(folder), false});
  states_[tickets_] = {};
  if (states_.size() > states_max) states_.erase(states_.begin());
  changed_.notify_all();
  return tickets_;
}

op_result<backup_state> backup_gate::state(std::uint64_t ticket) const {
  std::lock_guard hold{mutex_};
  const auto found = states_.find(ticket);
  if (found == states_.end())
    return op_status{op_code::not_found, "nothing is known of that backup (any more)"};
  return found->second;
}

backup_counters backup_gate::counters() const {
  std::lock_guard hold{mutex_};
  return counters_;
}

void backup_gate::interrupt() noexcept {
  std::lock_guard hold{mutex_};
  interrupted_ = true;
  give_up_ = true;
  changed_.notify_all();
}

void backup_gate::stop() noexcept {
  stopping_ = true;
  interrupt();
}

/// When the next scheduled backup is due: an interval after the newest that there is, also one of
/// an earlier start.
void backup_gate::find_due() {
  if (due_known_ || schedule_.interval.count() == 0) return;
  due_known_ = true;
  due_ = steady::now();
  const auto store = storage::open_backup_folder(files_of(engine_), schedule_.folder);
  const auto all = storage::list_backups(*store);
  if (!all || all->empty() || !all->back().status.ok()) return;
  const auto taken_us = all->back().manifest.taken_us;
  const auto now = now_us(engine_);
  const auto age = std::chrono::microseconds{now - std::min(now, taken_us)};
  due_ += std::max<steady::duration>(steady::duration{0}, schedule_.interval - age);
  std::lock_guard hold{mutex_};
  counters_.last_us = taken_us;
}

bool backup_gate::take(std::chrono::milliseconds wait_max, job& next) {
  find_due();
  std::unique_lock lock{mutex_};
  const bool scheduled = schedule_.interval.count() != 0;
  auto until = steady::now() + wait_max;
  if (scheduled) until = std::min(until, due_);
  changed_.wait_until(lock, until, [&] { return interrupted_ || !orders_.empty(); });
  interrupted_ = false;
  if (stopping_) return false;
  give_up_ = false;
  if (!orders_.empty()) {
    next = std::move(orders_.front());
    orders_.pop_front();
    return true;
  }
  if (!scheduled || steady::now() < due_) return false;
  next = {++tickets_, schedule_.folder, true};
  states_[tickets_] = {};
  return true;
}

void backup_gate::run(std::chrono::milliseconds wait_max) {
  job next;
  if (!take(wait_max, next)) return;
  auto made = make(next);
  if (made.result.ok())
    spdlog::info("backup {} into {}: {} bytes, {} of them new{}{}", made.name, next.folder,
                 made.bytes, made.new_bytes, made.anew.empty() ? "" : "; begins anew: ", made.anew);
  else
    spdlog::warn("backup into {} failed: {}", next.folder, made.result.to_string());
  note_end(next, std::move(made));
  progress_.ring();
}

void backup_gate::note_end(const job& next, backup_state made) {
  std::lock_guard hold{mutex_};
  if (made.result.ok()) {
    ++counters_.made;
    counters_.last_us = made.taken_us;
    counters_.last_bytes = made.bytes;
    counters_.last_new_bytes = made.new_bytes;
  } else {
    ++counters_.failed;
  }
  if (next.folder == schedule_.folder && made.result.ok())
    due_ = steady::now() + schedule_.interval;
  else if (next.scheduled)
    due_ = steady::now() + std::min<steady::duration>(schedule_.interval, retry_after);
  states_[next.ticket] = std::move(made);
}

backup_state backup_gate::make(const job& j) {
  const auto store = storage::open_backup_folder(files_of(engine_), j.folder);
  storage::backup_options options;
  options.rate_bytes = schedule_.rate_bytes;
  options.cancelled = [this] { return give_up_.load() || stopping_.load(); };
  options.on_progress = [this, &j,
                         told = std::uint64_t{0}](const storage::backup_progress& p) mutable {
    {
      std::lock_guard hold{mutex_};
      auto& s = states_[j.ticket];
      s.bytes_done = p.bytes_done;
      s.bytes_total = p.bytes_total;
    }
    if (p.bytes_done - told < std::max(step_bytes_min, p.bytes_total / 100)) return;
    told = p.bytes_done;
    progress_.ring();
  };
  backup_state state;
  state.done = true;
  const auto made = engine_.back_up(*store, options);
  state.result = made.status();
  if (!made) return state;
  state.name = made->name;
  state.bytes = made->bytes();
  state.new_bytes = made->new_bytes;
  state.taken_us = made->taken_us;
  state.anew = made->anew;
  if (j.scheduled && schedule_.keep != 0)
    if (const auto pruned = storage::prune_backups(*store, schedule_.keep); !pruned)
      spdlog::warn("old backups in {} stay: {}", j.folder, pruned.status().to_string());
  return state;
}

} // namespace warp::actors
