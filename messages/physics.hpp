#pragma once

#include "messages/ids.hpp"
#include "messages/operations.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace warp {

// What a universe knows of itself, as the library, the server and its client hand it on.

/// How much a universe observes of itself; each tier with what the ones before it do.
///   t0  nothing: keys, values and the log
///   t1  which keys are used together (quantum_get); all values are in memory, so none are fetched
///   t2  how the load lies on the shards: entropy, mass, and what a rebalancing would move;
///       every access of one key in 100, and what would miss were less kept in memory: advice
///   t3  many settings of an event horizon tried side by side, on a GPU where there is one: advice
///       too. Nothing learns placement yet
enum class physics_tier : std::uint8_t { t0, t1, t2, t3 };

/// "T0" to "T3".
[[nodiscard]] constexpr std::string_view to_string(physics_tier tier) noexcept {
  constexpr std::string_view names[] = {"T0", "T1", "T2", "T3"};
  return names[static_cast<std::size_t>(tier)];
}
/// The inverse, in either case; nothing for any other text.
[[nodiscard]] constexpr std::optional<physics_tier> parse_physics_tier(std::string_view text) {
  if (text.size() != 2 || (text[0] != 'T' && text[0] != 't') || text[1] < '0' || text[1] > '3')
    return std::nullopt;
  return static_cast<physics_tier>(text[1] - '0');
}

/// What is asked of quantum_get.
struct quantum_options {
  std::size_t max = 10;      ///< partners; at most 1,000
  double strength_min = 0.1; ///< of partners, in [0, 1]
  bool values = false;       ///< of partners; that of the key always comes
};
inline constexpr std::size_t quantum_partners_max = 1'000;

/// A key that belongs to another one.
struct quantum_partner {
  std::string key;
  /// In (0, 1]: how likely it is asked for next, as far as that was learned; or as it was declared.
  double strength = 0;
  bool declared = false;      ///< by entangle() or a rule
  bool present = false;       ///< there is a record
  bool value_omitted = false; ///< not asked for, or too long for the answer
  std::string value;
  value_type type = value_type::bytes; ///< of a hash the value is its fields (packed_fields.hpp)
};
struct quantum_answer {
  bool present = false; ///< the key itself
  lsn_t version = 0;
  std::uint64_t expires_at_ms = 0; ///< 0: never
  std::string value;
  value_type type = value_type::bytes;   ///< of a hash the value is its fields (packed_fields.hpp)
  std::vector<quantum_partner> partners; ///< the strongest first
};

/// How evenly a load lies on the shards; see physics/entropy.hpp.
struct load_evenness {
  double entropy_bits = 0, evenness = 1, divergence_bits = 0, max_over_mean = 1;
};
struct entropy_report {
  std::uint32_t shards = 0;
  double entropy_bits_max = 0; ///< log2 of the shards
  double accesses_per_s = 0, bytes_per_s = 0;
  load_evenness accesses, bytes;
};

/// What a shard does, decayed with a half-life of 300 s.
struct shard_physics {
  shard_id shard;
  double accesses_per_s = 0;
  double bytes_per_s = 0; ///< of keys and values
  double mass = 0;        ///< KiB a second
};

/// What a rebalancing between shards would do. Nothing carries it out.
struct rebalance_report {
  struct move {
    std::string key;
    std::uint32_t from = 0, to = 0; ///< shards
    double accesses_per_s = 0, bytes = 0;
  };
  std::vector<move> moves;
  double evenness_before = 1, evenness_after = 1;
  double max_over_mean_before = 1, max_over_mean_after = 1;
  double bytes = 0;        ///< to move
  double relief = 0;       ///< load above the aim that goes away, accesses a second
  bool called_for = false; ///< is the load as uneven as the demon acts on?
  bool worth = false;      ///< is the gain larger than the cost?
};

struct physics_rule {
  std::string text; ///< "user:* -> profile:*, settings:*"
  double strength = 0;
};

/// Many settings of the event horizon, tried on the last accesses of watched keys, from T3 on.
struct horizon_search_report {
  std::uint64_t searches = 0; ///< that came to a result
  std::uint32_t settings = 0; ///< tried in each
  std::string trouble;        ///< why the last one came to none; empty: it did
  // Of the last result: the settings with the fewest misses
  bool by_device = false; ///< who computed it
  double small_share = 0, ghost_share = 0;
  std::uint32_t hits_to_stay = 0;
  std::uint64_t accesses = 0; ///< on which none was chosen, and the part of them that missed
  double miss_ratio = 0, miss_ratio_default = 0;
};

/// What would happen if less than everything were kept in memory: advice, from every access of one
/// key in keys_one_in. Nothing is demoted by it. See physics/horizon_advice.hpp. Counts are decayed
/// with a half-life of 300 s, and begin anew with every start.
struct horizon_report {
  struct point {
    double share = 0;        ///< of the store's bytes that were kept
    std::uint64_t bytes = 0; ///< as much, of keys and values
    double miss_ratio = 0;   ///< the part of the reads that would miss, in [0, 1]
    std::uint64_t keys = 0;  ///< watched ones that would be kept: with fewer than 16 it is a guess
  };
  std::uint32_t keys_one_in = 0; ///< one key in so many is watched; 0: none, below T2
  std::uint64_t keys = 0;        ///< watched ones that were seen
  double reads = 0;              ///< of all keys, that the curve stands for
  std::uint64_t bytes = 0;       ///< of all keys and values
  std::vector<point> curve;      ///< by share; empty: too little was seen so far
  // The settings that served best for a tenth of the store (physics/horizon_settings.hpp)
  double small_share = 0, ghost_share = 0;
  std::uint32_t hits_to_stay = 0;
  std::uint64_t named = 0;   ///< settings that were the best of a window
  std::uint64_t applied = 0; ///< those that won the window after it as well; 0: these are defaults
  /// Reads since the last of them, on which no setting was chosen, and the part that missed.
  std::uint64_t proof_reads = 0;
  double miss_ratio_fitted = 0, miss_ratio_default = 0;
  horizon_search_report search;
};

/// How the observation is and what it costs. Counts since start.
struct physics_report {
  physics_tier tier = physics_tier::t0;   ///< in force
  physics_tier wanted = physics_tier::t0; ///< as it was ordered
  std::string stepped_down;               ///< why they differ; empty: they do not
  std::uint64_t steps_down = 0;
  std::uint64_t samples = 0, dropped = 0;
  double cpu_s = 0;              ///< of the thread that learns
  double cpu_share = 0;          ///< of all CPUs, lately, in [0, 1]
  std::uint64_t keys = 0;        ///< whose partners are known
  std::uint64_t keys_max = 0;    ///< beyond it the least used ones make room
  std::uint64_t links = 0;       ///< declared
  std::uint64_t saves = 0;       ///< to the data folder
  std::uint64_t saved_at_ms = 0; ///< unix time; 0: not yet
  std::uint64_t saved_bytes = 0;
  std::string loaded; ///< what the start found: "nothing", "loaded", or why it learns anew
  std::vector<physics_rule> rules;
  horizon_report horizon;
};

} // namespace warp
