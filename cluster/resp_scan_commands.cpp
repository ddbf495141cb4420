// Commands on all keys, whether they name them or not.

#include "cluster/resp_io_thread.hpp"
#include "cluster/resp_text.hpp"
#include "storage/number.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <functional>
#include <random>

namespace warp::cluster {

namespace {

/// Calls visit(entry) for every key that begins with `prefix`, until it returns false.
op_status each_key(resp_view& all, std::string_view prefix,
                   const std::function<bool(const storage::scan_entry&)>& visit) {
  storage::scan_page page;
  do {
    if (auto status = all.scan(page.next_cursor, prefix, 1'000, page); !status.ok()) return status;
    for (const auto& entry : page.entries)
      if (!visit(entry)) return {};
  } while (page.next_cursor != 0);
  return {};
}

void dbsize(resp_call& c) {
  c.out.integer(static_cast<std::int64_t>(c.keys.key_count()));
}

void write_keys(resp_call& c, const std::vector<std::string>& keys) {
  c.out.array(keys.size());
  for (const auto& key : keys) c.out.bulk(key);
}

void keys(resp_call& c) {
  bool whole = false;
  const auto pattern = c.args[1];
  const auto prefix = literal_prefix(pattern, whole);
  // Several visits may see a key twice; Redis names it once.
  std::vector<std::string> found;
  const auto status = each_key(c.keys, prefix, [&](const storage::scan_entry& entry) {
    if (whole || matches_pattern(pattern, entry.key)) found.emplace_back(entry.key);
    return true;
  });
  if (!status.ok()) return c.out.error(failure_text(status.code(), c.shared.engine));
  std::ranges::sort(found);
  found.erase(std::unique(found.begin(), found.end()), found.end());
  write_keys(c, found);
}

void scan(resp_call& c) {
  const auto cursor = take_cursor(c, c.args[1]);
  if (!cursor) return;
  std::string_view pattern = "*", type;
  std::int64_t count = 10;
  for (std::size_t i = 2; i < c.args.size(); i += 2) {
    if (i + 1 == c.args.size()) return c.out.error(syntax_error);
    if (same_word(c.args[i], "COUNT")) {
      if (!take_integer(c, c.args[i + 1], count)) return;
      if (count < 1) return c.out.error(syntax_error);
    } else if (same_word(c.args[i], "MATCH")) {
      pattern = c.args[i + 1];
    } else if (same_word(c.args[i], "TYPE")) {
      type = c.args[i + 1];
    } else {
      return c.out.error(syntax_error);
    }
  }
  bool whole = false;
  const auto prefix = literal_prefix(pattern, whole);
  storage::scan_page page;
  // What does not match is looked at too, but a call is not to take long.
  const auto buckets = static_cast<std::size_t>(std::min<std::int64_t>(count, 100'000)) * 10;
  if (const auto status = c.keys.scan(reversed_bits(*cursor), prefix,
                                      static_cast<std::size_t>(count), page, buckets);
      !status.ok())
    return c.out.error(failure_text(status.code(), c.shared.engine));
  std::vector<std::string> found;
  for (const auto& entry : page.entries) {
    if (!whole && !matches_pattern(pattern, entry.key)) continue;
    if (!type.empty()) {
      c.thread.note_lookup(true);
      if (!same_word(type, entry.type == value_type::hash ? "hash" : "string")) continue;
    }
    found.emplace_back(entry.key);
  }
  c.out.array(2);
  c.out.bulk(fmt::format("{}", reversed_bits(page.next_cursor)));
  write_keys(c, found);
}

void randomkey(resp_call& c) {
  thread_local std::mt19937_64 random{std::random_device{}()};
  storage::scan_page page;
  // From anywhere to the end, and once more from the beginning.
  std::uint64_t from = random();
  for (int round = 0; round < 2; ++round) {
    page.next_cursor = from;
    do {
      if (!c.keys.scan(page.next_cursor, {}, 16, page).ok()) return c.out.null();
      if (!page.entries.empty())
        return c.out.bulk(page.entries[random() % page.entries.size()].key);
    } while (page.next_cursor != 0);
    from = 0;
  }
  c.out.null();
}

/// In a cluster: each key of the shards that this node serves, on its own.
void flush_own(resp_call& c) {
  const auto begin = c.client.sent + c.out.position();
  std::vector<operation> operations;
  std::vector<storage::op_reply> replies;
  std::vector<durable_target> waits;
  storage::value_arena arena;
  storage::scan_page page;
  do {
    if (const auto status = c.keys.scan(page.next_cursor, {}, 256, page); !status.ok())
      return c.out.error(failure_text(status.code(), c.shared.engine));
    operations.clear();
    for (const auto& entry : page.entries)
      operations.push_back({.kind = op_kind::erase,
                            .level = c.client.level,
                            .key = entry.key,
                            .value = {},
                            .request = {}});
    replies.assign(operations.size(), {});
    c.shared.engine.execute(operations, replies, arena);
    for (std::size_t i = 0; i < replies.size(); ++i) {
      const auto& reply = replies[i];
      if (reply.code != op_code::ok && reply.code != op_code::not_found)
        return c.out.error(c.thread.failure_at(reply.code, operations[i].key));
      if (reply.durable_at != 0) waits.push_back({reply.shard, reply.durable_at});
    }
    arena.clear();
    std::erase_if(waits, [&](const durable_target& t) {
      return c.shared.engine.durable(t.shard, t.lsn) == storage::durable_state::durable;
    });
  } while (page.next_cursor != 0);
  c.out.ok();
  c.thread.hold(c.client, begin, waits,
                std::chrono::steady_clock::now() + c.shared.options.durable_wait_max);
}

void flush(resp_call& c) {
  if (c.args.size() > 2 ||
      (c.args.size() == 2 && !same_word(c.args[1], "SYNC") && !same_word(c.args[1], "ASYNC")))
    return c.out.error(syntax_error);
  using enum storage::transaction::freeing;
  const auto when = c.args.size() == 2 && same_word(c.args[1], "SYNC") ? at_once : behind;
  if (c.keys.running()) {
    c.keys.clear(when);
    return c.out.ok();
  }
  if (c.shared.options.cluster != nullptr) return flush_own(c);
  const auto begin = c.client.sent + c.out.position();
  const auto code = c.keys.run({}, resp_view::scope::all_shards, c.client.level, [&] {
    c.keys.clear(when);
    return true;
  });
  if (code != op_code::ok) return c.out.error(failure_text(code, c.shared.engine));
  c.out.ok();
  c.thread.hold(c.client, begin, c.keys.waits(),
                std::chrono::steady_clock::now() + c.shared.options.durable_wait_max);
}

using namespace command_flags;

constexpr resp_command rows[] = {
    {.name = "dbsize",
     .arity = 1,
     .flags = readonly | fast,
     .kind = command_kind::whole,
     .run = dbsize,
     .group = "server",
     .since = "1.0.0",
     .syntax = {},
     .summary = "Returns the number of keys in the database.",
     .note = "in a cluster: of this node's shards"},
    {.name = "flushall",
     .arity = -1,
     .flags = write | dangerous,
     .kind = command_kind::whole,
     .run = flush,
     .group = "server",
     .since = "1.0.0",
     .syntax = "[ASYNC | SYNC]",
     .summary = "Removes all keys from all databases.",
     .note = "one transaction of all shards; without SYNC the memory is given back behind it. In a "
             "cluster: the keys of this node's shards, one by one"},
    {.name = "flushdb",
     .arity = -1,
     .flags = write | dangerous,
     .kind = command_kind::whole,
     .run = flush,
     .group = "server",
     .since = "1.0.0",
     .syntax = "[ASYNC | SYNC]",
     .summary = "Removes all keys from the current database.",
     .note = "one transaction of all shards; without SYNC the memory is given back behind it. In a "
             "cluster: the keys of this node's shards, one by one"},
    {.name = "keys",
     .arity = 2,
     .flags = readonly | dangerous,
     .kind = command_kind::whole,
     .run = keys,
     .group = "generic",
     .since = "1.0.0",
     .syntax = "pattern",
     .summary = "Returns all key names that match a pattern.",
     .note = "in alphabetical order; others are served by the other threads meanwhile; in a "
             "cluster: of this node's shards"},
    {.name = "randomkey",
     .arity = 1,
     .flags = readonly,
     .kind = command_kind::whole,
     .run = randomkey,
     .group = "generic",
     .since = "1.0.0",
     .syntax = {},
     .summary = "Returns a random key name from the database.",
     .note = "in a cluster: of this node's shards"},
    {.name = "scan",
     .arity = -2,
     .flags = readonly,
     .kind = command_kind::whole,
     .run = scan,
     .group = "generic",
     .since = "2.8.0",
     .syntax = "cursor [MATCH pattern] [COUNT count] [TYPE type]",
     .summary = "Iterates over the key names in the database.",
     .note = "cursors stay valid over a restart; in a cluster: of this node's shards"},
};

} // namespace

std::optional<std::uint64_t> take_cursor(resp_call& c, std::string_view text) {
  std::uint64_t cursor = 0;
  // As C reads a number without a sign, which Redis does: one with a sign counts from the end.
  const bool negative = text.size() > 1 && text.front() == '-';
  if (negative || (text.size() > 1 && text.front() == '+')) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), cursor);
  if (error != std::errc{} || end != text.data() + text.size()) {
    c.out.error("ERR invalid cursor");
    return std::nullopt;
  }
  return negative ? 0 - cursor : cursor;
}

std::uint64_t reversed_bits(std::uint64_t bits) noexcept {
  bits = (bits >> 1 & 0x5555'5555'5555'5555u) | (bits & 0x5555'5555'5555'5555u) << 1;
  bits = (bits >> 2 & 0x3333'3333'3333'3333u) | (bits & 0x3333'3333'3333'3333u) << 2;
  bits = (bits >> 4 & 0x0f0f'0f0f'0f0f'0f0fu) | (bits & 0x0f0f'0f0f'0f0f'0f0fu) << 4;
  return __builtin_bswap64(bits);
}

std::span<const resp_command> scan_commands() {
  return rows;
}

} // namespace warp::cluster
