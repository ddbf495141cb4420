// OBJECT: what a value is made of, as Redis would have it.

#include "cluster/resp_lookup.hpp"
#include "cluster/resp_rows.hpp"
#include "storage/number.hpp"

#include <limits>

namespace warp::cluster {

namespace {

/// As Redis would have it, which looks at what a hash holds, not at what it held.
std::string_view encoding_of(const storage::hash_view& fields) {
  constexpr std::size_t listpack_entries_max = 512, listpack_value_max = 64;
  if (fields.count() > listpack_entries_max) return "hashtable";
  bool small = true;
  fields.for_each([&](std::string_view name, std::string_view value) {
    small = small && name.size() <= listpack_value_max && value.size() <= listpack_value_max;
  });
  return small ? "listpack" : "hashtable";
}

std::string_view encoding_of(std::string_view value) {
  if (value.size() <= 20 && storage::parse_number(value)) return "int";
  return value.size() <= 44 ? "embstr" : "raw";
}

/// The key args[2]; absent: null was written.
resp_view::key_view key_of(resp_call& c) {
  const auto v = look_up(c, c.args[2]);
  if (!v.present) c.out.null();
  return v;
}

/// Redis shares the objects of small numbers, and has no count of references for them.
std::int64_t references_to(const resp_view::key_view& v) {
  constexpr std::int64_t shared_below = 10'000;
  if (v.type != value_type::bytes || v.value.size() > 4) return 1;
  const auto number = storage::parse_number(v.value);
  return number && *number >= 0 && *number < shared_below ? std::numeric_limits<std::int32_t>::max()
                                                          : 1;
}

constexpr resp_subcommand object_parts[] = {
    {"ENCODING", 3,
     [](resp_call& c) {
       if (const auto v = key_of(c); v.present)
         c.out.bulk(v.type == value_type::hash ? encoding_of(v.fields) : encoding_of(v.value));
     }},
    {"REFCOUNT", 3,
     [](resp_call& c) {
       if (const auto v = key_of(c); v.present) c.out.integer(references_to(v));
     }},
    {"IDLETIME", 3,
     [](resp_call& c) {
       if (key_of(c).present) c.out.integer(0);
     }},
    {"FREQ", 3,
     [](resp_call& c) {
       if (key_of(c).present)
         c.out.error("ERR An LFU maxmemory policy is not selected, access frequency not tracked. "
                     "Please note that when switching between policies at runtime LRU and LFU "
                     "data will take some time to adjust.");
     }},
};

void object(resp_call& c) {
  constexpr std::string_view help[] = {
      "ENCODING <key>",
      "    Return the kind of internal representation used in order to store the value",
      "    associated with a <key>.",
      "FREQ <key>",
      "    Return the access frequency index of the <key>. The returned integer is",
      "    proportional to the logarithm of the recent access frequency of the key.",
      "IDLETIME <key>",
      "    Return the idle time of the <key>, that is the approximated number of",
      "    seconds elapsed since the last access to the key.",
      "REFCOUNT <key>",
      "    Return the number of references of the value associated with the specified",
      "    <key>."};
  run_subcommand(c, help);
}

using namespace command_flags;

constexpr resp_command rows[] = {
    {.name = "object",
     .arity = -2,
     .flags = readonly,
     .first_key = 2,
     .last_key = 2,
     .key_step = 1,
     .kind = command_kind::data,
     .run = object,
     .parts = object_parts,
     .group = "generic",
     .since = "2.2.3",
     .syntax = "ENCODING | FREQ | IDLETIME | REFCOUNT key",
     .summary = "A container for object introspection commands.",
     .note = "the encoding follows from the value alone; idle times are not kept"},
};

} // namespace

std::span<const resp_command> object_commands() {
  return rows;
}

} // namespace warp::cluster
