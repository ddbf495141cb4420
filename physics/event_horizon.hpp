#pragma once

#include "physics/ghost_list.hpp"
#include "physics/horizon_settings.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace warp::physics {

/// A resident of the event horizon: a small number that is given out again after the resident is
/// gone. The caller keeps it with the key.
using resident_id = std::uint32_t;

/// Event horizon: decides which keys stay in memory and which are demoted when the bytes in memory
/// would exceed a capacity. It keeps no keys and no values: the caller's table maps keys to
/// residents, and this orders the residents.
///
/// Three queues, first in first out. What is new enters the *small* one; who leaves it with a hit
/// goes to the *main* one, the others are demoted and remembered as *ghosts*; a ghost that is
/// wanted again goes straight to the main queue. Who leaves the main queue with hits goes round
/// once more for each of them, at most twice. Hits in the youngest part of the small queue don't
/// count. Which queue gives way: the main one when it is above its share, else the small one.
/// Adapted from S3-FIFO, see horizon_settings.hpp for what differs.
///
/// All that a hit does is to raise two bits of its resident, so a hit never changes who is in
/// memory, and hits lost in a race do no harm. Beyond what any queue needs (the key's hash, the
/// next one, the bytes) a resident costs these two bits:
///
///     0  small queue, too young to be counted
///     1  no counted hit   2  one   3  two or more     (either queue)
///
/// Invariants: 1. used() <= capacity() after every call. 2. A call changes who is in memory only by
/// what it returns and by gone(). 3. The same calls give the same decisions.
///
/// Sizes are bytes, or 1 each for a capacity in keys. Costs: hit() O(1); admit() O(1) amortised, as
/// each round through a queue was paid for by an admission or a hit. Not thread-safe.
///
///     if (found) horizon.hit(resident);
///     else {
///       resident = horizon.admit(hash, bytes); // none: not kept in memory
///       for (const auto& [id, hash] : horizon.gone()) ... // these leave memory
///     }
class event_horizon {
public:
  static constexpr resident_id none = ~resident_id{0};
  static constexpr std::uint32_t bytes_max = (std::uint32_t{1} << 30) - 1;
  struct departure {
    resident_id id;
    std::uint64_t key_hash;
  };

  explicit event_horizon(std::uint64_t capacity, horizon_settings settings = {});

  // -- what is in memory -------------------------------------------------------------------------

  [[nodiscard]] std::uint64_t capacity() const noexcept { return capacity_; }
  /// Bytes of all residents.
  [[nodiscard]] std::uint64_t used() const noexcept { return used_; }
  [[nodiscard]] std::size_t residents() const noexcept { return residents_; }
  [[nodiscard]] std::size_t ghosts() const noexcept { return ghosts_.size(); }
  [[nodiscard]] const horizon_settings& settings() const noexcept { return settings_; }
  /// The hash that a resident was admitted with.
  [[nodiscard]] std::uint64_t key_hash(resident_id id) const noexcept {
    return slots_[id].key_hash;
  }
  /// Has anybody had to leave for lack of room?
  [[nodiscard]] bool filled() const noexcept { return filled_; }

  // -- accesses ----------------------------------------------------------------------------------

  /// An access to a resident.
  void hit(resident_id id) noexcept {
    auto& word = slots_[id].bytes_and_hits;
    const auto hits = word & 3;
    word += hits - 1 < 2; // 1 and 2 rise; 0 is too young, 3 is the most that is counted
  }

  /// An access to a key that is not resident, of 0 to bytes_max bytes. `key_hash` must be well
  /// spread over all its bits, and the same whenever the key comes back. Who leaves to make room is
  /// in gone(). Returns none, and changes nothing but the ghosts, when the key is larger than the
  /// capacity.
  resident_id admit(std::uint64_t key_hash, std::uint32_t bytes);

  /// Who left memory by the last admit(), set_capacity() or apply(); valid until the next of them.
  [[nodiscard]] std::span<const departure> gone() const noexcept { return gone_; }

  /// A resident is deleted, or about to be admitted with another size. It is no ghost afterwards.
  void remove(resident_id id);

  // -- knobs -------------------------------------------------------------------------------------

  /// Takes effect as queues move; only ghosts beyond their number are forgotten at once.
  void apply(const horizon_settings& settings);
  void set_capacity(std::uint64_t capacity);

private:
  struct slot {
    std::uint64_t key_hash;
    std::uint32_t next_and_dead;  // the next younger one of its queue; the lowest bit: was removed
    std::uint32_t bytes_and_hits; // the two lowest bits: hits
  };
  struct queue {
    resident_id oldest = end, youngest = end;
    std::uint64_t bytes = 0;
    std::size_t count = 0; // the removed ones included, in both
  };
  static constexpr resident_id end = (std::uint32_t{1} << 31) - 1;

  [[nodiscard]] resident_id next(resident_id id) const noexcept {
    return slots_[id].next_and_dead >> 1;
  }
  [[nodiscard]] bool dead(resident_id id) const noexcept { return slots_[id].next_and_dead & 1; }
  [[nodiscard]] std::uint32_t bytes(resident_id id) const noexcept {
    return slots_[id].bytes_and_hits >> 2;
  }
  [[nodiscard]] std::uint32_t hits(resident_id id) const noexcept {
    return slots_[id].bytes_and_hits & 3;
  }
  void set_hits(resident_id id, std::uint32_t hits) noexcept {
    slots_[id].bytes_and_hits = (slots_[id].bytes_and_hits & ~std::uint32_t{3}) | hits;
  }

  void set_limits() noexcept;
  [[nodiscard]] std::size_t ghost_limit() const noexcept;
  resident_id take_slot(std::uint64_t key_hash, std::uint32_t bytes);
  void push(queue& q, resident_id id) noexcept;
  resident_id pop(queue& q) noexcept;
  void age_window() noexcept;
  void make_room(std::uint64_t bytes);
  void demote_from_small();
  void demote_from_main();
  void depart(resident_id id);
  void free(resident_id id) noexcept;
  void sweep();
  void sweep(queue& q);

  horizon_settings settings_;
  std::uint64_t capacity_ = 0, small_limit_ = 0, main_limit_ = 0; // bytes
  std::uint64_t used_ = 0;
  std::size_t residents_ = 0, removed_ = 0;
  bool filled_ = false;
  std::uint32_t since_fill_ = 0; // see horizon_settings::fill_every
  std::vector<slot> slots_;
  resident_id free_ = end; // chained by next
  queue small_, main_;
  resident_id window_ = end;     // the oldest one of the window
  std::size_t window_count_ = 0; // those from there on
  ghost_list ghosts_;
  std::vector<departure> gone_;
};

} // namespace warp::physics
