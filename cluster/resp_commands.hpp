#pragma once

#include "cluster/resp_view.hpp"
#include "cluster/resp_writer.hpp"
#include "messages/operations.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace warp::cluster {

class resp_io_thread;
struct resp_command;
struct resp_connection;
struct resp_shared;

/// Words of a command, its name first.
using resp_arguments = std::span<const std::string_view>;

/// What a command is carried out with. Lives for the command.
struct resp_call {
  resp_io_thread& thread;
  resp_shared& shared;
  resp_connection& client;
  const resp_command& command;
  resp_arguments args;
  resp_writer& out;
  resp_view& keys; ///< of data commands
};

/// How a command is carried out.
enum class command_kind : std::uint8_t {
  data,    ///< on resp_call::keys only, within its run(): it may run more than once
  plain,   ///< does not read or write keys
  whole,   ///< on all keys, through resp_call::keys, within a run() of EXEC or outside of any
  control, ///< of a transaction: never queued
  missing, ///< not there yet: stands in the table of commands only
};

/// Of operations that are done in batches: what their reply looks like.
enum class reply_shape : std::uint8_t {
  value,      ///< the value, or null
  ok,         ///< OK
  ok_or_null, ///< OK, or null when the condition did not hold
  number,     ///< of an increment
  done,       ///< 1, or 0 when the condition did not hold or there is no such key
  there,      ///< 1, or 0 when there is no such key
  ttl_s,      ///< what is left until it expires, -1: never, -2: no such key
  ttl_ms,
  type, ///< "string", "hash" or "none"
  // Of hashes: see write_hash_reply().
  hash_number,    ///< of fields that are new, gone or there; 0 of an absent key; of an increment
  hash_ok,        ///< OK
  hash_done,      ///< 1, or 0 when the field was there
  hash_value,     ///< of the field that was asked for, or null
  hash_has,       ///< 1 if that field is there, else 0
  hash_size,      ///< bytes of its value, or 0
  hash_values_of, ///< of all that were asked for, an array
  hash_pairs,     ///< all fields, a map
  hash_names,
  hash_values,
  hash_random,       ///< one field, any of them
  hash_random_names, ///< operation::delta of them, see write_random_fields()
  hash_random_pairs,
};

namespace command_flags {
inline constexpr std::uint32_t write = 1, readonly = 2, denyoom = 4, admin = 8, pubsub = 16,
                               noscript = 32, loading = 64, stale = 128, fast = 256, no_auth = 512,
                               no_multi = 1024, blocking = 2048, allow_busy = 4096,
                               dangerous = 8192, connection = 16384;
}

/// A command's second word: its name, its arity (of all words) and what it does.
struct resp_subcommand {
  std::string_view name; ///< upper case
  int arity;
  void (*run)(resp_call&);
};
/// One command: the single place from which dispatch, arity errors, COMMAND and cluster/RESP.md
/// come.
struct resp_command {
  std::string_view name; ///< lower case
  int arity = 0;         ///< words; negative: at least so many
  std::uint32_t flags = 0;
  int first_key = 0, last_key = 0, key_step = 0; ///< last_key negative: from the end
  command_kind kind = command_kind::plain;
  void (*run)(resp_call&) = nullptr;
  /// Data commands that are one operation of the engine: fills it and says what the reply looks
  /// like; false: in this form it is not, run() does it. The arity is right.
  bool (*gather)(resp_arguments, std::uint64_t now_ms, operation&, reply_shape&) = nullptr;
  bool stores = false;                         ///< arguments as values, as they are
  bool copies = false;                         ///< the value of its first key, to the second one
  std::span<const resp_subcommand> parts = {}; ///< of which args[1] names one
  std::string_view group, since, syntax, summary;
  std::string_view note;    ///< how it differs from Redis's; empty: it does not
  std::uint32_t number = 0; ///< in the registry
};

/// By name, in upper or lower case; null: there is none (or it is missing).
[[nodiscard]] const resp_command* find_command(std::string_view name) noexcept;
/// All of them, missing ones too, in alphabetical order.
[[nodiscard]] std::span<const resp_command> all_commands();
[[nodiscard]] inline bool arity_fits(const resp_command& c, std::size_t words) noexcept {
  return c.arity >= 0 ? words == static_cast<std::size_t>(c.arity)
                      : words >= static_cast<std::size_t>(-c.arity);
}
/// Adds the keys among the arguments. Views of them.
void add_keys_of(const resp_command& c, resp_arguments args, std::vector<std::string_view>& keys);

/// The commands of each file.
std::span<const resp_command> get_commands();
std::span<const resp_command> set_commands();
std::span<const resp_command> change_commands();
std::span<const resp_command> hash_commands();
std::span<const resp_command> key_commands();
std::span<const resp_command> expire_commands();
std::span<const resp_command> object_commands();
std::span<const resp_command> scan_commands();
std::span<const resp_command> connection_commands();
std::span<const resp_command> pubsub_commands();
std::span<const resp_command> server_commands();
std::span<const resp_command> physics_commands();
std::span<const resp_command> cluster_commands();
std::span<const resp_command> transaction_commands();
std::span<const resp_command> introspection_commands();
std::span<const resp_command> missing_commands();

// -- what handlers share

/// The version of Redis whose behaviour this is.
inline constexpr std::string_view redis_version = "7.0.15";
inline constexpr std::string_view syntax_error = "ERR syntax error";
inline constexpr std::string_view wrong_type_error =
    "WRONGTYPE Operation against a key holding the wrong kind of value";
inline constexpr std::string_view not_an_integer = "ERR value is not an integer or out of range";

/// A 64-bit number; else the error has been written.
bool take_integer(resp_call& c, std::string_view text, std::int64_t& number,
                  std::string_view error = not_an_integer);
/// A cursor as SCAN takes it; nothing: the error has been written.
std::optional<std::uint64_t> take_cursor(resp_call& c, std::string_view text);
/// Cursors of the engine lie at the top of 64 bits, with zeros below; reversed they are small
/// numbers, as those of Redis are, which clients may keep in a floating point number.
[[nodiscard]] std::uint64_t reversed_bits(std::uint64_t bits) noexcept;
/// Carries out a data command. Where it has met a value of another type than it works on, its
/// answer is that.
void run_typed(resp_call& c);
/// "ERR wrong number of arguments for 'name' command".
void arity_error(resp_writer& out, std::string_view name);
/// A failure of the engine as an error of Redis's kind, for people: what happened.
std::string failure_text(op_code code, const storage::engine& engine);

/// Carries out the one of resp_command::parts that args[1] names. HELP is made of `help`.
void run_subcommand(resp_call& c, std::span<const std::string_view> help);
/// What Redis says where a subcommand has more words than it takes.
void subcommand_error(resp_call& c);
/// Why the part that args[1] names cannot be carried out: there is none, or the number of arguments
/// is wrong; empty: it can, or the command has no parts.
[[nodiscard]] std::string part_error(const resp_command& command, resp_arguments args);

} // namespace warp::cluster
