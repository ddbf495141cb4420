#include "cluster/programs/bulk_writer.hpp"

#include <algorithm>
#include <utility>

namespace warp::programs {

namespace {

/// Records between two looks at what the stream has confirmed.
constexpr std::uint64_t look_every = 256;

} // namespace

bulk_writer::bulk_writer(std::unique_ptr<put_stream> stream,
                         std::function<void(std::uint64_t, const op_status&)> on_failure)
    : stream_(std::move(stream)), on_failure_(std::move(on_failure)) {}

op_status bulk_writer::put(std::uint64_t line, std::string_view key, std::string_view value,
                           std::uint64_t expires_at_ms, std::chrono::milliseconds time_to_live,
                           value_type type) {
  auto status = stream_->put(key, value, expires_at_ms, time_to_live, type);
  if (status == op_code::invalid_argument) {
    look(); // failures are told in the order of their lines, as far as they are known
    ++refused_;
    failed_at(line, status);
    return {};
  }
  if (!status.ok()) return status;
  open_.push_back({taken_++, line, line});
  if (taken_ - looked_ >= look_every) look();
  return {};
}

void bulk_writer::skip(std::uint64_t line) {
  if (open_.empty())
    finished(line);
  else
    open_.back().last_line = line;
}

op_status bulk_writer::finish() {
  auto status = stream_->flush();
  look();
  return status;
}

void bulk_writer::look() {
  looked_ = taken_;
  const auto count = stream_->count(); // first: the failures that it counts are there by then
  for (const auto& f : stream_->take_failures()) {
    const auto at = std::ranges::lower_bound(open_, f.index, {}, &open_record::index);
    failed_at(at->line, f.status);
  }
  stored_ = count.stored;
  failed_ = count.failed;
  while (!open_.empty() && open_.front().index < stored_ + failed_) {
    finished(open_.front().last_line);
    open_.pop_front();
  }
}

void bulk_writer::failed_at(std::uint64_t line, const op_status& status) {
  first_failed_line_ = std::min(first_failed_line_, line);
  on_failure_(line, status);
}

void bulk_writer::finished(std::uint64_t line) {
  finished_line_ = std::max(finished_line_, std::min(line, first_failed_line_ - 1));
}

} // namespace warp::programs
