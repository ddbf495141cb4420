#pragma once

#include "physics/access_sample.hpp"
#include "physics/demon.hpp"
#include "physics/entanglement_index.hpp"
#include "physics/entanglement_rule.hpp"
#include "physics/mass.hpp"
#include "physics/window_assembly.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace warp::physics {

struct physics_options {
  std::size_t shards = 64; ///< >= 1; samples of other shards are left out
  /// 8 MiB of keys and partners, and the keys' bytes.
  entanglement_options entanglement = {.keys_max = 16'384};
  double half_life_s = 300; ///< of a shard's load
};

/// A key that belongs to another one, by its name.
struct related_key {
  std::string key;
  double strength = 0; ///< in (0, 1]
  bool declared = false;
};

/// What a shard has done since it was last counted.
struct shard_use {
  double accesses = 0;
  double bytes = 0; ///< of values, or of keys and values
};

/// What a shard does, decayed.
struct shard_mass {
  double accesses_per_s = 0;
  double bytes_per_s = 0; ///< of values
  double mass = 0;        ///< of its keys together: KiB a second (mass.hpp)
};

/// How evenly the shards are used (entropy.hpp).
struct load_balance {
  double entropy_bits = 0, evenness = 1, divergence_bits = 0, max_over_mean = 1;
};

/// What the demon would do with the keys that are known: a dry run.
struct named_plan {
  struct move {
    std::string key;
    std::uint32_t from = 0, to = 0; ///< shards
    double accesses_per_s = 0, bytes = 0;
  };
  std::vector<move> moves;
  rebalance_prediction predicted; ///< in accesses a second
};

/// All that is learned of a node from samples (observer.hpp): which keys belong together, and what
/// each shard carries. Can be written to bytes and read back; what was not, or was damaged, is
/// learned again.
///
/// Times are milliseconds since any fixed moment that outlives a restart (unix time does), and may
/// go back a little. Not thread-safe: one thread learns, and who else asks is kept apart by the
/// caller. The same for the same calls.
class physics_state {
public:
  explicit physics_state(const physics_options& options = {});

  // -- learning ----------------------------------------------------------------------------------

  /// Samples as an observer drained them; `accesses`: how many accesses they stand for, sampled or
  /// not, which is what loads are scaled to. Of one thread or of several, one after the other. A
  /// window is learned once 100 ms have passed since its last access.
  void learn(std::span<const access_sample> samples, std::uint64_t accesses);
  /// Learns the windows that are still open.
  void finish_windows();
  /// What the shards have done since the last time, where that is counted exactly: in place of what
  /// learn() makes of its `accesses`, which is 0 then. One for each shard.
  void add_loads(std::span<const shard_use> shards, std::uint64_t now_ms);

  /// Links that the application knows of: the partners follow the key with this strength in [0, 1],
  /// whatever is learned; 0 takes them back.
  void entangle(std::string_view key, std::span<const std::string> partners, double strength);
  /// A pattern rule (entanglement_rule.hpp), strength in (0, 1]; false when the text is none. The
  /// text of a rule that there is replaces its strength.
  bool add_rule(std::string_view text, double strength = 0.8);
  /// false: there is no rule with this text.
  bool remove_rule(std::string_view text);

  // -- asking ------------------------------------------------------------------------------------

  /// The keys that belong to a key: learned, declared, or by a rule, the strongest first, at most
  /// `max` with at least strength_min. Whether they exist is for the table to say.
  [[nodiscard]] std::vector<related_key> quantum_get(std::string_view key, std::size_t max = 10,
                                                     double strength_min = 0.1) const;
  /// One a shard.
  [[nodiscard]] std::vector<shard_mass> masses(std::uint64_t now_ms) const;
  /// Of the shards' accesses, or of their bytes.
  [[nodiscard]] load_balance entropy(std::uint64_t now_ms) const;
  [[nodiscard]] load_balance entropy_of_bytes(std::uint64_t now_ms) const;
  /// Moves of known keys (the 4,096 most used ones) between shards that would even the accesses
  /// out; what is not known of a shard stays where it is.
  [[nodiscard]] named_plan plan(const demon_options& options, std::uint64_t now_ms) const;

  [[nodiscard]] const entanglement_index& entanglement() const noexcept { return index_; }
  /// Partners that were declared, by name.
  [[nodiscard]] std::size_t declared() const noexcept { return declared_.size(); }
  /// Text and strength of each rule.
  [[nodiscard]] std::vector<std::pair<std::string, double>> rules() const;
  [[nodiscard]] const physics_options& options() const noexcept { return options_; }

  // -- across a restart --------------------------------------------------------------------------

  enum class load_outcome : std::uint8_t { loaded, other_version, damaged };
  /// All that is known but the windows that are still open. Layout: "warpphys", version (4 bytes),
  /// length of what follows the check (8), check (8: the bytes before it without its own, and all
  /// after it), then the parts in the order of load(); numbers little-endian.
  [[nodiscard]] std::string save() const;
  /// Takes what save() wrote in place of what is known here. When not loaded, nothing has changed.
  [[nodiscard]] load_outcome load(std::string_view bytes);

private:
  struct whereabouts { ///< of a key of the index, by its slot
    std::uint64_t id = 0;
    std::string key;
    std::uint32_t bytes = 0;
    std::uint16_t shard = 0;
  };
  struct rule {
    std::string text;
    entanglement_rule parsed;
  };
  void learn_window(const window_assembly::window& window);
  [[nodiscard]] std::string_view name_of(std::uint64_t id) const;
  [[nodiscard]] bool load_parts(byte_reader& in);

  physics_options options_;
  entanglement_index index_;
  std::vector<whereabouts> known_;                          ///< by slot of index_.keys()
  std::unordered_map<std::uint64_t, std::string> declared_; ///< names of declared partners
  std::vector<rule> rules_;
  window_assembly windows_;
  std::vector<decayed_count> accesses_, bytes_; ///< by shard
  std::uint64_t latest_ms_ = 0;
  std::uint64_t accesses_owed_ = 0;                ///< those that no sample stood for so far
  std::vector<std::uint64_t> ids_;                 ///< of the window in hand
  std::vector<double> shard_weight_, shard_bytes_; ///< of the batch in hand
};

} // namespace warp::physics
