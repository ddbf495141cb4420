// COMMAND: what there is, from the registry.

#include "cluster/resp_info.hpp"
#include "cluster/resp_io_thread.hpp"
#include "cluster/resp_text.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <vector>

namespace warp::cluster {

namespace {

std::vector<const resp_command*> present_commands() {
  std::vector<const resp_command*> all;
  for (const auto& command : all_commands())
    if (command.kind != command_kind::missing) all.push_back(&command);
  return all;
}

std::vector<std::string_view> flag_names(const resp_command& command) {
  using namespace command_flags;
  constexpr std::pair<std::uint32_t, std::string_view> names[] = {
      {write, "write"},          {readonly, "readonly"}, {denyoom, "denyoom"},
      {admin, "admin"},          {pubsub, "pubsub"},     {noscript, "noscript"},
      {loading, "loading"},      {stale, "stale"},       {fast, "fast"},
      {no_auth, "no_auth"},      {blocking, "blocking"}, {no_multi, "no_multi"},
      {allow_busy, "allow_busy"}};
  std::vector<std::string_view> out;
  for (const auto& [flag, name] : names)
    if (command.flags & flag) out.push_back(name);
  return out;
}

void describe(resp_call& c, const resp_command* command) {
  if (command == nullptr) return c.out.null();
  c.out.array(10);
  c.out.bulk(command->name);
  c.out.integer(command->arity);
  const auto flags = flag_names(*command);
  c.out.set(flags.size());
  for (const auto name : flags) c.out.simple(name);
  c.out.integer(command->first_key);
  c.out.integer(command->last_key);
  c.out.integer(command->key_step);
  std::vector<std::string> categories;
  for (const auto* category :
       {"keyspace", "read", "write", "hash", "string", "pubsub", "admin", "fast", "slow",
        "blocking", "dangerous", "connection", "transaction"})
    if (is_in_category(*command, category)) categories.push_back(fmt::format("@{}", category));
  c.out.set(categories.size());
  for (const auto& category : categories) c.out.simple(category);
  c.out.array(0); // tips
  c.out.array(0); // key specifications: first, last and step say it
  c.out.array(0); // subcommands
}

/// The commands that args[2] and what follows name; without them all.
std::vector<const resp_command*> named(resp_call& c) {
  if (c.args.size() == 2) return present_commands();
  std::vector<const resp_command*> out;
  for (const auto name : c.args.subspan(2)) out.push_back(find_command(name));
  return out;
}

void docs(resp_call& c) {
  auto all = named(c);
  std::erase(all, nullptr);
  c.out.map(all.size());
  for (const auto* command : all) {
    c.out.bulk(command->name);
    c.out.map(command->syntax.empty() ? 3 : 4);
    for (const auto& [name, text] : {std::pair{"summary", command->summary},
                                     {"since", command->since},
                                     {"group", command->group}}) {
      c.out.bulk(name);
      c.out.bulk(text);
    }
    if (command->syntax.empty()) continue;
    // One argument with the whole syntax as its name: what redis-cli shows as a hint.
    c.out.bulk("arguments");
    c.out.array(1);
    c.out.map(3);
    for (const auto& [name, text] :
         {std::pair<std::string_view, std::string_view>{"name", command->syntax},
          {"display_text", command->syntax},
          {"type", "string"}}) {
      c.out.bulk(name);
      c.out.bulk(text);
    }
  }
}

void getkeys(resp_call& c) {
  const auto args = c.args.subspan(2);
  const auto* command = find_command(args[0]);
  if (command == nullptr) return c.out.error("ERR Invalid command specified");
  if (command->first_key == 0) return c.out.error("ERR The command has no key arguments");
  if (!arity_fits(*command, args.size()))
    return c.out.error("ERR Invalid number of arguments specified for command");
  std::vector<std::string_view> keys;
  add_keys_of(*command, args, keys);
  c.out.array(keys.size());
  for (const auto key : keys) c.out.bulk(key);
}

void list(resp_call& c) {
  auto all = present_commands();
  if (c.args.size() == 5 && same_word(c.args[2], "FILTERBY")) {
    if (same_word(c.args[3], "PATTERN"))
      std::erase_if(all, [&](const auto* x) { return !matches_pattern(c.args[4], x->name); });
    else if (same_word(c.args[3], "ACLCAT"))
      std::erase_if(all, [&](const auto* x) { return !is_in_category(*x, c.args[4]); });
    else if (same_word(c.args[3], "MODULE"))
      all.clear();
    else
      return c.out.error(syntax_error);
  } else if (c.args.size() != 2) {
    return c.out.error(syntax_error);
  }
  c.out.array(all.size());
  for (const auto* command : all) c.out.bulk(command->name);
}

void describe_all(resp_call& c, const std::vector<const resp_command*>& all) {
  c.out.array(all.size());
  for (const auto* command : all) describe(c, command);
}

constexpr resp_subcommand parts[] = {
    {"COUNT", 2,
     [](resp_call& c) { c.out.integer(static_cast<std::int64_t>(present_commands().size())); }},
    {"INFO", -2, [](resp_call& c) { describe_all(c, named(c)); }},
    {"DOCS", -2, docs},
    {"LIST", -2, list},
    {"GETKEYS", -4, getkeys},
};

void command(resp_call& c) {
  if (c.args.size() == 1) return describe_all(c, present_commands());
  constexpr std::string_view help[] = {
      "(no subcommand)",
      "    Return details about all commands.",
      "COUNT",
      "    Return the total number of commands in this server.",
      "LIST",
      "    Return a list of all commands in this server.",
      "INFO [<command-name> ...]",
      "    Return details about multiple commands.",
      "    If no command names are given, documentation details for all",
      "    commands are returned.",
      "DOCS [<command-name> ...]",
      "    Return documentation details about multiple commands.",
      "    If no command names are given, documentation details for all",
      "    commands are returned.",
      "GETKEYS <full-command>",
      "    Return the keys from a full command."};
  run_subcommand(c, help);
}

using namespace command_flags;

constexpr resp_command rows[] = {
    {.name = "command",
     .arity = -1,
     .flags = loading | stale,
     .run = command,
     .parts = parts,
     .group = "server",
     .since = "2.8.13",
     .syntax = "[subcommand [argument ...]]",
     .summary = "Returns detailed information about all commands.",
     .note = "GETKEYSANDFLAGS, subcommands and key specifications are left out; DOCS gives the "
             "syntax as one argument"},
};

} // namespace

std::span<const resp_command> introspection_commands() {
  return rows;
}

} // namespace warp::cluster
