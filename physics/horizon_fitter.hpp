#pragma once

#include "physics/horizon_settings.hpp"
#include "physics/miniature_set.hpp"
#include "physics/mixing.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace warp::physics {

/// How an event horizon is re-fitted.
struct fit_options {
  /// One in so many keys is watched, chosen by hash: all accesses of such a key, none of the
  /// others.
  std::uint32_t one_in = 100;
  /// Accesses of watched keys in one window.
  std::uint32_t window = 1'000;
  /// How sure a win on the held-out window must be, in standard deviations of a fair coin's.
  double sureness = 2.5;
  /// Below so many residents a miniature is too coarse to be believed, and nothing is changed.
  std::size_t least_residents = 16;
  /// Chooses the keys that are watched.
  std::uint64_t seed = 0;
  /// Settings that are tried beside the ones to start with.
  struct shares {
    double small, ghost; ///< see horizon_settings
  };
  std::vector<shares> tried = {{0.03, 0.9}, {0.3, 0.9}, {0.03, 0.3}, {0.12, 0.3}};
};

/// Re-fits the small queue's and the ghosts' share of an event horizon from a sample of its
/// accesses, beside the data path.
///
/// Each of the tried settings runs as a miniature on the watched keys. The first window names the
/// setting with the fewest misses; it is applied if it wins on the window that follows, which had
/// no say in naming it: of the n accesses on which it and the setting in force differ it must win w
/// with
///
///     w - (n - w) > sureness x sqrt(n)
///
/// (McNemar's test). So a fit is decided by accesses that lie before all that it is used for, and a
/// stream that shows no difference changes nothing.
///
/// Memory: miniatures of all settings (see miniature_set.hpp), some 250 bytes for one resident in
/// one_in with the defaults: 2.5 bytes a resident of the whole. Time: one multiplication an access,
/// and (1 + tried) miniature accesses for one in `one_in`. Not thread-safe: where the data path has
/// several threads, watched accesses are handed over in batches (is_watched()), and dropped under
/// pressure.
///
///     if (fitter.observe(hash, bytes)) horizon.apply(fitter.settings());
class horizon_fitter {
public:
  explicit horizon_fitter(std::uint64_t capacity, const horizon_settings& start = {},
                          fit_options options = {});

  /// An access to a key, resident or not; see miniature_set::access. True:
  /// settings() are others than before.
  bool observe(std::uint64_t key_hash, std::uint32_t bytes) {
    return is_watched(key_hash) && observe_watched(key_hash, bytes);
  }
  [[nodiscard]] bool is_watched(std::uint64_t key_hash) const noexcept {
    return (key_hash ^ salt_) * 0xd1342543de82ef95u < watched_below_;
  }
  /// The same as observe() for a key that is watched. Of an access that does not count, such as a
  /// write, a miss costs nothing: the settings are not judged by it.
  bool observe_watched(std::uint64_t key_hash, std::uint32_t bytes, bool counts = true);
  /// A key is deleted.
  void remove(std::uint64_t key_hash) { miniatures_.remove(key_hash); }

  /// The settings in force.
  [[nodiscard]] const horizon_settings& settings() const noexcept { return settings_[current_]; }
  void set_capacity(std::uint64_t capacity) { miniatures_.set_capacity(scaled(capacity)); }

  struct counters {
    std::uint64_t watched = 0; ///< accesses of watched keys
    std::uint64_t named = 0;   ///< settings that won a first window
    std::uint64_t applied = 0; ///< those that won the held-out window as well
  };
  [[nodiscard]] const counters& seen() const noexcept { return seen_; }

  /// How the settings in force did, beside those it started with, on the accesses since they were
  /// applied: none of these had a say in choosing them. All 0 while the two are the same.
  struct proof {
    std::uint64_t accesses = 0, misses = 0, misses_of_start = 0;
  };
  [[nodiscard]] const proof& since_applied() const noexcept { return proof_; }
  /// Residents of all miniatures.
  [[nodiscard]] std::size_t residents() const noexcept { return miniatures_.residents(); }

private:
  bool close_window();
  [[nodiscard]] bool is_sure() const noexcept;
  [[nodiscard]] std::uint64_t scaled(std::uint64_t capacity) const noexcept;

  fit_options options_;
  std::uint64_t salt_, watched_below_;
  std::vector<horizon_settings> settings_; // [0] is what it started with
  miniature_set miniatures_;
  std::size_t current_ = 0;
  std::size_t challenger_ = 0;        // named by the last window; current_: none was
  std::vector<std::uint32_t> misses_; // of this window
  std::uint32_t in_window_ = 0;
  std::uint32_t won_ = 0, lost_ = 0; // by the challenger, in this window
  counters seen_;
  proof proof_;
};

} // namespace warp::physics
