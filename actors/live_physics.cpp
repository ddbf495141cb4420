#include "actors/live_physics.hpp"

#include "storage/path.hpp"
#include "storage/replace_file.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <thread>

namespace warp::actors {

namespace {

constexpr std::chrono::milliseconds pause_busy{100}, pause_idle{400};
constexpr std::chrono::seconds look_every{1};
/// What was declared is saved soon, but not over and over.
constexpr std::chrono::seconds save_declared_every{1};
/// Learned at a time, so that nobody who asks waits for long.
constexpr std::size_t samples_at_once = 64;
/// Part of the samples that may be of watched keys; above it fewer keys are watched, so many that
/// it is not to be done again soon.
constexpr double watched_part_max = 0.5, watched_part_aim = 0.35;
constexpr std::uint32_t keys_one_in_max = 1u << 30;
constexpr std::size_t declared_max = 100'000, rules_max = 1'000;

double thread_cpu_s() noexcept {
  timespec used{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

double seconds_of(std::chrono::steady_clock::duration d) noexcept {
  return std::chrono::duration<double>(d).count();
}

storage::file_system& files_of(const storage::engine& engine) {
  auto* files = engine.options().files;
  return files ? *files : storage::posix_file_system();
}

load_evenness evenness_of(const physics::load_balance& b) noexcept {
  return {b.entropy_bits, b.evenness, b.divergence_bits, b.max_over_mean};
}

} // namespace

live_physics::live_physics(storage::engine& engine, physics_settings settings,
                           compute_manager* compute)
    : engine_(engine), settings_(std::move(settings)), state_({.shards = engine.shard_count()}),
      governor_(settings_.tier, settings_.cpu_share_max),
      keys_one_in_(engine.options().observation.keys_one_in), search_(compute),
      used_(engine.shard_count()), counted_(engine.shard_count()) {
  told_.loaded = "nothing";
  load();
  for (const auto& rule : settings_.rules)
    if (!state_.add_rule(rule)) spdlog::error("physics: '{}' is no rule", rule);
  saved_at_ = looked_at_ = counted_at_ = steady::now();
  advice_.begin(std::max(1u, keys_one_in_));
  searches_ = settings_.tier >= physics_tier::t3;
  told_.horizon.search = search_.report();
  apply_tier();
}

// -- the file ------------------------------------------------------------------------------------

void live_physics::load() {
  const auto& folder = engine_.options().folder;
  if (folder.empty()) return;
  const auto path = storage::join_path(folder, physics_file_name);
  const auto bytes = storage::read_file(files_of(engine_), path);
  if (!bytes) {
    if (bytes.status().code() == op_code::not_found) return;
    told_.loaded = bytes.status().to_string();
  } else {
    using outcome = physics::physics_state::load_outcome;
    const auto loaded = state_.load(*bytes);
    if (loaded == outcome::loaded) {
      told_.loaded = "loaded";
      return;
    }
    told_.loaded = loaded == outcome::damaged
                       ? fmt::format("{} is damaged ({} bytes)", path, bytes->size())
                       : fmt::format("{} was written by another version", path);
  }
  spdlog::warn("physics: {}: what was learned is learned anew; links and rules that were declared "
               "at run time have to be given again",
               told_.loaded);
}

void live_physics::save() {
  const auto& folder = engine_.options().folder;
  const bool declared = declared_.exchange(false);
  learned_ = false;
  saved_at_ = steady::now();
  if (folder.empty()) return;
  std::string bytes;
  {
    std::shared_lock hold{mutex_};
    bytes = state_.save();
  }
  const auto status = storage::replace_file(files_of(engine_), folder, physics_file_name, bytes);
  std::lock_guard hold{tier_mutex_};
  if (!status.ok()) {
    learned_ = true;
    if (declared) declared_ = true;
    spdlog::warn("physics: what was learned cannot be saved: {}", status.to_string());
    return;
  }
  ++told_.saves;
  told_.saved_at_ms = now_ms();
  told_.saved_bytes = bytes.size();
}

void live_physics::save_if_due() {
  const auto since = steady::now() - saved_at_;
  if ((declared_ && since >= save_declared_every) || (learned_ && since >= settings_.save_interval))
    save();
}

void live_physics::close() {
  engine_.observe_accesses(false);
  learn();
  {
    std::unique_lock hold{mutex_};
    state_.finish_windows();
  }
  if (learned_ || declared_) save();
}

// -- learning ------------------------------------------------------------------------------------

void live_physics::turn(std::chrono::milliseconds wait_max) {
  {
    std::unique_lock lock{tier_mutex_};
    woken_.wait_for(lock, wait_max, [this] { return interrupted_; });
    interrupted_ = false;
  }
  const auto begun_s = thread_cpu_s();
  learn();
  look_after_tier();
  search();
  save_if_due();
  const auto took_s = thread_cpu_s() - begun_s;
  cpu_s_ += took_s;
  std::lock_guard hold{tier_mutex_};
  told_.cpu_s += took_s;
}

void live_physics::interrupt() {
  std::lock_guard hold{tier_mutex_};
  interrupted_ = true;
  woken_.notify_all();
}

std::chrono::milliseconds live_physics::pause() const noexcept {
  return busy_ ? pause_busy : pause_idle;
}

void live_physics::learn() {
  samples_.clear();
  const auto drained = engine_.drain_samples([this](std::span<const physics::access_sample> some) {
    samples_.insert(samples_.end(), some.begin(), some.end());
  });
  busy_ = drained.samples > 0;
  sampled_ += drained.samples;
  dropped_ += drained.dropped;
  for (std::size_t at = 0; at < samples_.size(); at += samples_at_once) {
    const auto n = std::min(samples_at_once, samples_.size() - at);
    std::unique_lock hold{mutex_};
    const auto some = std::span{samples_}.subspan(at, n);
    state_.learn(some, 0);
    learn_watched(some);
  }
  lost_ += drained.dropped + drained.passed;
  if (drained.samples > 0) learned_ = true;
  std::lock_guard hold{tier_mutex_};
  told_.samples += drained.samples;
  told_.dropped += drained.dropped;
}

/// Samples that a thread took before it heard that fewer keys are watched are of no use.
void live_physics::learn_watched(std::span<const physics::access_sample> samples) {
  const auto below = physics::observer::watched_below(advice_.one_in());
  for (const auto& s : samples) {
    if (!s.watched || s.key_hash >= below) continue;
    ++watched_;
    const auto bytes = std::uint64_t{s.key_length} + s.bytes;
    if (searches_ && s.kind != physics::access_kind::remove)
      search_.see(s.key_hash, static_cast<std::uint32_t>(std::clamp<std::uint64_t>(
                                  bytes, 1, physics::event_horizon::bytes_max)));
    if (s.kind == physics::access_kind::read)
      advice_.read(s.key_hash, bytes);
    else if (s.kind == physics::access_kind::write)
      advice_.write(s.key_hash, bytes);
    else
      advice_.remove(s.key_hash);
  }
}

/// Every access of a key has to be seen, so where there are too many it is keys that are given up,
/// half of them or more, and what was measured with them.
void live_physics::watch_fewer(double per_s, std::uint64_t keys) {
  const double budget = engine_.options().observation.samples_per_s_max;
  const auto keys_max = static_cast<double>(physics::advice_options{}.keys_max);
  if (keys_one_in_ == 0) return;
  std::uint32_t one_in = keys_one_in_;
  if (per_s > watched_part_max * budget)
    while (per_s * keys_one_in_ > watched_part_aim * budget * one_in && one_in < keys_one_in_max)
      one_in *= 2;
  if (advice_.is_full()) one_in = std::max(one_in, std::min(keys_one_in_ * 2, keys_one_in_max));
  while (static_cast<double>(keys) > 0.8 * keys_max * one_in && one_in < keys_one_in_max)
    one_in *= 2;
  if (one_in == keys_one_in_) return;
  spdlog::info("physics: every access of one key in {} is sampled, no longer of one in {}", one_in,
               keys_one_in_);
  {
    std::unique_lock hold{mutex_};
    advice_.begin(one_in);
  }
  search_.forget();
  std::lock_guard hold{tier_mutex_};
  keys_one_in_ = one_in;
  apply_tier();
}

/// The engine counts what each shard does anyway, and exactly.
void live_physics::add_loads() {
  bool any = false;
  std::uint64_t hits = 0, keys = 0, bytes = 0;
  for (std::uint32_t i = 0; i < engine_.shard_count(); ++i) {
    const auto s = engine_.stats(shard_id{i});
    const physics::shard_use now{.accesses =
                                     static_cast<double>(s.gets + s.puts + s.erases + s.other_ops),
                                 .bytes = static_cast<double>(s.bytes_read + s.bytes_written)};
    // What was done before this universe was observed is not to look like a flood.
    used_[i] = {std::max(0.0, now.accesses - counted_[i].accesses),
                std::max(0.0, now.bytes - counted_[i].bytes)};
    counted_[i] = now;
    any |= used_[i].accesses > 0;
    hits += s.get_hits;
    keys += s.table.keys;
    bytes += s.table.key_bytes + s.table.value_bytes;
  }
  const auto since = seconds_of(steady::now() - std::exchange(counted_at_, steady::now()));
  const auto reads = static_cast<double>(hits - std::exchange(hits_counted_, hits));
  const auto watched = static_cast<double>(std::exchange(watched_, 0));
  const auto lost = static_cast<double>(std::exchange(lost_, 0));
  if (since > 10) return;
  {
    std::unique_lock hold{mutex_};
    advice_.set_store(bytes);
    const double told = watched + lost > 0 ? watched / (watched + lost) : 1;
    advice_.count_reads(reads, told, static_cast<double>(now_ms()) / 1e3);
    if (any) {
      state_.add_loads(used_, now_ms());
      learned_ = true;
    }
  }
  watch_fewer((watched + lost) / std::max(since, 0.1), keys);
}

void live_physics::look_after_tier() {
  const auto since = steady::now() - looked_at_;
  if (since < look_every) return;
  looked_at_ = steady::now();
  const double cpus = std::max(1u, std::thread::hardware_concurrency());
  const physics_governor::second seen{
      .samples = static_cast<std::uint64_t>(static_cast<double>(sampled_) / seconds_of(since)),
      .dropped = static_cast<std::uint64_t>(static_cast<double>(dropped_) / seconds_of(since)),
      .cpu_share = cpu_s_ / seconds_of(since) / cpus,
      .log_presses = engine_.log_presses()};
  sampled_ = dropped_ = 0;
  cpu_s_ = 0;
  bool loads = false;
  {
    std::lock_guard hold{tier_mutex_};
    const auto before = governor_.tier();
    // A tenth of each second: a single one that was long says little.
    told_.cpu_share += 0.1 * (seen.cpu_share - told_.cpu_share);
    if (governor_.see(seen)) {
      if (governor_.tier() < before)
        spdlog::warn("physics: down to tier {} (ordered: {}): {}", to_string(governor_.tier()),
                     to_string(governor_.wanted()), governor_.cause());
      else
        spdlog::info("physics: back to tier {}", to_string(governor_.tier()));
    }
    apply_tier();
    loads = governor_.tier() >= physics_tier::t2;
    searches_ = governor_.tier() >= physics_tier::t3;
  }
  if (loads) add_loads();
}

/// What an answer is waited for by the manager's threads, not by this one.
void live_physics::search() {
  if (!searches_) return;
  const auto kept =
      physics::advice_options{}.fit_share * static_cast<double>(advice_.store_bytes());
  const auto capacity = static_cast<std::uint64_t>(std::max(1.0, kept / advice_.one_in()));
  if (!search_.turn(capacity, seconds_of(steady::now().time_since_epoch()))) return;
  std::lock_guard hold{tier_mutex_};
  told_.horizon.search = search_.report();
}

void live_physics::apply_tier() {
  engine_.watch_keys(governor_.tier() >= physics_tier::t2 ? keys_one_in_ : 0);
  engine_.observe_accesses(governor_.tier() >= physics_tier::t1);
}

void live_physics::order(physics_tier tier) {
  std::lock_guard hold{tier_mutex_};
  governor_.order(tier);
  apply_tier();
}

// -- asking --------------------------------------------------------------------------------------

std::vector<quantum_partner> live_physics::partners_of(std::string_view key, std::size_t max,
                                                       double strength_min) const {
  std::vector<quantum_partner> out;
  std::shared_lock hold{mutex_};
  for (auto& r : state_.quantum_get(key, std::min(max, quantum_partners_max), strength_min)) {
    quantum_partner p;
    p.key = std::move(r.key);
    p.strength = r.strength;
    p.declared = r.declared;
    out.push_back(std::move(p));
  }
  return out;
}

op_status live_physics::entangle(std::string_view key, std::span<const std::string> partners,
                                 double strength) {
  if (!(strength >= 0 && strength <= 1))
    return {op_code::invalid_argument,
            fmt::format("a strength of {}: it is in [0, 1], and 0 takes a link back", strength)};
  const auto fits = [](std::string_view k) {
    return k.size() >= key_size_min && k.size() <= key_size_max;
  };
  if (!fits(key) || partners.empty() || !std::ranges::all_of(partners, fits))
    return {op_code::invalid_argument,
            fmt::format("name a key and one or more partners of 1 to {} bytes", key_size_max)};
  std::unique_lock hold{mutex_};
  if (strength > 0 && state_.declared() + partners.size() > declared_max)
    return {op_code::no_space,
            fmt::format("{} partners are declared, the most that may: use a rule for keys that "
                        "are alike",
                        declared_max)};
  state_.entangle(key, partners, strength);
  declared_ = true;
  return {};
}

op_status live_physics::set_rule(std::string_view text, double strength) {
  std::unique_lock hold{mutex_};
  if (strength == 0) {
    if (!state_.remove_rule(text))
      return {op_code::not_found, fmt::format("there is no rule '{}'", text)};
  } else if (state_.rules().size() >= rules_max) {
    return {op_code::no_space, fmt::format("there are {} rules, the most that may", rules_max)};
  } else if (!state_.add_rule(text, strength)) {
    return {op_code::invalid_argument,
            fmt::format("'{}' with strength {} is no rule: it looks like \"user:* -> profile:*, "
                        "settings:*\", one * on each side of each, strength in (0, 1]",
                        text, strength)};
  }
  declared_ = true;
  return {};
}

op_status live_physics::needs(physics_tier least, std::string_view what) const {
  std::lock_guard hold{tier_mutex_};
  if (governor_.tier() >= least) return {};
  auto text = fmt::format("{} is measured from physics tier {} on, and {} is in force", what,
                          to_string(least), to_string(governor_.tier()));
  if (const auto cause = governor_.cause(); !cause.empty())
    text += fmt::format(" ({} was ordered: {})", to_string(governor_.wanted()), cause);
  else
    text += fmt::format(": warp physics tier {}", to_string(least));
  return {op_code::not_supported, std::move(text)};
}

op_result<entropy_report> live_physics::entropy() const {
  if (auto status = needs(physics_tier::t2, "the load's entropy"); !status.ok()) return status;
  entropy_report out;
  out.shards = engine_.shard_count();
  out.entropy_bits_max = std::log2(static_cast<double>(out.shards));
  const auto now = now_ms();
  std::shared_lock hold{mutex_};
  out.accesses = evenness_of(state_.entropy(now));
  out.bytes = evenness_of(state_.entropy_of_bytes(now));
  for (const auto& s : state_.masses(now)) {
    out.accesses_per_s += s.accesses_per_s;
    out.bytes_per_s += s.bytes_per_s;
  }
  return out;
}

op_result<std::vector<shard_physics>> live_physics::shards() const {
  if (auto status = needs(physics_tier::t2, "the shards' mass"); !status.ok()) return status;
  std::vector<shard_physics> out;
  std::shared_lock hold{mutex_};
  for (const auto& s : state_.masses(now_ms()))
    out.push_back({shard_id{static_cast<std::uint32_t>(out.size())}, s.accesses_per_s,
                   s.bytes_per_s, s.mass});
  return out;
}

op_result<rebalance_report> live_physics::plan(physics::rebalance_strategy strategy) const {
  if (auto status = needs(physics_tier::t2, "what a rebalancing would do"); !status.ok())
    return status;
  const physics::demon_options options{.strategy = strategy};
  const auto now = now_ms();
  physics::named_plan found;
  physics::load_balance balance;
  {
    std::shared_lock hold{mutex_};
    found = state_.plan(options, now);
    balance = state_.entropy(now);
  }
  rebalance_report out;
  for (auto& m : found.moves)
    out.moves.push_back({std::move(m.key), m.from, m.to, m.accesses_per_s, m.bytes});
  const auto& p = found.predicted;
  out.evenness_before = p.evenness_before;
  out.evenness_after = p.evenness_after;
  out.max_over_mean_before = p.max_over_mean_before;
  out.max_over_mean_after = p.max_over_mean_after;
  out.bytes = p.bytes;
  out.relief = p.relief;
  out.called_for =
      balance.evenness < options.act_evenness || balance.max_over_mean > options.act_max_over_mean;
  out.worth = physics::demon{options}.worth(p);
  return out;
}

/// Under mutex_.
void live_physics::report_horizon(horizon_report& out) const {
  for (const auto& p : advice_.curve())
    out.curve.push_back({p.share, p.bytes, p.miss_ratio, p.keys});
  out.keys = advice_.keys();
  out.reads = advice_.reads();
  out.bytes = advice_.store_bytes();
  const auto& fitter = advice_.fitter();
  out.small_share = fitter.settings().small_share;
  out.ghost_share = fitter.settings().ghost_share;
  out.hits_to_stay = fitter.settings().hits_to_stay;
  out.named = fitter.seen().named;
  out.applied = fitter.seen().applied;
  const auto& proof = fitter.since_applied();
  out.proof_reads = proof.accesses;
  if (proof.accesses == 0) return;
  const auto part = [&](std::uint64_t n) {
    return static_cast<double>(n) / static_cast<double>(proof.accesses);
  };
  out.miss_ratio_fitted = part(proof.misses);
  out.miss_ratio_default = part(proof.misses_of_start);
}

physics_report live_physics::report() const {
  physics_report out;
  {
    std::lock_guard hold{tier_mutex_};
    out = told_;
    out.tier = governor_.tier();
    out.wanted = governor_.wanted();
    out.stepped_down = governor_.cause();
    out.steps_down = governor_.steps_down();
    out.horizon.keys_one_in = out.tier >= physics_tier::t2 ? keys_one_in_ : 0;
  }
  std::shared_lock hold{mutex_};
  out.keys = state_.entanglement().keys().size();
  out.keys_max = state_.options().entanglement.keys_max;
  out.links = state_.declared();
  for (auto& [text, strength] : state_.rules()) out.rules.push_back({text, strength});
  report_horizon(out.horizon);
  return out;
}

std::uint64_t live_physics::now_ms() const noexcept {
  const auto& time = engine_.options().time;
  return time ? time->now_ms() : storage::system_clock{}.now_ms();
}

} // namespace warp::actors
