#include "actors/horizon_search.hpp"

#include <algorithm>
#include <chrono>
#include <new>
#include <utility>

namespace warp::actors {

namespace {

constexpr double small_shares[] = {0.03, 0.06, 0.12, 0.2, 0.3, 0.45};
constexpr double ghost_shares[] = {0.3, 0.9, 1.8};

} // namespace

struct horizon_search::trial {
  std::vector<std::uint64_t> hashes; ///< oldest first
  std::vector<std::uint32_t> bytes;
  std::vector<physics::horizon_settings> settings;
  std::vector<std::uint64_t> missed;
  std::uint64_t capacity = 0;
};

std::vector<physics::horizon_settings> horizon_search::tried() {
  std::vector<physics::horizon_settings> all(1);
  for (const auto small : small_shares)
    for (const auto ghost : ghost_shares)
      for (const std::uint32_t hits : {1u, 2u}) {
        physics::horizon_settings s;
        s.small_share = small;
        s.ghost_share = ghost;
        s.hits_to_stay = hits;
        if (s != all.front()) all.push_back(s);
      }
  return all;
}

horizon_search::horizon_search(compute_manager* manager) : manager_(manager) {
  report_.settings = static_cast<std::uint32_t>(tried().size());
}

void horizon_search::see(std::uint64_t key_hash, std::uint32_t bytes) {
  if (!manager_) return;
  if (hashes_.capacity() == 0) {
    bytes_.reserve(accesses_max);
    hashes_.reserve(accesses_max);
  }
  if (hashes_.size() < accesses_max) {
    hashes_.push_back(key_hash);
    bytes_.push_back(bytes);
  } else {
    hashes_[next_] = key_hash;
    bytes_[next_] = bytes;
    next_ = (next_ + 1) % accesses_max;
  }
  ++new_;
}

void horizon_search::forget() {
  hashes_.clear();
  bytes_.clear();
  next_ = new_ = 0;
}

bool horizon_search::turn(std::uint64_t capacity, double now_s) {
  try {
    return manager_ && go_on(capacity, now_s);
  } catch (const std::bad_alloc&) {
    trial_.reset();
    report_.trouble = "no memory for it";
    return true;
  }
}

bool horizon_search::go_on(std::uint64_t capacity, double now_s) {
  if (trial_) {
    if (answer_.wait_for(std::chrono::seconds{0}) != std::future_status::ready) return false;
    const auto answered = answer_.get();
    take(answered.status, answered.by_device);
    return !trial_;
  }
  if (new_ < new_accesses_min || now_s < due_s_) return false;
  due_s_ = now_s + every_s;
  trial_ = std::make_shared<trial>();
  trial_->hashes = hashes_;
  trial_->bytes = bytes_;
  const auto oldest = static_cast<std::ptrdiff_t>(next_);
  std::rotate(trial_->hashes.begin(), trial_->hashes.begin() + oldest, trial_->hashes.end());
  std::rotate(trial_->bytes.begin(), trial_->bytes.begin() + oldest, trial_->bytes.end());
  trial_->settings = tried();
  trial_->capacity = capacity;
  new_ = 0;
  order(false);
  return true;
}

void horizon_search::order(bool proving) {
  auto& t = *trial_;
  const auto third = t.hashes.size() / 3;
  const auto accesses = proving ? t.hashes.size() : 2 * third;
  t.missed.assign(t.settings.size(), 0);
  proving_ = proving;
  answer_ = manager_->submit({.batch = gpu::horizon_batch{.key_hash = {t.hashes.data(), accesses},
                                                          .bytes = {t.bytes.data(), accesses},
                                                          .settings = t.settings,
                                                          .capacity = t.capacity,
                                                          .warm_up = proving ? 2 * third : third,
                                                          .missed = t.missed},
                              .memory = trial_,
                              .rank = compute_rank::background});
}

void horizon_search::take(const op_status& answer, bool by_device) {
  auto& t = *trial_;
  if (!answer.ok()) {
    report_.trouble = answer.to_string();
    trial_.reset();
    return;
  }
  if (!proving_) {
    // Of equals the first: the default stays unless another one is better.
    const auto best = std::min_element(t.missed.begin(), t.missed.end()) - t.missed.begin();
    t.settings = {t.settings.front(), t.settings[static_cast<std::size_t>(best)]};
    order(true);
    return;
  }
  const auto& s = t.settings.back();
  const auto counted = t.hashes.size() - 2 * (t.hashes.size() / 3);
  const auto part = [&](std::uint64_t n) {
    return static_cast<double>(n) / static_cast<double>(counted);
  };
  ++report_.searches;
  report_.trouble.clear();
  report_.by_device = by_device;
  report_.small_share = s.small_share;
  report_.ghost_share = s.ghost_share;
  report_.hits_to_stay = s.hits_to_stay;
  report_.accesses = counted;
  report_.miss_ratio = part(t.missed.back());
  report_.miss_ratio_default = part(t.missed.front());
  trial_.reset();
}

} // namespace warp::actors
