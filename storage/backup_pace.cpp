#include "storage/backup_pace.hpp"

#include <algorithm>
#include <thread>

namespace warp::storage {

namespace {

constexpr std::chrono::milliseconds pause_max{50}; ///< between two looks at `cancelled`

} // namespace

op_status backup_pace::give_up_if_cancelled() const {
  if (!options_.cancelled || !options_.cancelled()) return {};
  return {op_code::unavailable, "the backup was given up; the next one goes on where it ended"};
}

op_status backup_pace::copied(std::uint64_t bytes) {
  copied_ += bytes;
  progress_.bytes_done += bytes;
  if (options_.on_progress) options_.on_progress(progress_);
  if (auto s = give_up_if_cancelled(); !s.ok() || options_.rate_bytes == 0) return s;
  const auto due =
      began_ + std::chrono::duration_cast<steady::duration>(std::chrono::duration<double>(
                   static_cast<double>(copied_) / static_cast<double>(options_.rate_bytes)));
  for (auto now = steady::now(); now < due; now = steady::now()) {
    std::this_thread::sleep_for(std::min<steady::duration>(due - now, pause_max));
    if (auto s = give_up_if_cancelled(); !s.ok()) return s;
  }
  return {};
}

} // namespace warp::storage
