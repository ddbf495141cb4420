// WARP.QGET and its like: what the universe knows of itself.

#include "cluster/physics_backend.hpp"
#include "cluster/resp_io_thread.hpp"
#include "cluster/resp_text.hpp"
#include "storage/quantum_read.hpp"

#include <fmt/format.h>
#include <string>
#include <vector>

namespace warp::cluster {

namespace {

/// Values of the partners that one answer may bring, bytes.
constexpr std::size_t values_max = 16u << 20;

physics_backend* known(resp_call& c) {
  auto* const physics = c.shared.options.physics;
  if (!physics) c.out.error("ERR this server does not observe what is asked of it");
  return physics;
}

bool ok_or_error(resp_call& c, const op_status& status) {
  if (status.ok()) return true;
  c.out.error(status.message().empty() ? failure_text(status.code(), c.shared.engine)
                                       : fmt::format("ERR {}", status.message()));
  return false;
}

/// A number in [0, 1].
bool take_strength(resp_call& c, std::string_view text, double& strength) {
  const auto number = parse_real(text);
  if (!number || *number < 0 || *number > 1) {
    c.out.error("ERR a strength is a number from 0 to 1");
    return false;
  }
  strength = static_cast<double>(*number);
  return true;
}

void write_value(resp_writer& out, value_type type, std::string_view value) {
  if (type == value_type::bytes) return out.bulk(value);
  const storage::hash_view fields{value, nullptr};
  out.map(fields.count());
  fields.for_each([&](std::string_view name, std::string_view of_it) {
    out.bulk(name);
    out.bulk(of_it);
  });
}

std::string_view state_of(const quantum_partner& p) {
  if (!p.present) return "absent";
  return p.type == value_type::hash ? "hash" : "present";
}

void quantum_get(resp_call& c) {
  auto* const physics = known(c);
  if (!physics) return;
  quantum_options wanted;
  for (std::size_t i = 2; i < c.args.size(); ++i) {
    const bool more = i + 1 < c.args.size();
    if (same_word(c.args[i], "VALUES")) {
      wanted.values = true;
    } else if (same_word(c.args[i], "MAX") && more) {
      std::int64_t max = 0;
      if (!take_integer(c, c.args[++i], max)) return;
      if (max < 0 || max > static_cast<std::int64_t>(quantum_partners_max))
        return c.out.error(fmt::format("ERR MAX is from 0 to {}", quantum_partners_max));
      wanted.max = static_cast<std::size_t>(max);
    } else if (same_word(c.args[i], "STRENGTH") && more) {
      if (!take_strength(c, c.args[++i], wanted.strength_min)) return;
    } else {
      return c.out.error(syntax_error);
    }
  }
  const auto key = c.args[1];
  const auto found = storage::quantum_read(
      c.shared.engine, key, physics->partners_of(key, wanted.max, wanted.strength_min),
      wanted.values, values_max);
  if (!ok_or_error(c, found.status())) return;
  c.out.array(2);
  if (found->present)
    write_value(c.out, found->type, found->value);
  else
    c.out.null();
  c.out.array(found->partners.size());
  for (const auto& p : found->partners) {
    c.out.map(wanted.values ? 5 : 4);
    c.out.bulk("key");
    c.out.bulk(p.key);
    c.out.bulk("strength");
    c.out.real(p.strength);
    c.out.bulk("origin");
    c.out.bulk(p.declared ? "declared" : "learned");
    c.out.bulk("state");
    c.out.bulk(state_of(p));
    if (!wanted.values) continue;
    c.out.bulk("value");
    if (p.present && !p.value_omitted)
      write_value(c.out, p.type, p.value);
    else
      c.out.null();
  }
}

void entangle(resp_call& c) {
  auto* const physics = known(c);
  if (!physics) return;
  auto words = c.args.subspan(2);
  double strength = 1;
  if (words.size() > 2 && same_word(words[words.size() - 2], "STRENGTH")) {
    if (!take_strength(c, words.back(), strength)) return;
    words = words.first(words.size() - 2);
  }
  const std::vector<std::string> partners(words.begin(), words.end());
  if (ok_or_error(c, physics->entangle(c.args[1], partners, strength))) c.out.ok();
}

void write_evenness(resp_writer& out, std::string_view name, const load_evenness& e) {
  out.bulk(name);
  out.map(4);
  out.bulk("entropy-bits");
  out.real(e.entropy_bits);
  out.bulk("evenness");
  out.real(e.evenness);
  out.bulk("divergence-bits");
  out.real(e.divergence_bits);
  out.bulk("max-over-mean");
  out.real(e.max_over_mean);
}

void entropy(resp_call& c) {
  auto* const physics = known(c);
  if (!physics) return;
  const auto found = physics->entropy();
  if (!ok_or_error(c, found.status())) return;
  c.out.map(6);
  c.out.bulk("shards");
  c.out.integer(found->shards);
  c.out.bulk("entropy-bits-max");
  c.out.real(found->entropy_bits_max);
  c.out.bulk("accesses-per-s");
  c.out.real(found->accesses_per_s);
  c.out.bulk("bytes-per-s");
  c.out.real(found->bytes_per_s);
  write_evenness(c.out, "accesses", found->accesses);
  write_evenness(c.out, "bytes", found->bytes);
}

void shards(resp_call& c) {
  auto* const physics = known(c);
  if (!physics) return;
  const auto found = physics->shards();
  if (!ok_or_error(c, found.status())) return;
  c.out.array(found->size());
  for (const auto& s : *found) {
    const auto stats = c.shared.engine.stats(s.shard);
    c.out.map(6);
    c.out.bulk("shard");
    c.out.integer(s.shard.value);
    c.out.bulk("keys");
    c.out.integer(static_cast<std::int64_t>(stats.table.keys));
    c.out.bulk("bytes");
    c.out.integer(static_cast<std::int64_t>(stats.table.key_bytes + stats.table.value_bytes));
    c.out.bulk("accesses-per-s");
    c.out.real(s.accesses_per_s);
    c.out.bulk("bytes-per-s");
    c.out.real(s.bytes_per_s);
    c.out.bulk("mass");
    c.out.real(s.mass);
  }
}

/// Groups that live away from their home shard: none, as nothing is moved while there is one node.
void wormholes(resp_call& c) {
  c.out.array(0);
}

using namespace command_flags;

constexpr std::string_view of_ours = "of WarpEngine";

constexpr resp_command rows[] = {
    {.name = "warp.entangle",
     .arity = -3,
     .flags = fast | no_multi,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .run = entangle,
     .group = "warp",
     .since = "7.0.0",
     .syntax = "key partner [partner ...] [STRENGTH strength]",
     .summary = "Declares that keys belong to a key, or takes it back (STRENGTH 0).",
     .note = of_ours},
    {.name = "warp.entropy",
     .arity = 1,
     .flags = fast | no_multi,
     .run = entropy,
     .group = "warp",
     .since = "7.0.0",
     .syntax = {},
     .summary = "How evenly the load lies on the shards.",
     .note = of_ours},
    {.name = "warp.qget",
     .arity = -2,
     .flags = readonly | fast | no_multi,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .kind = command_kind::whole,
     .run = quantum_get,
     .group = "warp",
     .since = "7.0.0",
     .syntax = "key [MAX partners] [STRENGTH minimum] [VALUES]",
     .summary = "The value of a key, and the keys that belong to it.",
     .note = "of WarpEngine; the value of a hash is a map of its fields"},
    {.name = "warp.shards",
     .arity = 1,
     .flags = fast | no_multi,
     .run = shards,
     .group = "warp",
     .since = "7.0.0",
     .syntax = {},
     .summary = "Keys, load and mass of each shard.",
     .note = of_ours},
    {.name = "warp.wormholes",
     .arity = 1,
     .flags = fast | no_multi,
     .run = wormholes,
     .group = "warp",
     .since = "7.0.0",
     .syntax = {},
     .summary = "Where groups of keys live that were moved away from their home shard.",
     .note = "of WarpEngine; one node moves nothing: empty"},
};

} // namespace

std::span<const resp_command> physics_commands() {
  return rows;
}

} // namespace warp::cluster
