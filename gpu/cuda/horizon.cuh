#pragma once

#include "gpu/cuda/jobs.hpp"

namespace warp::gpu {

// Cache-policy fit: what physics::miniature_horizon would have missed, decision by decision (see
// there and event_horizon.hpp for why), for many settings side by side: a team a setting. A cache
// is one chain of decisions, so one lane takes them; the others read the accesses to come and bring
// what they will touch nearer.
//
// Which access is to which key is found once for all settings. A key is then a number, and each
// setting keeps a word for it where the horizon has a hash table: nothing is probed.

namespace horizon_kernels {

inline constexpr unsigned threads = 256;

/// Gives each access the number of its key: that of one access to it.
WARP_KERNEL(threads)
number_keys(horizon_job j) {
  constexpr std::uint32_t nobody = ~std::uint32_t{0};
  for (std::size_t i = simt::thread_of_grid(); i < j.accesses; i += simt::threads_of_grid()) {
    const auto own = static_cast<std::uint32_t>(i);
    const auto hash = j.key_hash[i];
    for (std::size_t at = hash * 0x9e3779b97f4a7c15u >> 20 & j.cell_mask;;
         at = (at + 1) & j.cell_mask) {
      const auto was = simt::exchange_if(j.cells + at, nobody, own);
      const auto number = was == nobody ? own : was;
      if (simt::reread(j.key_hash + number) == hash) {
        j.key[i] = number;
        break;
      }
    }
  }
}

/// One cache. Not in any queue: next and word are 0. In one: `word` holds bytes and hits as the
/// horizon does, and `next` the next younger one of its queue with the highest bit set.
class cache {
public:
  WARP_ON_DEVICE cache(const horizon_job& j, std::size_t run) noexcept
      : j_(j), run_(j.run[run]), node_(j.node + run * j.accesses),
        ghosts_(j.ghosts + run * j.ghost_buckets) {}

  /// True: it was in memory.
  WARP_ON_DEVICE bool access(std::uint32_t key, std::uint64_t hash, std::uint32_t bytes) noexcept {
    const auto n = node(key);
    if (n.resident()) {
      const auto hits = n.word & 3;
      put(key, {n.next, n.word + (hits - 1 < 2)}); // 1 and 2 rise
      return true;
    }
    const bool ghost = is_ghost(take(hash));
    if (bytes > run_.capacity) return false;
    gone_oldest_ = gone_youngest_ = end;
    const auto first_stamp = demotions_;
    while (used_ + bytes > run_.capacity) {
      if (main_.bytes > run_.main_limit || small_.count == 0)
        demote_from_main();
      else
        demote_from_small();
    }
    used_ += bytes;
    ++residents_;
    put(key, {end | resident_bit, bytes << 2 | (ghost ? no_hit : too_young)});
    if (ghost) { // not one call for either queue: their places would have to be in memory
      push(main_, key, bytes);
    } else {
      push(small_, key, bytes);
      if (window_count_++ == 0) window_ = key;
      window_bytes_ += bytes;
      age_window();
    }
    remember_gone(first_stamp);
    return false;
  }

private:
  static constexpr std::uint32_t too_young = 0, no_hit = 1;
  static constexpr std::uint32_t end = (std::uint32_t{1} << 31) - 1, stamp_mask = end;
  static constexpr std::uint32_t resident_bit = std::uint32_t{1} << 31;
  struct entry {
    std::uint32_t next, word;
    WARP_ON_DEVICE bool resident() const noexcept { return (next & resident_bit) != 0; }
    WARP_ON_DEVICE std::uint32_t following() const noexcept { return next & ~resident_bit; }
    WARP_ON_DEVICE std::uint32_t bytes() const noexcept { return word >> 2; }
    WARP_ON_DEVICE std::uint32_t hits() const noexcept { return word & 3; }
  };
  struct queue {
    std::uint32_t oldest = end, youngest = end;
    std::uint64_t bytes = 0, count = 0;
  };

  WARP_ON_DEVICE entry node(std::uint32_t key) const noexcept {
    const auto both = node_[key];
    return {static_cast<std::uint32_t>(both >> 32), static_cast<std::uint32_t>(both)};
  }
  WARP_ON_DEVICE void put(std::uint32_t key, entry e) noexcept {
    node_[key] = std::uint64_t{e.next} << 32 | e.word;
  }

  // -- queues ------------------------------------------------------------------------------------

  /// The key's own word says already that nobody comes after it.
  WARP_ON_DEVICE void push(queue& q, std::uint32_t key, std::uint32_t bytes) noexcept {
    if (q.count++ == 0)
      q.oldest = key;
    else
      put(q.youngest, {key | resident_bit, node(q.youngest).word});
    q.youngest = key;
    q.bytes += bytes;
  }
  WARP_ON_DEVICE void leave_window() noexcept {
    const auto n = node(window_);
    window_bytes_ -= n.bytes();
    window_ = --window_count_ == 0 ? end : n.following();
  }
  WARP_ON_DEVICE std::uint32_t pop(queue& q, entry& e) noexcept {
    const auto key = q.oldest;
    e = node(key);
    q.oldest = e.following();
    --q.count;
    q.bytes -= e.bytes();
    if (key == window_) leave_window();
    return key;
  }
  WARP_ON_DEVICE void age_window() noexcept {
    while (window_count_ != 0) {
      const auto n = node(window_);
      if (window_bytes_ - n.bytes() < run_.window_limit) break;
      if (n.hits() == too_young) put(window_, {n.next, n.word | no_hit});
      leave_window();
    }
  }

  // -- who leaves --------------------------------------------------------------------------------

  WARP_ON_DEVICE void depart(std::uint32_t key, const entry& e, bool leaves_ghost) noexcept {
    used_ -= e.bytes();
    --residents_;
    put(key, {leaves_ghost ? end : 0, 0});
    if (!leaves_ghost) return;
    // Those who become ghosts wait, in a chain, until it is known how many residents are left.
    if (gone_oldest_ == end)
      gone_oldest_ = key;
    else
      put(gone_youngest_, {key, 0});
    gone_youngest_ = key;
  }
  WARP_ON_DEVICE void demote_from_small() noexcept {
    while (small_.count != 0) {
      entry e;
      const auto key = pop(small_, e);
      bool stays = e.hits() > run_.hits_to_stay;
      if (!stays && run_.fill_every != 0 && main_.bytes + e.bytes() <= run_.main_limit &&
          ++since_fill_ >= run_.fill_every) {
        since_fill_ = 0;
        stays = true;
      }
      if (!stays) {
        demotions_ = stamp_after(demotions_);
        return depart(key, e, true);
      }
      put(key, {end | resident_bit, e.bytes() << 2 | no_hit});
      push(main_, key, e.bytes());
    }
  }
  WARP_ON_DEVICE void demote_from_main() noexcept {
    while (main_.count != 0) {
      entry e;
      const auto key = pop(main_, e);
      if (e.hits() == no_hit) return depart(key, e, false);
      put(key, {end | resident_bit, e.word - 1});
      push(main_, key, e.bytes());
    }
  }

  // -- ghosts, as physics::ghost_table keeps them
  // --------------------------------------------------

  WARP_ON_DEVICE static std::uint32_t stamp_after(std::uint32_t stamp) noexcept {
    stamp = (stamp + 1) & stamp_mask;
    return stamp == 0 ? 1 : stamp;
  }
  WARP_ON_DEVICE bool is_ghost(std::uint32_t stamp) const noexcept {
    return stamp != 0 &&
           ((demotions_ - stamp) & stamp_mask) <= (residents_ * run_.ghosts_a_resident >> 16);
  }
  WARP_ON_DEVICE static std::uint32_t print_of(std::uint64_t hash) noexcept {
    const auto print = static_cast<std::uint32_t>(hash >> 32);
    return print == 0 ? 1 : print;
  }
  WARP_ON_DEVICE std::uint32_t take(std::uint64_t hash) noexcept {
    if (buckets_ == 0) return 0;
    const auto print = print_of(hash);
    auto& b = ghosts_[print & (buckets_ - 1)];
    for (unsigned i = 0; i < ghost_bucket::cells; ++i)
      if (b.prints[i] == print) {
        b.prints[i] = 0;
        return b.stamps[i];
      }
    return 0;
  }
  WARP_ON_DEVICE void put_ghost(std::uint32_t print, std::uint32_t stamp,
                                std::uint32_t now) noexcept {
    auto& b = ghosts_[print & (buckets_ - 1)];
    unsigned place = 0;
    std::uint32_t oldest = 0;
    for (unsigned i = 0; i < ghost_bucket::cells; ++i) {
      const auto age = b.prints[i] == 0 ? ~std::uint32_t{0} : now - b.stamps[i];
      if (age > oldest) {
        oldest = age;
        place = i;
      }
    }
    b.prints[place] = print;
    b.stamps[place] = stamp;
  }
  /// The larger table lies behind the old one: they at least double, so all of them together take
  /// less than twice the last.
  WARP_ON_DEVICE void grow(std::size_t room, std::uint32_t now) noexcept {
    auto* const old = ghosts_;
    const auto old_buckets = buckets_;
    ghosts_ += buckets_;
    for (buckets_ = 1; buckets_ < room / 5 + 1;) buckets_ *= 2;
    for (std::size_t b = 0; b < buckets_; ++b)
      for (unsigned i = 0; i < ghost_bucket::cells; ++i) ghosts_[b].prints[i] = 0;
    for (std::size_t b = 0; b < old_buckets; ++b)
      for (unsigned i = 0; i < ghost_bucket::cells; ++i)
        if (old[b].prints[i] != 0) put_ghost(old[b].prints[i], old[b].stamps[i], now);
  }
  WARP_ON_DEVICE void remember_gone(std::uint32_t stamp) noexcept {
    if (gone_oldest_ == end) return;
    const auto room = static_cast<std::size_t>(run_.ghost_share * static_cast<double>(residents_));
    for (auto key = gone_oldest_; key != end;) {
      stamp = stamp_after(stamp);
      if (buckets_ * 5 < room || buckets_ == 0) grow(room, stamp);
      put_ghost(print_of(j_.key_hash[key]), stamp, stamp);
      const auto following = node(key).following();
      put(key, {0, 0});
      key = following;
    }
  }

  const horizon_job& j_;
  const horizon_run run_;
  std::uint64_t* node_;
  ghost_bucket* ghosts_;
  std::size_t buckets_ = 0;
  std::uint64_t used_ = 0, residents_ = 0;
  std::uint32_t since_fill_ = 0, demotions_ = 0;
  queue small_, main_;
  std::uint32_t window_ = end;
  std::uint64_t window_count_ = 0, window_bytes_ = 0;
  std::uint32_t gone_oldest_ = end, gone_youngest_ = end;
};

WARP_KERNEL(team_lanes)
run_settings(horizon_job j) {
  WARP_SHARED std::uint32_t keys[team_lanes], bytes[team_lanes];
  WARP_SHARED std::uint64_t hashes[team_lanes];
  for (std::size_t r = simt::block(); r < j.runs; r += simt::blocks()) {
    cache own{j, r};
    std::uint64_t missed = 0;
    for (std::size_t from = 0; from < j.accesses; from += team_lanes) {
      const std::size_t i = from + simt::lane();
      if (i < j.accesses) {
        keys[simt::lane()] = j.key[i];
        bytes[simt::lane()] = j.bytes[i];
        hashes[simt::lane()] = j.key_hash[i];
        simt::fetch_ahead(j.node + r * j.accesses + keys[simt::lane()]);
      }
      simt::sync_block();
      if (simt::lane() == 0) {
        const std::size_t left = j.accesses - from;
        const unsigned count = left < team_lanes ? static_cast<unsigned>(left) : team_lanes;
        for (unsigned k = 0; k < count; ++k)
          missed += !own.access(keys[k], hashes[k], bytes[k]) && from + k >= j.warm_up;
      }
      simt::sync_block();
    }
    if (simt::lane() == 0) j.missed[r] = missed;
  }
}

inline void number(const horizon_job& j, device_stream stream) {
  simt::launch(&number_keys, simt::blocks_for(j.accesses, threads), threads, stream, j);
}
inline void run(const horizon_job& j, device_stream stream) {
  simt::launch(&run_settings, j.runs < 65536 ? j.runs : 65536, team_lanes, stream, j);
}

} // namespace horizon_kernels

} // namespace warp::gpu
