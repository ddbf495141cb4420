#include "cluster/resp_transaction.hpp"

#include "cluster/resp_io_thread.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace warp::cluster {

namespace {

constexpr int attempts_among_others = 16;
constexpr int attempts_alone = 1'000;

resp_transaction& transaction_of(resp_connection& client) {
  if (!client.transaction) client.transaction = std::make_unique<resp_transaction>();
  return *client.transaction;
}

void forget(resp_connection& client) {
  client.transaction.reset();
  client.card->queued = -1;
  client.card->watched = 0;
}

/// The newest removal in the shard of a key that is absent, as far as the engine tells: it is what
/// a read at level sync would wait for.
std::optional<lsn_t> last_removal(resp_shared& shared, std::string_view key) {
  const operation op{
      .kind = op_kind::exists, .level = durability::sync, .key = key, .value = {}, .request = {}};
  storage::op_reply reply;
  storage::value_arena arena;
  shared.engine.execute({&op, 1}, {&reply, 1}, arena);
  if (reply.code != op_code::not_found) return std::nullopt;
  return reply.durable_at;
}

/// Carries out a transaction: in one part, or, when some of its commands work on all keys, in the
/// parts between them.
class execution {
public:
  execution(resp_call& c, const resp_transaction& t) : c_(c), t_(t) {
    for (const auto& q : t.commands) {
      arguments_.push_back(q.arguments());
      whole_ |= q.command->kind == command_kind::whole;
    }
  }

  void run() {
    auto code = op_code::ok;
    if (whole_)
      c_.shared.gate.alone(c_.thread.number(), [&] { code = run_parts(); });
    else
      code = run_part(0, t_.commands.size());
    finish(code);
  }

private:
  /// Has a watched key changed? They are read into the view, so that the commit notices later
  /// changes.
  bool touched() {
    for (const auto& w : t_.keys) {
      const bool present = c_.keys.look(w.key).present;
      if ((present ? c_.keys.version_met(w.key) : 0) != w.version) return true;
      if (w.version == 0 && w.removed_until && last_removal(c_.shared, w.key) != w.removed_until)
        return true;
    }
    return false;
  }

  /// What the commands only read, and in the first part what is watched, as it is at one moment.
  void read_together(std::size_t from, std::size_t to) {
    std::vector<std::string_view> keys;
    if (from == 0)
      for (const auto& w : t_.keys) keys.push_back(w.key);
    bool values = false;
    for (auto i = from; i < to; ++i) {
      const auto& command = *t_.commands[i].command;
      if (command.kind != command_kind::data || !(command.flags & command_flags::readonly))
        continue;
      const auto more = keys_of(command, arguments_[i]);
      keys.insert(keys.end(), more.begin(), more.end());
      values = true;
    }
    if (!keys.empty()) c_.keys.load(keys, values);
  }

  op_code attempt(std::size_t from, std::size_t to) {
    c_.keys.begin(c_.client.level, c_.shared.now_ms());
    read_together(from, to);
    if (from == 0 && touched()) {
      aborted_ = true;
      return op_code::ok;
    }
    for (auto i = from; i < to; ++i)
      if (t_.commands[i].command->kind == command_kind::data)
        run_one(i);
      else
        ends_.push_back(replies_.size());
    return c_.keys.commit();
  }

  op_code run_part(std::size_t from, std::size_t to) {
    const auto replied = replies_.size();
    auto code = op_code::version_mismatch;
    const auto attempts = [&](int most) {
      for (int i = 0; code == op_code::version_mismatch && i < most; ++i) {
        replies_.truncate(replied);
        ends_.resize(from);
        code = attempt(from, to);
        if (code == op_code::version_mismatch) bump(c_.thread.counts().conflicts);
      }
    };
    attempts(attempts_among_others);
    if (code == op_code::version_mismatch)
      c_.shared.gate.alone(c_.thread.number(), [&] { attempts(attempts_alone); });
    waits_.insert(waits_.end(), c_.keys.waits().begin(), c_.keys.waits().end());
    return code;
  }

  op_code run_parts() {
    std::size_t from = 0;
    for (std::size_t i = 0; i <= t_.commands.size(); ++i) {
      const bool at_end = i == t_.commands.size();
      if (!at_end && t_.commands[i].command->kind != command_kind::whole) continue;
      if (from != i || i == 0)
        if (const auto code = run_part(from, i); code != op_code::ok || aborted_) return code;
      if (!at_end) run_whole(i);
      from = i + 1;
    }
    return op_code::ok;
  }

  void run_one(std::size_t i) {
    resp_writer out{replies_, c_.out.protocol()};
    const auto begin = replies_.size();
    const auto& command = *t_.commands[i].command;
    resp_call call{c_.thread, c_.shared, c_.client, command, arguments_[i], out, c_.keys};
    command.run(call);
    ends_.push_back(replies_.size());
    if (replies_.size() > begin && replies_.view()[begin] == '-') bump(c_.thread.counts().errors);
  }

  void run_whole(std::size_t i) {
    auto& marks = c_.client.marks;
    const auto held = marks.size();
    run_one(i);
    // What it waits for the whole waits for.
    for (auto at = held; at < marks.size(); ++at)
      waits_.push_back({marks[at].shard, marks[at].lsn});
    bump(c_.thread.counts().waiting_durable, 0 - std::uint64_t{marks.size() - held});
    marks.resize(held);
  }

  void finish(op_code code) {
    auto& client = c_.client;
    auto& counts = c_.thread.counts();
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
        if (command.kind == command_kind::plain) {
          resp_call call{c_.thread, c_.shared, client, command, arguments_[i], c_.out, c_.keys};
          command.run(call);
        } else {
          c_.out.raw(replies_.view().substr(from, ends_[i] - from));
        }
      }
      client.in_exec = false;
    }
    c_.thread.hold(client, begin, waits_,
                   std::chrono::steady_clock::now() + c_.shared.options.durable_wait_max);
  }

  resp_call& c_;
  const resp_transaction& t_;
  std::vector<std::vector<std::string_view>> arguments_;
  resp_buffer replies_;           // of the commands on keys
  std::vector<std::size_t> ends_; // of each command's reply in it
  std::vector<durable_target> waits_;
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
    if (std::ranges::find(t.keys, key, &resp_transaction::watched::key) != t.keys.end()) continue;
    c.keys.begin(c.client.level, c.shared.now_ms());
    bool present = c.keys.look(key).present;
    std::optional<lsn_t> removed;
    if (!present) {
      // The removal first: one that comes between the two is then taken for a change.
      removed = last_removal(c.shared, key);
      c.keys.begin(c.client.level, c.shared.now_ms());
      present = c.keys.look(key).present;
    }
    if (const auto code = c.keys.commit(); code != op_code::ok)
      return c.out.error(failure_text(code, c.shared.engine));
    t.keys.push_back({.key = std::string{key},
                      .version = present ? c.keys.version_met(key) : 0,
                      .removed_until = removed});
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
     .note = "what reads or writes all keys (FLUSHALL, KEYS, ...) cuts it into parts that are "
             "atomic each; PUBLISH and what else does not work on keys comes behind the rest"},
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
     .note = "of an absent key the removal of another key of its shard counts as a change too; in "
             "memory only, one that came and went is not noticed"},
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
