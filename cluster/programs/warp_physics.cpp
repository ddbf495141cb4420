#include "cluster/ndjson.hpp"
#include "cluster/programs/tool.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace warp::programs {

namespace {

// -- which keys belong together ------------------------------------------------------------------

struct quantum_words {
  std::string key;
  quantum_options wanted;
};

std::string_view state_of(const quantum_partner& p) {
  if (!p.present) return "absent";
  return p.type == value_type::hash ? "hash" : "present";
}
std::string json_value(value_type type, std::string_view value) {
  return type == value_type::hash ? json_fields(value) : json_bytes("value", value);
}
std::string printable_value(value_type type, std::string_view value) {
  return type == value_type::hash ? printable_fields(value) : printable(value);
}
std::string_view origin_of(const quantum_partner& p) {
  return p.declared ? "declared" : "learned";
}

void show_json(const quantum_words& w, const quantum_answer& a) {
  fmt::print("{{{}, \"present\": {}", json_bytes("key", w.key), a.present);
  if (a.present)
    fmt::print(", {}, \"version\": {}, \"expires_at_ms\": {}", json_value(a.type, a.value),
               a.version, a.expires_at_ms);
  fmt::print(", \"partners\": [");
  for (const auto& p : a.partners) {
    fmt::print("{}\n  {{{}, \"strength\": {:.6f}, \"origin\": \"{}\", \"present\": {}",
               &p == a.partners.data() ? "" : ",", json_bytes("key", p.key), p.strength,
               origin_of(p), p.present);
    if (p.present && !p.value_omitted) fmt::print(", {}", json_value(p.type, p.value));
    fmt::print("}}");
  }
  fmt::print("{}]}}\n", a.partners.empty() ? "" : "\n");
}

void quantum_get(tool& t, const quantum_words& w) {
  const auto c = t.connect();
  if (!c) return;
  const auto a = c->quantum_get(w.key, w.wanted);
  if (!t.check(a.status(), "qget " + w.key)) return;
  if (!a->present && a->partners.empty() && !t.json)
    return t.fail({op_code::not_found, "it is not there, and nothing is known to belong to it"},
                  "qget " + w.key);
  // Scripts that ask for a key that is not there learn so by the code, and its partners all the
  // same.
  if (!a->present) t.exit = tool_exit::absent;
  if (t.json) return show_json(w, *a);
  fmt::print("{}\n", a->present ? printable_value(a->type, a->value) : "(absent)");
  if (a->partners.empty()) {
    fmt::print("no partners of strength {} or more are known\n", w.wanted.strength_min);
    return;
  }
  fmt::print("{:>8}  {:<8}  {:<7}  {}\n", "strength", "origin", "state", "partner");
  for (const auto& p : a->partners) {
    fmt::print("{:>8.3f}  {:<8}  {:<7}  {}", p.strength, origin_of(p), state_of(p),
               printable(p.key));
    if (p.present && !p.value_omitted) fmt::print(" = {}", printable_value(p.type, p.value));
    fmt::print("\n");
  }
}

void entangle(tool& t, const std::string& key, const std::vector<std::string>& partners,
              double strength) {
  const auto c = t.connect();
  if (!c) return;
  if (!t.check(c->entangle(key, partners, strength), "entangle " + key)) return;
  if (t.json)
    fmt::print("{{{}, \"partners\": {}, \"strength\": {:.6f}}}\n", json_bytes("key", key),
               partners.size(), strength);
  else if (strength == 0)
    fmt::print("{} links of {} taken back\n", partners.size(), printable(key));
  else
    fmt::print("{} keys belong to {} with strength {:.2f}; `warp qget` shows it\n", partners.size(),
               printable(key), strength);
}

// -- how the load lies on the shards -------------------------------------------------------------

void show_json(std::string_view name, const load_evenness& e) {
  fmt::print("\"{}\": {{\"entropy_bits\": {:.6f}, \"evenness\": {:.6f}, \"divergence_bits\": "
             "{:.6f}, \"max_over_mean\": {:.6f}}}",
             name, e.entropy_bits, e.evenness, e.divergence_bits, e.max_over_mean);
}

void show(std::string_view name, const load_evenness& e, double bits_max) {
  fmt::print("{:<9}  {:>6.3f} of {:.3f}  {:>8.4f}  {:>10.4f}  {:>8.3f}\n", name, e.entropy_bits,
             bits_max, e.evenness, e.divergence_bits, e.max_over_mean);
}

void entropy(tool& t) {
  const auto c = t.connect();
  if (!c) return;
  const auto e = c->admin().entropy();
  if (!t.check(e.status(), "entropy")) return;
  if (t.json) {
    fmt::print("{{\"shards\": {}, \"entropy_bits_max\": {:.6f}, \"accesses_per_s\": {:.3f}, "
               "\"bytes_per_s\": {:.1f}, ",
               e->shards, e->entropy_bits_max, e->accesses_per_s, e->bytes_per_s);
    show_json("accesses", e->accesses);
    fmt::print(", ");
    show_json("bytes", e->bytes);
    fmt::print("}}\n");
    return;
  }
  fmt::print("{} shards, {:.1f} accesses/s, {}/s (half-life 300 s)\n", e->shards, e->accesses_per_s,
             readable_bytes(static_cast<std::uint64_t>(e->bytes_per_s)));
  fmt::print("{:<9}  {:>15}  {:>8}  {:>10}  {:>8}\n", "load", "entropy, bits", "evenness",
             "divergence", "max/mean");
  show("accesses", e->accesses, e->entropy_bits_max);
  show("bytes", e->bytes, e->entropy_bits_max);
}

void show_json(const rebalance_report& r) {
  fmt::print("{{\"dry_run\": true, \"called_for\": {}, \"worth\": {}, \"bytes\": {:.0f}, "
             "\"relief\": {:.3f}, \"evenness\": {{\"before\": {:.6f}, \"after\": {:.6f}}}, "
             "\"max_over_mean\": {{\"before\": {:.6f}, \"after\": {:.6f}}}, \"moves\": [",
             r.called_for, r.worth, r.bytes, r.relief, r.evenness_before, r.evenness_after,
             r.max_over_mean_before, r.max_over_mean_after);
  for (const auto& m : r.moves)
    fmt::print("{}\n  {{{}, \"from\": {}, \"to\": {}, \"accesses_per_s\": {:.3f}, \"bytes\": "
               "{:.0f}}}",
               &m == r.moves.data() ? "" : ",", json_bytes("key", m.key), m.from, m.to,
               m.accesses_per_s, m.bytes);
  fmt::print("{}]}}\n", r.moves.empty() ? "" : "\n");
}

void rebalance(tool& t, bool dry_run, const std::string& strategy) {
  if (!dry_run)
    return t.misuse("rebalance: only --dry-run, which shows the plan: the shards of one node share "
                    "its cores and memory, so that nothing is gained by moving keys between them");
  const auto c = t.connect();
  if (!c) return;
  const unsigned number = strategy == "aggressive" ? 2 : strategy == "moderate" ? 1 : 0;
  const auto r = c->admin().plan_rebalance(number);
  if (!t.check(r.status(), "rebalance")) return;
  if (t.json) return show_json(*r);
  fmt::print("the load {} for it; max/mean {:.3f} -> {:.3f}, evenness {:.4f} -> {:.4f}\n",
             r->called_for ? "calls" : "does not call", r->max_over_mean_before,
             r->max_over_mean_after, r->evenness_before, r->evenness_after);
  if (r->moves.empty()) {
    fmt::print("nothing would move\n");
    return;
  }
  fmt::print("{} moves of {}, {}\n", r->moves.size(),
             readable_bytes(static_cast<std::uint64_t>(r->bytes)),
             r->worth ? "worth their cost" : "not worth their cost");
  fmt::print("{:>5}  {:>5}  {:>12}  {:>9}  {}\n", "from", "to", "accesses/s", "bytes", "key");
  for (const auto& m : r->moves)
    fmt::print("{:>5}  {:>5}  {:>12.1f}  {:>9}  {}\n", m.from, m.to, m.accesses_per_s,
               readable_bytes(static_cast<std::uint64_t>(m.bytes)), printable(m.key));
}

// -- the observation itself ----------------------------------------------------------------------

std::string json_text(std::string_view text) {
  std::string out;
  cluster::append_json_string(out, text);
  return out;
}

void show_json(const physics_report& r) {
  fmt::print(
      "{{\"tier\": \"{}\", \"ordered\": \"{}\", \"stepped_down\": {}, \"steps_down\": {}, "
      "\"samples\": {}, \"dropped\": {}, \"cpu_seconds\": {:.6f}, \"cpu_share\": {:.6f}, "
      "\"keys\": {}, \"keys_max\": {}, \"declared\": {}, \"saves\": {}, \"saved_at_ms\": {}, "
      "\"saved_bytes\": {}, \"found_at_start\": {}, \"rules\": [",
      to_string(r.tier), to_string(r.wanted), json_text(r.stepped_down), r.steps_down, r.samples,
      r.dropped, r.cpu_s, r.cpu_share, r.keys, r.keys_max, r.links, r.saves, r.saved_at_ms,
      r.saved_bytes, json_text(r.loaded));
  for (const auto& rule : r.rules)
    fmt::print("{}{{\"rule\": {}, \"strength\": {:.6f}}}", &rule == r.rules.data() ? "" : ", ",
               json_text(rule.text), rule.strength);
  fmt::print("]}}\n");
}

void show_json(const horizon_report& h) {
  fmt::print("{{\"keys_one_in\": {}, \"keys\": {}, \"reads\": {:.1f}, \"bytes\": {}, \"curve\": [",
             h.keys_one_in, h.keys, h.reads, h.bytes);
  for (const auto& p : h.curve)
    fmt::print("{}{{\"share\": {}, \"bytes\": {}, \"miss_ratio\": {:.6f}, \"keys\": {}}}",
               &p == h.curve.data() ? "" : ", ", p.share, p.bytes, p.miss_ratio, p.keys);
  fmt::print("], \"settings\": {{\"small_share\": {}, \"ghost_share\": {}, \"hits_to_stay\": {}}}, "
             "\"named\": {}, \"applied\": {}, \"proof\": {{\"reads\": {}, \"miss_ratio\": {:.6f}, "
             "\"miss_ratio_of_defaults\": {:.6f}}}, ",
             h.small_share, h.ghost_share, h.hits_to_stay, h.named, h.applied, h.proof_reads,
             h.miss_ratio_fitted, h.miss_ratio_default);
  const auto& s = h.search;
  fmt::print(
      "\"search\": {{\"searches\": {}, \"settings\": {}, \"trouble\": {}, \"by_device\": {}, "
      "\"small_share\": {}, \"ghost_share\": {}, \"hits_to_stay\": {}, \"accesses\": {}, "
      "\"miss_ratio\": {:.6f}, \"miss_ratio_of_defaults\": {:.6f}}}}}\n",
      s.searches, s.settings, json_text(s.trouble), s.by_device, s.small_share, s.ghost_share,
      s.hits_to_stay, s.accesses, s.miss_ratio, s.miss_ratio_default);
}

/// Below so many watched keys in it a point of the curve is a guess.
constexpr std::uint64_t keys_to_believe = 16;

void show_search(const horizon_search_report& s) {
  if (!s.trouble.empty()) fmt::print("search    came to nothing: {}\n", printable(s.trouble));
  if (s.searches == 0) return;
  fmt::print(
      "search    of {} settings, by {}: small queue {:.0f} %, ghosts {:.0f} %, {} to stay; on "
      "{} accesses it had not seen {:.2f} % missed, {:.2f} % with the defaults\n",
      s.settings, s.by_device ? "a device" : "the CPU", 100 * s.small_share, 100 * s.ghost_share,
      s.hits_to_stay == 1 ? "1 hit" : fmt::format("{} hits", s.hits_to_stay),
      with_commas(s.accesses), 100 * s.miss_ratio, 100 * s.miss_ratio_default);
}

void horizon(tool& t) {
  const auto c = t.connect();
  if (!c) return;
  const auto r = c->admin().physics();
  if (!t.check(r.status(), "physics horizon")) return;
  const auto& h = r->horizon;
  if (t.json) return show_json(h);
  fmt::print("advice: everything is in memory, and nothing is demoted by this\n");
  if (h.keys_one_in == 0) {
    fmt::print("no key is watched: physics tier {} is in force, and it takes T2\n",
               to_string(r->tier));
    return;
  }
  fmt::print("1 key in {} is watched, {} were seen; {} in all; {} reads (half-life 300 s)\n",
             with_commas(h.keys_one_in), with_commas(h.keys), readable_bytes(h.bytes),
             with_commas(static_cast<std::uint64_t>(h.reads)));
  if (h.curve.empty())
    fmt::print("too few keys were read again so far to say what would miss\n");
  else
    fmt::print("{:>5}  {:>10}  {:>11}\n", "kept", "bytes", "would miss");
  for (const auto& p : h.curve)
    fmt::print("{:>3.0f} %  {:>10}  {:>9.2f} %{}\n", 100 * p.share, readable_bytes(p.bytes),
               100 * p.miss_ratio,
               p.keys < keys_to_believe ? fmt::format("  a guess, from {} keys", p.keys) : "");
  fmt::print("settings  small queue {:.0f} %, ghosts {:.0f} % of the residents, {} to stay: {}\n",
             100 * h.small_share, 100 * h.ghost_share,
             h.hits_to_stay == 1 ? "1 hit" : fmt::format("{} hits", h.hits_to_stay),
             h.applied == 0 ? "the defaults, as no others won on a held-out window"
                            : "fitted for 10 % kept");
  if (h.proof_reads > 0)
    fmt::print("proof     on {} sampled reads since then {:.2f} % missed, {:.2f} % with the "
               "defaults\n",
               with_commas(h.proof_reads), 100 * h.miss_ratio_fitted, 100 * h.miss_ratio_default);
  show_search(h.search);
}

void status(tool& t) {
  const auto c = t.connect();
  if (!c) return;
  const auto r = c->admin().physics();
  if (!t.check(r.status(), "physics")) return;
  if (t.json) return show_json(*r);
  fmt::print("tier      {}", to_string(r->tier));
  if (r->tier != r->wanted)
    fmt::print(" ({} was ordered; down because {})", to_string(r->wanted), r->stepped_down);
  fmt::print("\nsamples   {}, {} dropped\n", with_commas(r->samples), with_commas(r->dropped));
  fmt::print("cost      {:.3f} s of processor time, lately {:.2f} % of all\n", r->cpu_s,
             100 * r->cpu_share);
  fmt::print("knows     {} of at most {} keys, {} declared partners\n", with_commas(r->keys),
             with_commas(r->keys_max), with_commas(r->links));
  fmt::print("saved     {} times, {}; the start found: {}\n", with_commas(r->saves),
             readable_bytes(r->saved_bytes), printable(r->loaded));
  for (const auto& rule : r->rules)
    fmt::print("rule      {:.2f}  {}\n", rule.strength, printable(rule.text));
}

void set_tier(tool& t, const std::string& name) {
  const auto tier = parse_physics_tier(name);
  if (!tier) return t.misuse(fmt::format("physics tier {}: they are T0, T1, T2 and T3", name));
  const auto c = t.connect();
  if (!c) return;
  if (!t.check(c->admin().set_physics_tier(*tier), "physics tier " + name)) return;
  if (t.json)
    fmt::print("{{\"tier\": \"{}\"}}\n", to_string(*tier));
  else
    fmt::print("tier {} until the next start (physics.tier says with which one that begins)\n",
               to_string(*tier));
}

void set_rule(tool& t, const std::string& text, double strength, bool remove) {
  const auto c = t.connect();
  if (!c) return;
  if (!t.check(c->admin().set_physics_rule(text, remove ? 0 : strength), "physics rule")) return;
  if (t.json)
    fmt::print("{{\"rule\": {}, \"strength\": {:.6f}}}\n", json_text(text), remove ? 0 : strength);
  else
    fmt::print("{} {}\n", remove ? "taken back:" : "in force:", printable(text));
}

void add_physics_command(CLI::App& app, tool& t) {
  auto* p =
      app.add_subcommand("physics", "What the universe observes of itself, and what that costs");
  p->group("Operation");
  p->fallthrough();
  p->require_subcommand(0, 1);
  p->add_subcommand("status", "The tier in force, samples, cost, rules; without a word too");
  auto* beyond = p->add_subcommand(
      "horizon", "Which part of the reads would miss if less were kept in memory: advice");
  beyond->fallthrough();
  auto* tier = p->add_subcommand(
      "tier",
      "Observe more or less, at once: T0 nothing, T1 which keys belong together, T2 how the "
      "load lies on the shards and what memory is worth too, T3 a search for the settings that "
      "would serve memory best too, on a GPU where there is one");
  const auto name = std::make_shared<std::string>();
  tier->add_option("tier", *name, "T0, T1, T2 or T3")->required();
  tier->fallthrough();
  auto* rule = p->add_subcommand("rule", "Keys that belong together by their names");
  const auto text = std::make_shared<std::string>();
  const auto strength = std::make_shared<double>(0.8);
  const auto remove = std::make_shared<bool>(false);
  rule->add_option("rule", *text, "As in \"user:* -> profile:*, settings:*\"")->required();
  rule->add_option("--strength", *strength, "In (0, 1]")->check(CLI::Range(0.0, 1.0));
  rule->add_flag("--remove", *remove, "Take the rule back");
  rule->fallthrough();
  p->callback([&t, beyond, tier, rule, name, text, strength, remove] {
    if (tier->parsed())
      set_tier(t, *name);
    else if (rule->parsed())
      set_rule(t, *text, *strength, *remove);
    else if (beyond->parsed())
      horizon(t);
    else
      status(t);
  });
}

} // namespace

void add_physics_commands(CLI::App& app, tool& t) {
  auto* q = app.add_subcommand("qget", "A key with the keys that belong to it");
  q->group("Keys");
  const auto w = std::make_shared<quantum_words>();
  q->add_option("key", w->key, "Key")->required();
  q->add_option("--max", w->wanted.max, "Partners at most")
      ->check(CLI::Range(std::size_t{0}, quantum_partners_max))
      ->capture_default_str();
  q->add_option("--min-strength", w->wanted.strength_min, "Of partners, 0 to 1")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  q->add_flag("--values", w->wanted.values, "Values of the partners too");
  q->callback([&t, w] { quantum_get(t, *w); });

  auto* e = app.add_subcommand("entangle", "Declare that keys belong to a key");
  e->group("Keys");
  const auto key = std::make_shared<std::string>();
  const auto partners = std::make_shared<std::vector<std::string>>();
  const auto strength = std::make_shared<double>(1);
  e->add_option("key", *key, "Key")->required();
  e->add_option("partner", *partners, "Keys that belong to it")->required();
  e->add_option("--strength", *strength, "0 to 1; 0 takes it back")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  e->callback([&t, key, partners, strength] { entangle(t, *key, *partners, *strength); });

  auto* h = app.add_subcommand("entropy", "How evenly the load lies on the shards");
  h->group("Operation");
  h->callback([&t] { entropy(t); });

  auto* r = app.add_subcommand("rebalance", "What a rebalancing between the shards would move");
  r->group("Operation");
  const auto dry_run = std::make_shared<bool>(false);
  const auto strategy = std::make_shared<std::string>("minimal");
  r->add_flag("--dry-run", *dry_run, "Show the plan; nothing is moved");
  r->add_option("--strategy", *strategy, "How far it would go: to max/mean 1.1, 1.05 or 1.02")
      ->check(CLI::IsMember({"minimal", "moderate", "aggressive"}))
      ->capture_default_str();
  r->callback([&t, dry_run, strategy] { rebalance(t, *dry_run, *strategy); });

  add_physics_command(app, t);
}

} // namespace warp::programs
