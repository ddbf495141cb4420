#pragma once

#include "physics/byte_stream.hpp"
#include "physics/heavy_hitters.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

namespace warp::physics {

struct entanglement_options {
  std::size_t keys_max = 65'536; ///< keys whose partners are known
  std::size_t partners_max = 16; ///< of a key
  /// How far apart in a window two accesses still count as together, in accesses, >= 1: where the
  /// order in it means something, and where it does not.
  std::size_t reach = 4, reach_together = 16;
  /// What observe() takes a window for that says nothing: does the order in it mean something (a
  /// stream of accesses), or not (one MGET)? In order, a pair at distance d counts 1 / d^2, and
  /// only for the earlier key; else 1, for both.
  bool in_order = true;
  double period_s = 22; ///< after each, what was counted is worth `decay` of it
  double decay = 0.95;  ///< in (0, 1]; half-life 300 s
  /// How much more often than by chance the partner must follow, >= 0.
  double lift_min = 1.5;
};

/// A key that is used with another one.
struct partner {
  std::uint64_t key = 0;
  double strength = 0; ///< in [0, 1]
  bool declared = false;
};

/// Quantum entanglement: learned or declared co-access between keys; drives prefetch, quantum_get
/// and co-location. Keys come in as 64-bit ids (a hash); who needs their bytes keeps them.
///
/// Learned from whole request windows. A key's own weight is kept by SpaceSaving
/// (heavy_hitters.hpp) and so are, for each such key, its partners. Strength: how likely b comes
/// soon after a, in [0, 1], from what is certain of both counts:
///     strength(a, b) = weight of the pair / weight of a
///     lift(a, b) = strength(a, b) / (weight of b / weight of all keys)
/// A pair below lift_min, or seen less than twice, is chance and not told: what is popular follows
/// everything. Later events count more (forward decay, Cormode et al. 2009): times in seconds never
/// go back by much.
///
/// keys_max x (100 + 24 x partners_max) bytes. observe() O(window x reach x partners_max). Not
/// thread-safe. The same for the same calls.
class entanglement_index {
public:
  explicit entanglement_index(const entanglement_options& options = {});

  /// The keys of one request window, as they were accessed: a batch, an MGET, a transaction, or
  /// what one connection did within 50 ms. A key next to itself counts once.
  void observe(std::span<const std::uint64_t> window, double now_s) {
    observe(window, now_s, options_.in_order);
  }
  void observe(std::span<const std::uint64_t> window, double now_s, bool in_order);
  /// Where the keys of the last window are in keys(), one for each: who keeps more of a key keeps
  /// it by slot. A slot may be another key's by now where a window has more keys than there is
  /// room for.
  [[nodiscard]] std::span<const std::uint32_t> slots() const noexcept { return slots_; }

  /// A link that the application knows of: partner follows primary with this strength in [0, 1],
  /// whatever is learned; 0 takes it back.
  void declare(std::uint64_t primary, std::uint64_t partner, double strength);

  /// The partners of a key with at least this strength, the strongest first (declared links stand
  /// with the larger of both strengths), at most `max`.
  [[nodiscard]] std::vector<partner> partners(std::uint64_t key, std::size_t max = 10,
                                              double strength_min = 0.1) const;
  /// Strength of one pair, 0 when nothing is known or it is chance.
  [[nodiscard]] double strength(std::uint64_t key, std::uint64_t partner) const;

  [[nodiscard]] const heavy_hitters& keys() const noexcept { return keys_; }

  /// All that is known, declared links included, as bytes; the options are not among them.
  void save(byte_writer& out) const;
  /// Takes what save() wrote in place of what is known here; of an index with more partners a key
  /// the first ones. Slots are the same. False, and nothing is known, when the bytes are not what
  /// save() writes or more keys than there is room for.
  [[nodiscard]] bool load(byte_reader& in);

private:
  struct pair {
    std::uint64_t key = 0;
    double weight = 0;
    float error = 0; ///< as in heavy_hitters::item
    float seen = 0;  ///< times since it came, at most 2
  };
  [[nodiscard]] std::span<const pair> pairs_of(std::uint32_t slot) const noexcept {
    return {pairs_.data() + slot * options_.partners_max, options_.partners_max};
  }
  void bind(std::uint32_t slot, std::uint64_t other, double weight);
  [[nodiscard]] double strength_of(const heavy_hitters::item& key, const pair& p) const;
  void advance(double now_s);

  entanglement_options options_;
  heavy_hitters keys_;
  std::vector<pair> pairs_; ///< partners_max a slot of keys_; weight 0: free
  std::unordered_map<std::uint64_t, std::vector<partner>> declared_;
  std::vector<std::uint32_t> slots_; ///< of the window in hand
  double period_ = 0;                ///< the latest one
  bool started_ = false;
  double unit_ = 1; ///< weight of an event now: grows instead of all others shrinking
};

} // namespace warp::physics
