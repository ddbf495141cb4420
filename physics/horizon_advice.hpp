#pragma once

#include "physics/horizon_fitter.hpp"
#include "physics/miniature_horizon.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace warp::physics {

struct advice_options {
  /// Parts of the store that might be all that is kept in memory, each in (0, 1).
  std::vector<double> shares = {0.01, 0.05, 0.1, 0.2, 0.5};
  /// The part for which the event horizon is fitted.
  double fit_share = 0.1;
  /// Watched keys at most, see is_full().
  std::size_t keys_max = 65'536;
  double half_life_s = 300; ///< of what was counted, > 0
  fit_options fit{.one_in = 1};
};

/// What an event horizon would do for a store that keeps everything in memory: which part of the
/// reads would miss if only a part of its bytes were kept, and which settings would serve it best.
/// Advice: it decides nothing.
///
/// It is told every access of one key in `one_in`, chosen by hash, and runs a miniature of the
/// store, 1/one_in of its bytes, for each part (Waldspurger et al., "Efficient MRC construction
/// with SHARDS", FAST 2015, and "Cache modeling and optimization using miniature simulations", ATC
/// 2017). A read of a key that was never seen before says nothing, as all keys begin in memory, and
/// is left out. With m(s) and u the sampled reads that miss in the miniature of part s and those
/// that say nothing, and R all reads of the store, counted exactly,
///
///     miss ratio(s) = m(s) x one_in / (R - u x one_in)        in [0, 1]
///
/// R in place of the sampled reads x one_in takes the hottest keys' chance to be watched out of it
/// (SHARDS_adj). All counts are decayed. Writes bring keys into memory and are not counted.
///
/// Sizes are bytes of keys and values. Memory: about 2.4 residents of 50 bytes for a watched key,
/// so some 8 MiB at most. An access costs 6 + 5 miniature accesses. Not thread-safe.
class horizon_advice {
public:
  explicit horizon_advice(advice_options options = {});

  // -- learning ----------------------------------------------------------------------------------

  /// Forgets everything: from now on one key in so many is told, >= 1.
  void begin(std::uint32_t one_in);
  /// How large the store is.
  void set_store(std::uint64_t bytes);

  /// Accesses to a watched key, of 1 byte or more.
  void read(std::uint64_t key_hash, std::uint64_t bytes);
  void write(std::uint64_t key_hash, std::uint64_t bytes);
  void remove(std::uint64_t key_hash);

  /// How many reads of the store there were since the last time, on watched keys or not, of keys
  /// that were there. `told`: the part of their samples that came here, in [0, 1].
  void count_reads(double reads, double told, double now_s);

  // -- asking ------------------------------------------------------------------------------------

  struct point {
    double share = 0;        ///< of the store's bytes that is kept
    std::uint64_t bytes = 0; ///< as much
    double miss_ratio = 0;
    std::size_t keys = 0; ///< watched ones that would be kept: with fewer than 16 it is a guess
  };
  /// One a share; empty while fewer than 100 reads were sampled that say something.
  [[nodiscard]] std::vector<point> curve() const;
  /// Reads that the curve stands for, decayed.
  [[nodiscard]] double reads() const noexcept;
  /// The settings that would be in force, those of the start until others won on a held-out window.
  [[nodiscard]] const horizon_fitter& fitter() const noexcept { return fitter_; }
  /// Watched keys that are known.
  [[nodiscard]] std::size_t keys() const noexcept { return known_.horizon().residents(); }
  /// More keys are known than keys_max: begin() with a smaller part of them.
  [[nodiscard]] bool is_full() const noexcept { return keys() > options_.keys_max; }
  [[nodiscard]] std::uint32_t one_in() const noexcept { return one_in_; }
  [[nodiscard]] std::uint64_t store_bytes() const noexcept { return store_bytes_; }

private:
  struct part {
    miniature_horizon memory;
    double misses = 0;              ///< decayed
    std::uint64_t misses_since = 0; ///< the last count_reads()
  };
  void touch(std::uint64_t key_hash, std::uint64_t bytes, bool is_read);
  [[nodiscard]] std::uint64_t scaled(double share) const noexcept;

  advice_options options_;
  std::uint32_t one_in_ = 1;
  std::uint64_t store_bytes_ = 0;
  miniature_horizon known_; ///< room for all
  std::vector<part> parts_;
  horizon_fitter fitter_;
  double reads_ = 0, unknown_ = 0, telling_ = 0; ///< decayed; all, and of watched keys
  std::uint64_t unknown_since_ = 0, telling_since_ = 0;
  double counted_at_s_ = 0;
};

} // namespace warp::physics
