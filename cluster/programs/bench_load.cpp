#include "cluster/programs/bench_load.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace warp::programs {

void bench_result::add(const bench_result& other) {
  operations += other.operations;
  misses += other.misses;
  errors += other.errors;
  if (first_error.ok()) first_error = other.first_error;
  late += other.late;
  latency.add(other.latency);
}

bench_client::bench_client(std::unique_ptr<client> c, const bench_settings& settings,
                           const key_chooser& keys, const std::string& values, std::uint64_t seed)
    : settings_(settings), keys_(keys), values_(values), random_(seed), client_(std::move(c)) {
  if (settings.rate > 0)
    interval_ = std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(
        static_cast<double>(settings.clients * settings.batch) / settings.rate));
}

void bench_client::start(clock::time_point first, clock::time_point end) {
  first_ = first;
  end_ = end;
  if (settings_.rate > 0) return; // pace() sends
  for (std::size_t i = 0; i < settings_.pipeline; ++i) {
    {
      std::lock_guard lock{mutex_};
      ++under_way_;
    }
    send(clock::now());
  }
}

bench_client::clock::time_point bench_client::pace() {
  send_due(clock::now());
  std::lock_guard lock{mutex_};
  return first_ + interval_ * due_;
}

/// Sends the requests whose time has come, as far as the pipeline has room.
void bench_client::send_due(clock::time_point now) {
  for (;;) {
    clock::time_point due;
    {
      std::lock_guard lock{mutex_};
      due = first_ + interval_ * due_;
      if (due > now || over(now) || due >= end_ || under_way_ >= settings_.pipeline) return;
      ++due_;
      ++under_way_;
    }
    send(due);
  }
}

void bench_client::send(clock::time_point counts_from) {
  client_batch batch;
  {
    std::lock_guard lock{mutex_};
    for (std::size_t i = 0; i < settings_.batch; ++i) {
      const bench_key key{keys_(random_)};
      if (random_() % 100 < settings_.get_percent) {
        batch.get(key.view());
      } else {
        const auto at = random_() % (values_.size() - settings_.value_bytes);
        batch.put(key.view(), {values_.data() + at, settings_.value_bytes},
                  {.level = settings_.level});
      }
    }
  }
  // Without the lock: it may wait for room, which the answers of others make.
  client_->execute_async(std::move(batch),
                         [this, counts_from](const std::vector<client_reply>& replies) {
                           take(replies, counts_from);
                         });
}

void bench_client::take(const std::vector<client_reply>& replies, clock::time_point counts_from) {
  const auto now = clock::now();
  const bool again = settings_.rate == 0 && !over(now);
  {
    std::lock_guard lock{mutex_};
    result_.latency.record(static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(now - counts_from).count()));
    result_.operations += replies.size();
    for (auto& r : replies) {
      if (r.code() == op_code::not_found) {
        ++result_.misses;
      } else if (!r.ok()) {
        if (result_.errors++ == 0) result_.first_error = r.status;
        errors_.fetch_add(1, std::memory_order_relaxed);
      }
    }
    operations_.fetch_add(replies.size(), std::memory_order_relaxed);
    if (!again && --under_way_ == 0) idle_.notify_all();
  }
  if (again)
    send(now);
  else if (settings_.rate > 0)
    send_due(now);
}

bench_result bench_client::finish() {
  std::unique_lock lock{mutex_};
  idle_.wait(lock, [this] { return under_way_ == 0; });
  if (settings_.rate > 0) {
    const auto until = std::min(end_, clock::now());
    const auto due = until > first_ ? static_cast<std::uint64_t>((until - first_) / interval_) : 0;
    if (due > due_) result_.late = (due - due_) * settings_.batch;
  }
  return std::move(result_);
}

} // namespace warp::programs
