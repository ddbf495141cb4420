#include "physics/physics_state.hpp"

#include "physics/byte_stream.hpp"
#include "physics/entropy.hpp"
#include "physics/mixing.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>

namespace warp::physics {

namespace {

constexpr std::string_view magic = "warpphys";
constexpr std::uint32_t version = 1;
constexpr std::size_t head_length = 8 + 4 + 8 + 8;
/// A window of 50 ms may begin and end within its span, and samples come in batches.
constexpr std::uint64_t window_rest_ms = 100;
constexpr std::size_t planned_keys_max = 4096;

/// No two texts that differ in one place have the same.
std::uint64_t check_of(std::uint64_t length, std::string_view body) noexcept {
  return mix(key_id(body) ^ mix(length + version));
}

load_balance balance_of(std::span<const place_load> places) {
  return {entropy_bits(places), evenness(places), divergence_bits(places), max_over_mean(places)};
}

} // namespace

physics_state::physics_state(const physics_options& options)
    : options_(options), index_(options.entanglement), known_(options.entanglement.keys_max),
      accesses_(options.shards, decayed_count{options.half_life_s}),
      bytes_(options.shards, decayed_count{options.half_life_s}), shard_weight_(options.shards, 0),
      shard_bytes_(options.shards, 0) {
  assert(options.shards > 0);
}

// -- learning ------------------------------------------------------------------------------------

void physics_state::learn(std::span<const access_sample> samples, std::uint64_t accesses) {
  const auto use = [this](const window_assembly::window& w) { learn_window(w); };
  std::ranges::fill(shard_weight_, 0);
  std::ranges::fill(shard_bytes_, 0);
  std::size_t in_windows = 0;
  for (const auto& s : samples) {
    latest_ms_ = std::max(latest_ms_, s.time_ms);
    // A watched key alone would count twice as much as it is used, or a hundred times.
    if (s.window == 0 || s.shard >= options_.shards) continue;
    ++in_windows;
    shard_weight_[s.shard] += 1;
    shard_bytes_[s.shard] += s.bytes;
    if (s.key_length > 0 && s.kind != access_kind::remove) windows_.add(s, use);
  }
  accesses_owed_ += accesses;
  if (in_windows > 0) {
    const double now_s = static_cast<double>(latest_ms_) / 1e3;
    const double each = static_cast<double>(accesses_owed_) / static_cast<double>(in_windows);
    for (std::size_t shard = 0; shard < shard_weight_.size(); ++shard) {
      if (shard_weight_[shard] <= 0) continue;
      accesses_[shard].add(now_s, shard_weight_[shard] * each);
      bytes_[shard].add(now_s, shard_bytes_[shard] * each);
    }
    accesses_owed_ = 0;
  }
  if (latest_ms_ >= window_rest_ms) windows_.close_until(latest_ms_ - window_rest_ms, use);
}

void physics_state::finish_windows() {
  windows_.close_until(latest_ms_, [this](const auto& w) { learn_window(w); });
}

void physics_state::add_loads(std::span<const shard_use> shards, std::uint64_t now_ms) {
  latest_ms_ = std::max(latest_ms_, now_ms);
  const double now_s = static_cast<double>(latest_ms_) / 1e3;
  for (std::size_t shard = 0; shard < std::min(shards.size(), options_.shards); ++shard) {
    if (shards[shard].accesses <= 0) continue;
    accesses_[shard].add(now_s, shards[shard].accesses);
    bytes_[shard].add(now_s, shards[shard].bytes);
  }
}

void physics_state::learn_window(const window_assembly::window& window) {
  ids_.clear();
  for (const auto& a : window.accesses()) ids_.push_back(a.id);
  index_.observe(ids_, static_cast<double>(window.last_ms) / 1e3, !window.together);
  const auto slots = index_.slots();
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const auto& a = window.accesses()[i];
    if (index_.keys().at(slots[i]).key != a.id) continue;
    auto& k = known_[slots[i]];
    if (k.id != a.id || k.key.empty()) {
      k.id = a.id;
      k.key = a.key;
    }
    k.bytes = a.bytes;
    k.shard = a.shard;
  }
}

void physics_state::entangle(std::string_view key, std::span<const std::string> partners,
                             double strength) {
  for (const auto& p : partners) {
    if (p == key) continue;
    index_.declare(key_id(key), key_id(p), strength);
    if (strength > 0) declared_.try_emplace(key_id(p), p);
  }
}

bool physics_state::add_rule(std::string_view text, double strength) {
  auto parsed = entanglement_rule::parse(text, strength);
  if (!parsed) return false;
  std::erase_if(rules_, [&](const rule& r) { return r.text == text; });
  rules_.push_back({std::string{text}, std::move(*parsed)});
  return true;
}

bool physics_state::remove_rule(std::string_view text) {
  return std::erase_if(rules_, [&](const rule& r) { return r.text == text; }) > 0;
}

std::vector<std::pair<std::string, double>> physics_state::rules() const {
  std::vector<std::pair<std::string, double>> out;
  for (const auto& r : rules_) out.emplace_back(r.text, r.parsed.strength());
  return out;
}

// -- asking --------------------------------------------------------------------------------------

std::string_view physics_state::name_of(std::uint64_t id) const {
  if (const auto slot = index_.keys().find(id); slot && known_[*slot].id == id)
    return known_[*slot].key;
  if (const auto name = declared_.find(id); name != declared_.end()) return name->second;
  return {};
}

std::vector<related_key> physics_state::quantum_get(std::string_view key, std::size_t max,
                                                    double strength_min) const {
  std::vector<related_key> out;
  for (const auto& p : index_.partners(key_id(key), std::string::npos, strength_min))
    if (const auto name = name_of(p.key); !name.empty() && p.strength > 0)
      out.push_back({std::string{name}, p.strength, p.declared});
  for (const auto& r : rules_) {
    if (r.parsed.strength() < strength_min) continue;
    for (auto& other : r.parsed.partners_of(key)) {
      if (other == key) continue;
      const auto known = std::ranges::find(out, other, &related_key::key);
      if (known == out.end()) {
        out.push_back({std::move(other), r.parsed.strength(), true});
      } else {
        known->strength = std::max(known->strength, r.parsed.strength());
        known->declared = true;
      }
    }
  }
  std::ranges::sort(out, [](const related_key& a, const related_key& b) {
    return a.strength != b.strength ? a.strength > b.strength : a.key < b.key;
  });
  if (out.size() > max) out.resize(max);
  return out;
}

std::vector<shard_mass> physics_state::masses(std::uint64_t now_ms) const {
  const double now_s = static_cast<double>(now_ms) / 1e3;
  std::vector<shard_mass> out(options_.shards);
  for (std::size_t shard = 0; shard < out.size(); ++shard) {
    const double rate = accesses_[shard].rate(now_s), bytes = bytes_[shard].rate(now_s);
    out[shard] = {rate, bytes, rate > 0 ? mass(rate, bytes / rate, priority::normal) : 0};
  }
  return out;
}

load_balance physics_state::entropy(std::uint64_t now_ms) const {
  std::vector<place_load> places;
  for (const auto& a : accesses_) places.push_back({a.at(static_cast<double>(now_ms) / 1e3), 1});
  return balance_of(places);
}

load_balance physics_state::entropy_of_bytes(std::uint64_t now_ms) const {
  std::vector<place_load> places;
  for (const auto& b : bytes_) places.push_back({b.at(static_cast<double>(now_ms) / 1e3), 1});
  return balance_of(places);
}

named_plan physics_state::plan(const demon_options& options, std::uint64_t now_ms) const {
  const auto shards = masses(now_ms);
  double all = 0;
  std::vector<double> rest;
  for (const auto& s : shards) {
    all += s.accesses_per_s;
    rest.push_back(s.accesses_per_s);
  }
  const auto& keys = index_.keys();
  std::vector<std::uint32_t> slots;
  for (std::uint32_t slot = 0; slot < keys.size(); ++slot)
    if (known_[slot].id == keys.at(slot).key && known_[slot].shard < shards.size() &&
        keys.at(slot).sure() > 0)
      slots.push_back(slot);
  std::ranges::sort(slots, [&](std::uint32_t a, std::uint32_t b) {
    const double x = keys.at(a).sure(), y = keys.at(b).sure();
    return x != y ? x > y : a < b;
  });
  if (slots.size() > planned_keys_max) slots.resize(planned_keys_max);

  std::vector<weighed_group> groups;
  for (const auto slot : slots) {
    const auto& k = known_[slot];
    // What is known of a key and of its shard was counted in two ways: never more than is there.
    const double load = std::min(keys.at(slot).sure() / keys.total() * all, rest[k.shard]);
    rest[k.shard] -= load;
    groups.push_back({load, static_cast<double>(k.bytes + k.key.size()), k.shard, load <= 0});
  }
  for (std::size_t shard = 0; shard < rest.size(); ++shard)
    groups.push_back({rest[shard], 0, static_cast<place_index>(shard), true});

  const std::vector<double> capacities(shards.size(), 1);
  const auto found = demon{options}.dry_run(static_cast<double>(now_ms) / 1e3, capacities, groups);
  named_plan out{.moves = {}, .predicted = found.predicted};
  for (const auto& m : found.moves)
    out.moves.push_back(
        {known_[slots[m.group]].key, m.from, m.to, groups[m.group].load, groups[m.group].bytes});
  return out;
}

// -- across a restart ----------------------------------------------------------------------------

std::string physics_state::save() const {
  byte_writer body;
  index_.save(body);
  for (std::uint32_t slot = 0; slot < index_.keys().size(); ++slot) {
    const auto& k = known_[slot];
    const bool named = k.id == index_.keys().at(slot).key;
    body.text(named ? k.key : std::string_view{});
    body.u32(named ? k.bytes : 0);
    body.u32(named ? k.shard : 0);
  }
  std::vector<std::string_view> names;
  for (const auto& [id, name] : declared_) names.push_back(name);
  std::ranges::sort(names); // the same bytes for the same knowledge
  body.u32(static_cast<std::uint32_t>(names.size()));
  for (const auto name : names) body.text(name);
  body.u32(static_cast<std::uint32_t>(rules_.size()));
  for (const auto& r : rules_) {
    body.text(r.text);
    body.f64(r.parsed.strength());
  }
  body.u64(latest_ms_);
  body.u32(static_cast<std::uint32_t>(options_.shards));
  const double now_s = static_cast<double>(latest_ms_) / 1e3;
  for (std::size_t shard = 0; shard < options_.shards; ++shard) {
    body.f64(accesses_[shard].at(now_s));
    body.f64(bytes_[shard].at(now_s));
  }

  byte_writer head;
  head.u32(version);
  head.u64(body.bytes().size());
  head.u64(check_of(body.bytes().size(), body.bytes()));
  return std::string{magic} + head.bytes() + body.bytes();
}

physics_state::load_outcome physics_state::load(std::string_view bytes) {
  if (bytes.size() < head_length || !bytes.starts_with(magic)) return load_outcome::damaged;
  byte_reader head{bytes.substr(magic.size())};
  if (head.u32() != version) return load_outcome::other_version;
  const auto length = head.u64(), check = head.u64();
  const auto body = bytes.substr(head_length);
  if (length != body.size() || check != check_of(length, body)) return load_outcome::damaged;
  physics_state fresh{options_};
  byte_reader in{body};
  if (!fresh.load_parts(in)) return load_outcome::damaged;
  *this = std::move(fresh);
  return load_outcome::loaded;
}

bool physics_state::load_parts(byte_reader& in) {
  if (!index_.load(in)) return false;
  for (std::uint32_t slot = 0; slot < index_.keys().size(); ++slot) {
    auto& k = known_[slot];
    k.key = in.text();
    k.id = k.key.empty() ? 0 : key_id(k.key);
    k.bytes = in.u32();
    k.shard = static_cast<std::uint16_t>(in.u32());
  }
  const auto names = in.u32();
  for (std::uint32_t i = 0; i < names && in.good(); ++i) {
    const auto name = in.text();
    declared_.emplace(key_id(name), name);
  }
  const auto rules = in.u32();
  for (std::uint32_t i = 0; i < rules && in.good(); ++i) {
    const auto text = in.text();
    if (const double strength = in.f64();
        !(strength > 0 && strength <= 1) || !add_rule(text, strength))
      return false;
  }
  latest_ms_ = in.u64();
  const auto shards = in.u32();
  for (std::uint32_t shard = 0; shard < shards && in.good(); ++shard) {
    const double accesses = in.f64(), value_bytes = in.f64();
    if (!(accesses >= 0) || !(value_bytes >= 0) || !std::isfinite(accesses + value_bytes))
      return false;
    if (shard >= options_.shards) continue; // of a folder with more shards
    accesses_[shard].add(static_cast<double>(latest_ms_) / 1e3, accesses);
    bytes_[shard].add(static_cast<double>(latest_ms_) / 1e3, value_bytes);
  }
  return in.good() && in.at_end();
}

} // namespace warp::physics
