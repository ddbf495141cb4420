#include "storage/read_counters.hpp"

#include <new>

namespace warp::storage {

namespace {

std::uint64_t next_number() noexcept {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

} // namespace

/// A sheet in use by this thread, of the counters with that number (which may be gone by now).
struct read_counters::claim {
  std::uint64_t number;
  std::shared_ptr<sheet> of;
};

/// All of this thread's claims; given up when it ends.
struct read_counters::claims {
  ~claims() {
    for (auto& c : all) c.of->taken.store(false, std::memory_order_release);
  }
  std::vector<claim> all;
};

read_counters::read_counters(std::uint32_t shards) : number_(next_number()), shards_(shards) {}

constinit thread_local read_counters::last_used read_counters::last_used_;

read_counters::cell* read_counters::claim_sheet() noexcept {
  try {
    last_used_ = {.number = number_, .cells = find_sheet()};
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
  return last_used_.cells;
}

read_counters::cell* read_counters::find_sheet() {
  thread_local claims mine;
  for (const auto& c : mine.all)
    if (c.number == number_) return c.of->cells.get();
  // Sheets that only this thread still holds belong to counters that are gone.
  std::erase_if(mine.all, [](const claim& c) { return c.of.use_count() == 1; });
  std::lock_guard guard{mutex_};
  for (const auto& s : sheets_) {
    bool taken = false;
    if (!s->taken.compare_exchange_strong(taken, true, std::memory_order_acquire)) continue;
    mine.all.push_back({number_, s});
    return s->cells.get();
  }
  sheets_.push_back(std::make_shared<sheet>(shards_));
  mine.all.push_back({number_, sheets_.back()});
  return sheets_.back()->cells.get();
}

void read_counters::add_to(std::uint32_t shard, shard_stats& out) const {
  std::lock_guard guard{mutex_};
  for (const auto& s : sheets_) {
    const auto& c = s->cells[shard];
    const auto hits = c.hits_.load(std::memory_order_relaxed);
    out.gets += hits + c.misses_.load(std::memory_order_relaxed);
    out.get_hits += hits;
    out.bytes_read += c.bytes_.load(std::memory_order_relaxed);
    out.other_ops += c.others_.load(std::memory_order_relaxed);
  }
}

} // namespace warp::storage
