#include "cluster/client_windows.hpp"

#include <algorithm>
#include <utility>

namespace warp::cluster {

namespace {

/// Of one batch: enough that a round trip and a sync are paid by many.
constexpr std::size_t window_records_max = 16 * 1024, window_bytes_max = 8u << 20;
constexpr std::size_t failures_listed_max = 64, failure_key_bytes_max = 1024;

/// Does the answer leave open whether the record is there, or say that it is not for a reason that
/// concerns all of them? Then the stream ends.
constexpr bool ends_stream(op_code code) noexcept {
  return cured_by_retry(code) || code == op_code::timed_out || code == op_code::outcome_unknown ||
         code == op_code::no_replicas || code == op_code::wrong_shard ||
         code == op_code::unauthorized;
}

} // namespace

client_windows::client_windows(client_core& core, const put_stream_options& options,
                               const server_info& server)
    : core_(core),
      // What is confirmed is on disk, as of any stream: that is the cluster's own level or a
      // stronger one.
      level_(options.level == durability::memory || options.level > durability::sync
                 ? options.level
                 : durability::unspecified),
      value_bytes_max_(server.value_bytes_max),
      window_bytes_(std::clamp<std::size_t>(options.window_bytes / 2, 1, window_bytes_max)) {}

op_status client_windows::put(std::string_view key, std::string_view value,
                              std::uint64_t expires_at_ms, std::uint64_t ttl_ms, value_type type) {
  if (auto refused = check_put(key, value, value_bytes_max_, expires_at_ms, ttl_ms); !refused.ok())
    return refused;
  if (filling_.size() == window_records_max ||
      (!filling_.empty() && bytes_.size() + key.size() + value.size() > window_bytes_))
    if (auto ended = send(); !ended.ok()) return ended;
  if (auto ended = status(); !ended.ok()) return ended;
  filling_.push_back({key.size(), value.size(), expires_at_ms, ttl_ms, type});
  bytes_.append(key).append(value);
  return {};
}

/// Sends what was filled when the one before it is decided.
op_status client_windows::send() {
  {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [&] { return !under_way_; });
    if (!status_.ok()) return status_;
    under_way_ = true;
  }
  auto job = std::make_shared<client_job>();
  job->bytes = std::exchange(bytes_, {});
  job->items.resize(filling_.size());
  const char* at = job->bytes.data();
  for (std::size_t i = 0; i < filling_.size(); ++i) {
    const auto& from = filling_[i];
    auto& item = job->items[i];
    item.op.kind = op_kind::put;
    item.op.level = level_;
    item.op.type = from.type;
    item.op.key = {at, from.key_size};
    item.op.value = {at + from.key_size, from.value_size};
    item.op.expires_at_ms = from.expires_at_ms;
    item.ttl_ms = from.ttl_ms;
    at += from.key_size + from.value_size;
    job->size_bytes += from.key_size + from.value_size + 64;
  }
  filling_.clear();
  job->has_writes = true;
  job->deadline = client_clock::now() + core_.options().deadline;
  job->done = [self = shared_from_this()](client_job& done) { self->take(done); };
  core_.wait_for_room();
  core_.submit(std::move(job));
  return {};
}

/// On the loop.
void client_windows::take(client_job& done) {
  {
    std::lock_guard lock{mutex_};
    for (std::size_t i = 0; i < done.replies.size() && status_.ok(); ++i) {
      auto& reply = done.replies[i];
      if (reply.ok()) {
        ++stored_;
      } else if (ends_stream(reply.code())) {
        status_ = std::move(reply.status);
      } else {
        const auto key = done.items[i].op.key;
        if (failures_.size() < failures_listed_max)
          failures_.push_back({stored_ + failed_,
                               key.size() <= failure_key_bytes_max ? std::string{key} : "",
                               std::move(reply.status)});
        ++failed_;
      }
    }
    under_way_ = false;
  }
  changed_.notify_all();
}

op_status client_windows::flush() {
  if (!filling_.empty())
    if (auto ended = send(); !ended.ok()) return ended;
  std::unique_lock lock{mutex_};
  changed_.wait(lock, [&] { return !under_way_; });
  return status_;
}

put_stream::counters client_windows::count() const {
  std::lock_guard lock{mutex_};
  return {stored_, failed_};
}

std::vector<put_failure> client_windows::take_failures() {
  std::lock_guard lock{mutex_};
  return std::exchange(failures_, {});
}

op_status client_windows::status() const {
  std::lock_guard lock{mutex_};
  return status_;
}

} // namespace warp::cluster
