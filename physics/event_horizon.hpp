#pragma once

#include "physics/horizon_settings.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace warp::physics {

/// A resident of the event horizon: a small number that is given out again after the resident is
/// gone. The caller keeps it with the key.
using resident_id = std::uint32_t;

/// Number of a demotion, below 2^31: the caller keeps it with a key that has left memory, where it
/// kept the resident before, and shows it when the key is wanted again. 0: none.
using ghost_stamp = std::uint32_t;

/// Event horizon: decides which keys stay in memory and which are demoted when the bytes in memory
/// would exceed a capacity. It keeps no keys and no values: the caller's table maps keys to
/// residents, and this orders the residents.
///
/// Three queues, first in first out. What is new enters the *small* one; who leaves it with a hit
/// goes to the *main* one, the others are demoted and are *ghosts* for a while: a ghost that is
/// wanted again goes straight to the main queue. Who leaves the main queue with hits goes round
/// once more for each of them, at most twice. Hits in the youngest part of the small queue don't
/// count. Which queue gives way: the main one when it is above its share, else the small one.
/// Adapted from S3-FIFO, see horizon_settings.hpp for what differs.
///
/// All that a hit does is to raise two bits of its resident, so a hit never changes who is in
/// memory, and hits lost in a race do no harm. Beyond what any queue needs (the owner, the next
/// one, the bytes) a resident costs these two bits:
///
///     0  small queue, too young to be counted
///     1  no counted hit   2  one   3  two or more     (either queue)
///
/// A ghost costs the 31 bits of its stamp, in the caller's table or, where that forgets keys that
/// have left, in a ghost_table.hpp.
///
/// Invariants: 1. used() <= capacity() after every call. 2. A call changes who is in memory only by
/// what it returns and by gone(). 3. The same calls give the same decisions.
///
/// Sizes are bytes, or 1 each for a capacity in keys. Costs: hit() O(1); admit() O(1) amortised, as
/// each round through a queue was paid for by an admission or a hit. Not thread-safe.
///
///     if (found) horizon.hit(resident);
///     else {
///       resident = horizon.admit(owner, bytes, horizon.is_ghost(stamp)); // none: not kept
///       for (const auto& [id, owner, stamp] : horizon.gone()) ... // these leave memory
///     }
class event_horizon {
public:
  static constexpr resident_id none = ~resident_id{0};
  static constexpr std::uint32_t bytes_max = (std::uint32_t{1} << 30) - 1;
  static constexpr ghost_stamp no_stamp = 0;
  struct departure {
    resident_id id;
    std::uint64_t owner;
    ghost_stamp stamp; ///< no_stamp when it left the main queue: no ghost
  };

  explicit event_horizon(std::uint64_t capacity, horizon_settings settings = {});

  // -- what is in memory -------------------------------------------------------------------------

  [[nodiscard]] std::uint64_t capacity() const noexcept { return capacity_; }
  /// Bytes of all residents.
  [[nodiscard]] std::uint64_t used() const noexcept { return used_; }
  [[nodiscard]] std::size_t residents() const noexcept { return residents_; }
  [[nodiscard]] const horizon_settings& settings() const noexcept { return settings_; }
  /// Is a key that left with this stamp still a ghost: were at most ghost_share x residents demoted
  /// since? One that left 2^31 demotions ago may be taken for one.
  [[nodiscard]] bool is_ghost(ghost_stamp stamp) const noexcept {
    return stamp != no_stamp && ((demotions_ - stamp) & stamp_mask) <= ghost_limit();
  }
  /// Has anybody had to leave for lack of room?
  [[nodiscard]] bool filled() const noexcept { return filled_; }

  // -- accesses ----------------------------------------------------------------------------------

  /// An access to a resident.
  void hit(resident_id id) noexcept {
    auto& s = slots_[id];
    s.bytes_and_hits += s.hits() - 1 < 2; // 1 and 2 rise; 0 is too young, 3 the most that counts
  }

  /// An access to a key that is not resident, of 0 to bytes_max bytes. `owner` is the caller's name
  /// for it; `ghost`: is_ghost() of the stamp it left with. Who leaves to make room is in gone().
  /// Returns none, and changes nothing, when the key is larger than the capacity.
  resident_id admit(std::uint64_t owner, std::uint32_t bytes, bool ghost);

  /// Who left memory by the last admit() or set_capacity(); valid until the next of them.
  [[nodiscard]] std::span<const departure> gone() const noexcept { return gone_; }

  /// A resident is deleted, or about to be admitted with another size.
  void remove(resident_id id);

  // -- knobs -------------------------------------------------------------------------------------

  /// Takes effect as queues move.
  void apply(const horizon_settings& settings);
  void set_capacity(std::uint64_t capacity);

private:
  struct slot {
    std::uint64_t owner;
    std::uint32_t next_and_dead;  // the next younger one of its queue; the lowest bit: was removed
    std::uint32_t bytes_and_hits; // the two lowest bits: hits

    [[nodiscard]] resident_id next() const noexcept { return next_and_dead >> 1; }
    [[nodiscard]] bool dead() const noexcept { return next_and_dead & 1; }
    [[nodiscard]] std::uint32_t bytes() const noexcept { return bytes_and_hits >> 2; }
    [[nodiscard]] std::uint32_t hits() const noexcept { return bytes_and_hits & 3; }
    void set_hits(std::uint32_t hits) noexcept {
      bytes_and_hits = (bytes_and_hits & ~std::uint32_t{3}) | hits;
    }
  };
  struct queue {
    resident_id oldest = end, youngest = end; // empty: oldest is end; who is youngest has end next
    std::uint64_t bytes = 0;                  // the removed ones included
  };
  static constexpr std::uint32_t stamp_mask = (std::uint32_t{1} << 31) - 1;
  static constexpr resident_id end = (std::uint32_t{1} << 31) - 1;

  void set_limits() noexcept;
  [[nodiscard]] std::uint64_t ghost_limit() const noexcept {
    return residents_ * ghosts_a_resident_ >> 16;
  }
  resident_id take_slot(std::uint64_t owner, std::uint32_t bytes);
  void push(queue& q, resident_id id) noexcept;
  resident_id pop(queue& q) noexcept;
  void age_window() noexcept;
  void make_room(std::uint64_t bytes);
  void demote_from_small();
  void demote_from_main();
  void depart(resident_id id, ghost_stamp stamp);
  void free(resident_id id) noexcept;
  void forget_removed(resident_id id) noexcept;
  void sweep();
  void sweep(queue& q);

  horizon_settings settings_;
  std::uint64_t capacity_ = 0, small_limit_ = 0, main_limit_ = 0; // bytes
  std::uint64_t window_limit_ = 0;                                // bytes, see age_window()
  std::uint64_t ghosts_a_resident_ = 0;                           // times 2^16
  std::uint64_t used_ = 0;
  std::size_t residents_ = 0, removed_ = 0;
  bool filled_ = false;
  std::uint32_t since_fill_ = 0; // see horizon_settings::fill_every
  std::vector<slot> slots_;
  resident_id free_ = end; // chained by next
  queue small_, main_;
  resident_id window_ = end; // the oldest one of the window, which reaches to the youngest
  std::uint64_t window_bytes_ = 0;
  ghost_stamp demotions_ = 0; // from the small queue
  std::vector<departure> gone_;
};

} // namespace warp::physics
