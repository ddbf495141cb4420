#include "cluster/resp_transaction.hpp"

#include "cluster/resp_io_thread.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace warp::cluster {

namespace {

resp_transaction& transaction_of(resp_connection& client) {
  if (!client.transaction) client.transaction = std::make_unique<resp_transaction>();
  return *client.transaction;
}

void forget(resp_connection& client) {
  client.transaction.reset();
  client.card->queued = -1;
  client.card->watched = 0;
}

/// Carries out a transaction: what works on keys in one transaction of the engine, the rest behind
/// it.
class execution {
public:
  execution(resp_call& c, const resp_transaction& t) : c_(c), t_(t) {
    for (const auto& q : t.commands) {
      const auto& args = arguments_.emplace_back(q.arguments());
      const auto before = keys_.size();
      if (q.command->kind == command_kind::data) add_keys_of(*q.command, args, keys_);
      // One without a key has nothing to do with keys (MEMORY DOCTOR, OBJECT HELP).
      on_keys_.push_back(q.command->kind == command_kind::whole || keys_.size() != before);
      whole_ |= q.command->kind == command_kind::whole;
      if (q.command->stores) c.keys.prepare(std::span{args}.subspan(1));
    }
    for (const auto& w : t.keys) keys_.push_back(w.key());
  }

  void run() {
    // In a cluster: of one slot, and of this node still.
    if (const auto error = c_.thread.misplaced_keys(keys_); !error.empty())
      return c_.out.error(error);
    const auto which = whole_ ? resp_view::scope::all_shards : resp_view::scope::keys;
    const auto counted = c_.thread.counted_lookups();
    finish(c_.keys.run(keys_, which, c_.client.level, [this, &counted] {
      c_.thread.count_again_from(counted);
      return run_commands();
    }));
  }

private:
  /// Another node serves the keys since they were looked at.
  [[nodiscard]] bool moved(op_code code) const {
    return c_.shared.options.cluster != nullptr && !keys_.empty() &&
           (code == op_code::unavailable || code == op_code::wrong_shard);
  }

  bool run_commands() {
    replies_.truncate(0);
    ends_.clear();
    aborted_ = std::ranges::any_of(
        t_.keys, [&](const storage::key_mark& mark) { return c_.keys.has_changed(mark); });
    if (aborted_) return false;
    for (std::size_t i = 0; i < t_.commands.size(); ++i) {
      if (on_keys_[i]) run_one(i);
      ends_.push_back(replies_.size());
    }
    return true;
  }

  void run_one(std::size_t i) {
    resp_writer out{replies_, c_.out.protocol()};
    const auto begin = replies_.size();
    const auto& command = *t_.commands[i].command;
    resp_call call{c_.thread, c_.shared, c_.client, command, arguments_[i], out, c_.keys};
    run_typed(call);
    if (replies_.size() > begin && replies_.view()[begin] == '-') bump(c_.thread.counts().errors);
  }

  void finish(op_code code) {
    auto& client = c_.client;
    auto& counts = c_.thread.counts();
    if (moved(code)) return c_.out.error(c_.thread.failure_at(code, keys_.front()));
    // Whoever is told EXECABORT believes that nothing was done.
    if (code == op_code::outcome_unknown) return c_.out.error(failure_text(code, c_.shared.engine));
    if (code != op_code::ok)
      return c_.out.error(fmt::format("EXECABORT Transaction discarded because of: {}",
                                      failure_text(code, c_.shared.engine)));
    const auto begin = client.sent + c_.out.position();
    if (aborted_) {
      bump(counts.transactions_aborted);
      c_.out.null_array();
    } else {
      bump(counts.transactions);
      c_.out.array(t_.commands.size());
      client.in_exec = true;
      for (std::size_t i = 0, from = 0; i < t_.commands.size(); from = ends_[i++]) {
        const auto& command = *t_.commands[i].command;
        if (!on_keys_[i]) {
          resp_call call{c_.thread, c_.shared, client, command, arguments_[i], c_.out, c_.keys};
          command.run(call);
        } else {
          c_.out.raw(replies_.view().substr(from, ends_[i] - from));
        }
      }
      client.in_exec = false;
    }
    c_.thread.hold(client, begin, c_.keys.waits(),
                   std::chrono::steady_clock::now() + c_.shared.options.durable_wait_max);
  }

  resp_call& c_;
  const resp_transaction& t_;
  std::vector<std::vector<std::string_view>> arguments_;
  resp_buffer replies_;           // of the commands on keys
  std::vector<std::size_t> ends_; // of each command's reply in it
  std::vector<std::string_view> keys_;
  std::vector<bool> on_keys_; // by command: does it run with the keys?
  bool whole_ = false, aborted_ = false;
};

void multi(resp_call& c) {
  auto& t = transaction_of(c.client);
  if (t.open) return c.out.error("ERR MULTI calls can not be nested");
  t.open = true;
  c.client.card->queued = 0;
  c.out.ok();
}

void discard(resp_call& c) {
  if (!c.client.in_multi()) return c.out.error("ERR DISCARD without MULTI");
  forget(c.client);
  c.out.ok();
}

void exec(resp_call& c) {
  if (!c.client.in_multi()) return c.out.error("ERR EXEC without MULTI");
  const auto t = std::move(c.client.transaction);
  forget(c.client);
  if (t->refused) return c.out.error("EXECABORT Transaction discarded because of previous errors.");
  execution{c, *t}.run();
}

void watch(resp_call& c) {
  if (c.client.in_multi()) return c.out.error("ERR WATCH inside MULTI is not allowed");
  auto& t = transaction_of(c.client);
  for (const auto key : c.args.subspan(1)) {
    if (key.size() < key_size_min || key.size() > key_size_max)
      return c.out.error(failure_text(op_code::invalid_argument, c.shared.engine));
    if (std::ranges::find(t.keys, key, &storage::key_mark::key) != t.keys.end()) continue;
    auto mark = c.shared.engine.mark(key);
    if (!mark) return c.out.error(c.thread.failure_at(mark.status().code(), key));
    t.keys.push_back(std::move(*mark));
  }
  c.client.card->watched = static_cast<std::uint32_t>(t.keys.size());
  c.out.ok();
}

void unwatch(resp_call& c) {
  if (c.client.transaction && !c.client.in_multi()) forget(c.client);
  c.out.ok();
}

using namespace command_flags;
using enum command_kind;

constexpr std::uint32_t flags = noscript | loading | stale | fast | allow_busy;

constexpr resp_command rows[] = {
    {.name = "discard",
     .arity = 1,
     .flags = flags,
     .kind = control,
     .run = discard,
     .group = "transactions",
     .since = "2.0.0",
     .syntax = {},
     .summary = "Discards a transaction.",
     .note = {}},
    {.name = "exec",
     .arity = 1,
     .flags = noscript | loading | stale | allow_busy,
     .kind = control,
     .run = exec,
     .group = "transactions",
     .since = "1.2.0",
     .syntax = {},
     .summary = "Executes all commands in a transaction.",
     .note =
         "what reads or writes all keys (FLUSHALL, KEYS, ...) makes it lock all of them; PUBLISH "
         "and what else does not work on keys comes behind the rest"},
    {.name = "multi",
     .arity = 1,
     .flags = flags,
     .kind = control,
     .run = multi,
     .group = "transactions",
     .since = "1.2.0",
     .syntax = {},
     .summary = "Starts a transaction.",
     .note = {}},
    {.name = "unwatch",
     .arity = 1,
     .flags = flags,
     .run = unwatch,
     .group = "transactions",
     .since = "2.2.0",
     .syntax = {},
     .summary = "Forgets about watched keys of a transaction.",
     .note = {}},
    {.name = "watch",
     .arity = -2,
     .flags = flags,
     .first_key = 1,
     .last_key = -1,
     .key_step = 1,
     .kind = control,
     .run = watch,
     .group = "transactions",
     .since = "2.2.0",
     .syntax = "key [key ...]",
     .summary = "Monitors changes to keys to determine the execution of a transaction.",
     .note = {}},
};

} // namespace

std::vector<std::string_view> resp_transaction::queued::arguments() const {
  std::vector<std::string_view> all;
  all.reserve(ends.size());
  std::uint32_t from = 0;
  for (const auto end : ends) {
    all.push_back(std::string_view{bytes}.substr(from, end - from));
    from = end;
  }
  return all;
}

void resp_transaction::add(const resp_command& command, resp_arguments args) {
  auto& q = commands.emplace_back(queued{&command, {}, {}});
  for (const auto argument : args) {
    q.bytes += argument;
    q.ends.push_back(static_cast<std::uint32_t>(q.bytes.size()));
  }
  bytes += q.bytes.size() + 128;
}

std::span<const resp_command> transaction_commands() {
  return rows;
}

} // namespace warp::cluster
