// From bytes to commands: batches of the engine's operations, and everything else one by one.

#include "cluster/resp_cluster.hpp"
#include "cluster/resp_hash_commands.hpp"
#include "cluster/resp_io_thread.hpp"
#include "cluster/resp_text.hpp"
#include "storage/slot.hpp"
#include "storage/told_streams.hpp"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <fmt/format.h>
#include <utility>

namespace warp::cluster {

namespace {

/// Replies larger than this, on average, make batches smaller.
constexpr std::size_t large_reply_bytes = 4 * 1024;

/// Steps of some milliseconds, for a few nanoseconds: a batch is timed by it.
std::int64_t coarse_now_us() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1'000;
}
std::int64_t coarse_step_us() noexcept {
  static const auto step_us = [] {
    timespec step{};
    ::clock_getres(CLOCK_MONOTONIC_COARSE, &step);
    return std::int64_t{step.tv_sec} * 1'000'000 + step.tv_nsec / 1'000 + 1;
  }();
  return step_us;
}

bool may_listen(std::string_view name) {
  for (const auto* allowed : {"subscribe", "unsubscribe", "psubscribe", "punsubscribe",
                              "ssubscribe", "sunsubscribe", "ping", "quit", "reset"})
    if (name == allowed) return true;
  return false;
}

/// Redis has keys of any length, the empty one too; the engine has not.
bool keys_fit(const resp_command& command, resp_arguments args) noexcept {
  const auto words = static_cast<int>(args.size());
  const auto last = command.last_key >= 0 ? command.last_key : words + command.last_key;
  for (int i = command.first_key; i != 0 && i <= last && i < words; i += command.key_step) {
    const auto size = args[static_cast<std::size_t>(i)].size();
    if (size < key_size_min || size > key_size_max) return false;
  }
  return true;
}

/// What a browser sends that a page has told to talk to this port: Redis ends such connections too,
/// before the lines of the body, which the page has chosen, are taken for commands.
bool is_of_http(std::string_view name) {
  return same_word(name, "post") || same_word(name, "host:");
}

std::string unknown_command(resp_arguments args) {
  std::string rest;
  for (std::size_t i = 1; i < args.size() && rest.size() < 128; ++i)
    rest += fmt::format("'{}' ", args[i].substr(0, 128 - rest.size()));
  return fmt::format("ERR unknown command '{}', with args beginning with: {}", shown(args[0]),
                     rest);
}

} // namespace

const resp_command* resp_io_thread::look_up(std::string_view name) noexcept {
  // In a pipeline the same name comes over and over, written the same way.
  if (name == last_name_) [[likely]]
    return last_command_;
  const auto* found = find_command(name);
  if (found != nullptr && name.size() <= sizeof last_bytes_) {
    std::memcpy(last_bytes_, name.data(), name.size());
    last_name_ = {last_bytes_, name.size()};
    last_command_ = found;
  }
  return found;
}

void resp_io_thread::process(resp_connection& c) {
  const auto input = c.input.view();
  std::size_t at = 0;
  c.more = false;
  c.need = 0;
  take_spare(c.output);
  // Of several copies every answer may have to wait, whatever its level.
  const bool syncs =
      shared_.engine.options().replicated ||
      (c.level == durability::unspecified ? shared_.default_level : c.level) >= durability::sync;
  const auto slower_than_us = shared_.settings.slower_than_us.load(std::memory_order_relaxed);
  const bool each_timed = slower_than_us >= 0 && slower_than_us < 1'000;
  const auto may_gather = [&] {
    return !each_timed && !c.in_multi() && !c.only_listens() &&
           c.reply_mode == resp_connection::replies::on &&
           shared_.pause_until_ms.load(std::memory_order_relaxed) == 0;
  };
  bool gathers = may_gather();
  std::size_t mine = batch_count_; // where the operations of this connection begin
  while (!c.closing && !c.paused && !c.dead) {
    const auto outcome = c.parser.next(input.substr(at), arguments_);
    if (outcome == resp_parser::outcome::incomplete) {
      c.need = at == input.size() ? 0 : c.parser.wanted();
      break;
    }
    if (outcome == resp_parser::outcome::broken) {
      share_of_batch(c, mine);
      flush_batch();
      mine = 0;
      if (c.dead) return;
      c.out.error(fmt::format("ERR {}", c.parser.error()));
      bump(counters_.errors);
      bump(counters_.connections_dropped);
      c.closing = true;
      at = input.size();
      break;
    }
    if (arguments_.empty()) {
      at += c.parser.consumed();
      continue;
    }
    const auto* command = look_up(arguments_[0]);
    if (gathers && command != nullptr && command->gather != nullptr && !c.parser.copied() &&
        arity_fits(*command, arguments_.size())) [[likely]] {
      auto& op = operations_[batch_count_];
      op = {.level = c.level, .key = {}, .value = {}, .request = {}};
      if (command->gather(arguments_, now_ms_, op, shapes_[batch_count_]) &&
          (shared_.options.cluster == nullptr || is_here(op.key))) [[likely]] {
        numbers_[batch_count_] = command->number;
        batch_syncs_ |= syncs;
        at += c.parser.consumed();
        if (++batch_count_ < batch_size && batch_count_ - mine < c.batch_max) continue;
        share_of_batch(c, mine);
        flush_batch();
        mine = 0;
        if (c.output.size() <= shared_.options.output_buffer_bytes) continue;
        c.more = true;
        break;
      }
    }
    share_of_batch(c, mine);
    flush_batch();
    mine = 0;
    if (c.dead) return;
    if (c.output.size() > shared_.options.output_buffer_bytes) {
      c.more = true;
      break;
    }
    if (command != nullptr && command->kind == command_kind::whole) send_answers(c);
    if (!dispatch(c, command)) break;
    at += c.parser.consumed();
    gathers = may_gather();
  }
  share_of_batch(c, mine);
  if (c.dead) return;
  c.input.consume(at);
  if (c.paused) c.need = 0;
  if (c.need > shared_.options.input_buffer_bytes) {
    c.out.error("ERR Protocol error: the request is longer than resp.input_buffer");
    bump(counters_.connections_dropped);
    c.closing = true;
  }
  if (!c.closing) return;
  flush_batch(); // it may look into the input
  c.input.release();
}

// -- batches
// -------------------------------------------------------------------------------------------------------------

/// The operations from `from` on are of this connection. They look into its input, which stays as
/// it is until the batch is done.
void resp_io_thread::share_of_batch(resp_connection& c, std::size_t from) {
  if (batch_count_ > from) shares_.push_back({&c, batch_count_ - from});
}

/// One entry for what was done together: nobody knows which one it was.
void resp_io_thread::note_slow_batch(std::int64_t took_us) noexcept {
  const auto slower_than_us = shared_.settings.slower_than_us.load(std::memory_order_relaxed);
  if (slower_than_us < 0 || took_us < slower_than_us) return;
  try {
    const auto& card = *shares_.front().connection->card;
    const std::string_view words[] = {all_commands()[numbers_[0]].name, operations_[0].key};
    shared_.slow_log.add({.at_s = static_cast<std::int64_t>(now_ms_ / 1'000),
                          .took_us = took_us,
                          .arguments = resp_slow_log::shortened(words),
                          .address = card.address,
                          .name = shared_.clients.with_texts([&] { return card.name; })},
                         shared_.settings.slow_log_max.load(std::memory_order_relaxed));
  } catch (const std::bad_alloc&) { // then it is not noted
  }
}

void resp_io_thread::flush_batch() noexcept {
  const auto n = batch_count_;
  if (n == 0) return;
  batch_count_ = 0;
  const std::span<const operation> operations{operations_.data(), n};
  const auto begun_us = coarse_now_us();
  storage::told_streams streams{shared_.engine};
  if (std::exchange(batch_syncs_, false)) {
    shared_.engine.execute_unsynced(operations, {replies_.data(), n}, arena_);
    batch_done_at_ = clock::now();
  } else {
    shared_.engine.execute(operations, {replies_.data(), n}, arena_);
  }
  if (const auto took_us = coarse_now_us() - begun_us - coarse_step_us();
      took_us > 0 && !shares_.empty()) [[unlikely]]
    note_slow_batch(took_us);
  std::size_t from = 0;
  for (const auto& [c, count] : shares_) {
    if (streams)
      streams.tell(c->card->id, operations.subspan(from, count),
                   std::span{replies_}.subspan(from, count));
    try {
      if (!c->dead) answer_batched(*c, from, from + count);
    } catch (const std::bad_alloc&) {
      drop(*c, "no memory for its buffers");
    }
    from += count;
  }
  shares_.clear();
  arena_.clear();
  gathered_arguments().clear();
  bump(counters_.commands, n);
}

void resp_io_thread::answer_batched(resp_connection& c, std::size_t from, std::size_t to) {
  take_spare(c.output);
  const auto before = c.output.size();
  for (auto i = from; i < to; ++i) write_batched(c, i);
  c.card->last.store(&all_commands()[numbers_[to - 1]], std::memory_order_relaxed);
  const auto average = (c.output.size() - before) / (to - from);
  if (average > large_reply_bytes)
    c.batch_max = std::max<std::size_t>(1, std::min(c.batch_max, (256 * 1024) / average));
  else
    c.batch_max = std::min(c.batch_max * 2, batch_size);
}

void resp_io_thread::write_batched(resp_connection& c, std::size_t i) {
  auto& reply = replies_[i];
  const auto begin = c.sent + c.output.size();
  const auto code = reply.code;
  bump(command_counts_[numbers_[i]].calls);
  const bool absent = code == op_code::not_found || code == op_code::already_exists;
  if (is_of_hash(shapes_[i])) {
    const auto at = c.output.size();
    if (!is_write(operations_[i].kind)) note_lookup(!absent);
    if (!write_hash_reply(c.out, shapes_[i], operations_[i], reply))
      c.out.error(failure_at(code, operations_[i].key));
    if (c.output.view()[at] == '-') [[unlikely]] {
      bump(counters_.errors);
      bump(command_counts_[numbers_[i]].failed);
    }
  } else if (code != op_code::ok && !absent) [[unlikely]] {
    bump(counters_.errors);
    bump(command_counts_[numbers_[i]].failed);
    if (code == op_code::wrong_type) {
      if (shapes_[i] == reply_shape::value) note_lookup(true);
      c.out.error(reply.type != value_type::bytes ? wrong_type_error
                  : reply.number != 0             ? "ERR increment or decrement would overflow"
                                                  : not_an_integer);
    } else {
      c.out.error(failure_at(code, operations_[i].key));
    }
  } else {
    const auto left_ms = [&] {
      const auto now = shared_.now_ms();
      return reply.expires_at_ms > now ? static_cast<std::int64_t>(reply.expires_at_ms - now) : 0;
    };
    switch (shapes_[i]) {
    case reply_shape::value:
      if (absent) {
        bump(counters_.misses);
        c.out.null();
      } else {
        bump(counters_.hits);
        c.out.bulk(reply.value);
      }
      break;
    case reply_shape::ok:
      c.out.ok();
      break;
    case reply_shape::ok_or_null:
      if (absent)
        c.out.null();
      else
        c.out.ok();
      break;
    case reply_shape::number:
      c.out.integer(reply.number);
      break;
    case reply_shape::done:
      c.out.integer(absent ? 0 : 1);
      break;
    case reply_shape::ttl_s:
    case reply_shape::ttl_ms:
      note_lookup(!absent);
      if (absent)
        c.out.integer(-2);
      else if (reply.expires_at_ms == 0)
        c.out.integer(-1);
      else
        c.out.integer(shapes_[i] == reply_shape::ttl_ms ? left_ms() : (left_ms() + 500) / 1'000);
      break;
    case reply_shape::there:
      note_lookup(!absent);
      c.out.integer(absent ? 0 : 1);
      break;
    case reply_shape::type:
      note_lookup(!absent);
      c.out.simple(absent ? "none" : reply.type == value_type::hash ? "hash" : "string");
      break;
    default: // of hashes
      break;
    }
  }
  if (reply.durable_at != 0) [[unlikely]] {
    const durable_target target{reply.shard, reply.durable_at};
    if (shared_.engine.durable(target.shard, target.lsn) == storage::durable_state::pending) {
      if (!any_unsynced_) unsynced_since_ = batch_done_at_;
      any_unsynced_ = true;
      unsynced_[target.shard.value / 64] |= std::uint64_t{1} << target.shard.value % 64;
    }
    hold(c, begin, {&target, 1}, batch_done_at_ + shared_.options.durable_wait_max,
         when_lost(!is_write(operations_[i].kind)));
  }
  if (reply.large) [[unlikely]]
    reply.large = {};
}

// -- one by one
// ----------------------------------------------------------------------------------------------------------

/// What stands in the way of a command: an error has been written, or it was queued: false.
bool resp_io_thread::admit(resp_connection& c, const resp_command* command) {
  const auto refuse = [&](std::string_view text) {
    c.out.error(text);
    bump(counters_.errors);
    if (command != nullptr) bump(command_counts_[command->number].rejected);
    if (c.in_multi()) c.transaction->refused = true;
    return false;
  };
  if (command == nullptr && is_of_http(arguments_[0])) {
    complain(fmt::format("{} speaks HTTP and is disconnected: a web page may have sent somebody's "
                         "browser to this port",
                         c.card->address));
    bump(counters_.connections_dropped);
    c.closing = true;
    return false;
  }
  if (command == nullptr) return refuse(unknown_command(arguments_));
  if (!arity_fits(*command, arguments_.size()))
    return refuse(fmt::format("ERR wrong number of arguments for '{}' command", command->name));
  if (c.only_listens() && !may_listen(command->name))
    return refuse(fmt::format("ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / "
                              "PING / QUIT / RESET are allowed in this context",
                              command->name));
  if (command->kind == command_kind::data && !keys_fit(*command, arguments_))
    return refuse(failure_text(op_code::invalid_argument, shared_.engine));
  if (shared_.options.cluster != nullptr) {
    keys_.clear();
    add_keys_of(*command, arguments_, keys_);
    if (const auto error = misplaced_keys(keys_); !error.empty()) return refuse(error);
    if (c.in_multi() && command->kind == command_kind::whole)
      return refuse("ERR what works on all keys cannot be part of a transaction in a cluster");
  }
  if (!c.in_multi() || command->kind == command_kind::control) return true;
  if (const auto error = part_error(*command, arguments_); !error.empty()) return refuse(error);
  if (command->flags & command_flags::no_multi)
    return refuse("ERR Command not allowed inside a transaction");
  if (c.transaction->bytes > shared_.options.input_buffer_bytes)
    return refuse("ERR the transaction is longer than resp.input_buffer");
  c.transaction->add(*command, arguments_);
  c.card->queued = static_cast<std::int32_t>(c.transaction->commands.size());
  c.out.simple("QUEUED");
  return false;
}

bool resp_io_thread::dispatch(resp_connection& c, const resp_command* command) {
  if (const auto until = shared_.pause_until_ms.load(std::memory_order_relaxed);
      until != 0 && command != nullptr && command->name != "client") [[unlikely]] {
    const auto now = static_cast<std::int64_t>(shared_.now_ms());
    const bool writes_only = shared_.pause_writes_only.load(std::memory_order_relaxed);
    if (until <= now) {
      auto expected = until;
      shared_.pause_until_ms.compare_exchange_strong(expected, 0);
    } else if (!writes_only || (command->flags & command_flags::write) || command->name == "exec" ||
               command->name == "publish") {
      pause(c, clock::now() + std::chrono::milliseconds{until - now}, {});
      return false;
    }
  }
  using replies = resp_connection::replies;
  const auto begin = c.output.size();
  if (c.reply_mode == replies::skip_next) c.reply_mode = replies::skip;
  if (admit(c, command)) run(c, *command);
  bump(counters_.commands);
  if (command != nullptr) c.card->last.store(command, std::memory_order_relaxed);
  if (c.reply_mode == replies::off || c.reply_mode == replies::skip) {
    const auto from = c.sent + begin;
    const auto kept = std::find_if(c.marks.begin(), c.marks.end(),
                                   [&](const resp_mark& m) { return m.begin >= from; });
    bump(counters_.waiting_durable, 0 - static_cast<std::uint64_t>(c.marks.end() - kept));
    c.marks.erase(kept, c.marks.end());
    c.output.truncate(begin);
    if (c.reply_mode == replies::skip) c.reply_mode = replies::on;
  }
  return true;
}

void resp_io_thread::run(resp_connection& c, const resp_command& command) {
  const auto slower_than_us = shared_.settings.slower_than_us.load(std::memory_order_relaxed);
  const auto begun = clock::now();
  const auto begin = c.output.size();
  shared_.engine.begin_stream(c.card->id);
  resp_call call{*this, shared_, c, command, arguments_, c.out, view_};
  if (command.kind == command_kind::data)
    run_data(call);
  else
    command.run(call);
  const auto took_us =
      std::chrono::duration_cast<std::chrono::microseconds>(clock::now() - begun).count();
  auto& count = command_counts_[command.number];
  bump(count.calls);
  bump(count.took_us, static_cast<std::uint64_t>(took_us));
  if (c.output.size() > begin && c.output.view()[begin] == '-') {
    bump(count.failed);
    bump(counters_.errors);
  }
  if (slower_than_us < 0 || took_us < slower_than_us || command.name == "exec") return;
  shared_.slow_log.add({.at_s = static_cast<std::int64_t>(now_ms_ / 1'000),
                        .took_us = took_us,
                        .arguments = resp_slow_log::shortened(arguments_),
                        .address = c.card->address,
                        .name = shared_.clients.with_texts([&] { return c.card->name; })},
                       shared_.settings.slow_log_max.load(std::memory_order_relaxed));
}

void resp_io_thread::run_data(resp_call& call) {
  auto& c = call.client;
  const auto begin = c.output.size();
  keys_.clear();
  add_keys_of(call.command, call.args, keys_);
  if (call.command.stores) view_.prepare(call.args.subspan(1));
  if (call.command.copies) view_.prepare_copy(call.args[1]);
  const auto counted = counted_lookups();
  const auto work = [&] {
    c.output.truncate(begin);
    count_again_from(counted);
    run_typed(call);
    return true;
  };
  if (const auto code = view_.run(keys_, resp_view::scope::keys, c.level, std::ref(work));
      code != op_code::ok) {
    c.output.truncate(begin);
    return c.out.error(keys_.empty() ? failure_text(code, shared_.engine)
                                     : failure_at(code, keys_.front()));
  }
  if (!view_.waits().empty())
    hold(c, c.sent + begin, view_.waits(), clock::now() + shared_.options.durable_wait_max,
         when_lost((call.command.flags & command_flags::write) == 0));
}

// -- in a cluster
// --------------------------------------------------------------------------------------------------------

bool resp_io_thread::is_here(std::string_view key) const noexcept {
  return shared_.options.cluster->serves(shared_.engine.shard_of(key));
}

std::string resp_io_thread::misplaced_keys(std::span<const std::string_view> keys) const {
  if (shared_.options.cluster == nullptr) return {};
  return misplaced(*shared_.options.cluster, shared_.engine.shard_count(), keys);
}

std::string resp_io_thread::failure_at(op_code code, std::string_view key) const {
  if (shared_.options.cluster != nullptr &&
      (code == op_code::unavailable || code == op_code::wrong_shard))
    return redirection(*shared_.options.cluster->map(), storage::slot_of(key));
  return failure_text(code, shared_.engine);
}

/// What takes the place of an answer that waits and will never be ready: a read is done again
/// elsewhere, a write may have happened.
std::string_view resp_io_thread::when_lost(bool reads_only) const noexcept {
  return reads_only && shared_.options.cluster != nullptr
             ? "-TRYAGAIN what was read could not be confirmed: another node may serve it now\r\n"
             : std::string_view{};
}

void resp_io_thread::unsubscribe_all(resp_connection& c) {
  if (!c.subscriptions) return;
  for (int kind = 0; kind < 3; ++kind)
    for (const auto& name : c.subscriptions->names[kind])
      shared_.pubsub.unsubscribe(static_cast<channel_kind>(kind), name, {number_, c.card->id});
  c.subscriptions.reset();
  c.card->channels = 0;
  c.card->patterns = 0;
  c.card->shard_channels = 0;
}

void resp_io_thread::reset(resp_connection& c) {
  unsubscribe_all(c);
  c.transaction.reset();
  c.card->queued = -1;
  c.card->watched = 0;
  c.out.set_protocol(2);
  c.card->protocol = 2;
  c.reply_mode = resp_connection::replies::on;
  c.level = shared_.options.level;
  shared_.clients.with_texts([&] { c.card->name.clear(); });
}

} // namespace warp::cluster
