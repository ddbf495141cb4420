#include "physics/observer.hpp"

#include "physics/mixing.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <limits>

namespace warp::physics {

namespace {

/// The budget is dealt out in slices: samples then come from all of a second.
constexpr std::uint64_t slice_ms = 50;

/// Below which a random number of 64 bits lies once in `n` times.
std::uint64_t one_in(std::uint32_t n) noexcept {
  return n <= 1 ? ~std::uint64_t{0} : ~std::uint64_t{0} / n;
}

} // namespace

observer::observer(const observer_options& options)
    : watched_below_(watched_below(options.keys_one_in)), options_(options),
      salt_(mix(options.seed ^ 0x6f62736572766572u)), window_below_(one_in(options.windows_one_in)),
      slice_budget_(options.samples_per_s_max * slice_ms / 1000), ring_(options.capacity) {
  assert(options.windows_one_in > 0);
  assert(options.window_ms > 0 && options.window_accesses_max > 0);
  draw_request();
}

std::uint64_t observer::watched_below(std::uint32_t keys_one_in) noexcept {
  return keys_one_in == 0 ? 0 : one_in(keys_one_in);
}

void observer::draw_request() noexcept {
  const auto gaps = 2 * std::uint64_t{options_.windows_one_in} - 1;
  requests_to_pass_ = mix(mix(salt_ + options_.source) + ++draws_) % gaps;
}

void observer::choose_request(std::size_t accesses, std::uint64_t now_ms) noexcept {
  enter_request(accesses);
  draw_request();
  deal(now_ms);
  sampled_ = taken_ < slice_budget_;
  window_ =
      sampled_ ? static_cast<std::uint32_t>(mix(mix(salt_ + options_.source) ^ draws_)) | 1u : 0;
}

void observer::next_window(std::uint64_t now_ms) noexcept {
  if (!is_stream_) { // a request of 2^32 accesses, or at the end of time
    begin_request(0, now_ms);
    return;
  }
  part_ = left_ == 0 ? part_ + 1 : 0;
  open_window(now_ms);
}

void observer::open_window(std::uint64_t now_ms) noexcept {
  count_accesses();
  const auto tick = now_ms / options_.window_ms;
  window_ends_ms_ = (tick + 1) * options_.window_ms;
  left_ = opened_with_ = options_.window_accesses_max;
  choose(mix(mix(mix(salt_ + options_.source) ^ connection_) + mix(tick) + part_), now_ms);
}

void observer::count_accesses() noexcept {
  if (is_stream_) add(accesses_, opened_with_ - left_); // a request's were counted as it began
  opened_with_ = left_;
}

void observer::deal(std::uint64_t now_ms) noexcept {
  if (const auto slice = now_ms / slice_ms; slice != slice_) {
    // A clock that went back begins anew.
    const auto paid = slice > slice_ ? (slice - slice_) * slice_budget_ : taken_;
    taken_ -= std::min(taken_, paid);
    slice_ = slice;
  }
}

void observer::choose(std::uint64_t id, std::uint64_t now_ms) noexcept {
  deal(now_ms);
  sampled_ = id <= window_below_ && taken_ < slice_budget_;
  // Sampled ids all have small upper halves: the lower ones name them.
  window_ = sampled_ ? static_cast<std::uint32_t>(id) | 1u : 0;
}

void observer::take(std::uint64_t key_hash, std::string_view key, std::uint32_t shard,
                    std::size_t bytes, access_kind kind, std::uint64_t now_ms) noexcept {
  // A window that was begun is finished; a watched key alone keeps to the budget.
  if (!sampled_ && taken_ >= slice_budget_) {
    add(passed_, 1);
    return;
  }
  ++taken_;
  auto* const sample = ring_.claim();
  if (!sample) {
    add(dropped_, 1);
    return;
  }
  sample->key_hash = key_hash;
  sample->time_ms = now_ms;
  sample->window = window_;
  sample->bytes = static_cast<std::uint32_t>(
      std::min<std::size_t>(bytes, std::numeric_limits<std::uint32_t>::max()));
  sample->shard = static_cast<std::uint16_t>(shard);
  sample->kind = kind;
  sample->together = !is_stream_;
  sample->watched = is_watched(key_hash);
  sample->key_length = 0;
  if (key.size() <= access_sample::key_length_max) {
    sample->key_length = static_cast<std::uint8_t>(key.size());
    std::memcpy(sample->key_bytes.data(), key.data(), key.size());
  }
  ring_.publish();
}

} // namespace warp::physics
