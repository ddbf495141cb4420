#include "cluster/resp_commands.hpp"

#include "cluster/resp_text.hpp"
#include "storage/engine.hpp"
#include "storage/number.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <fmt/format.h>

namespace warp::cluster {

namespace {

/// The first eight bytes as one word, in upper case (and some other bytes changed too: the names
/// are compared afterwards).
std::uint64_t first_word(std::string_view name) noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, name.data(), std::min<std::size_t>(name.size(), 8));
  return word & 0xdfdf'dfdf'dfdf'dfdfu;
}

constexpr std::size_t buckets = 1024;

std::size_t bucket_of(std::string_view name) noexcept {
  const auto last = name.empty() ? 0 : static_cast<unsigned char>(name.back()) & 0xdfu;
  const auto mixed = (first_word(name) ^ name.size() * 0x9e37'79b9u ^ std::uint64_t{last} << 40) *
                     0x9e37'79b9'7f4a'7c15u;
  return mixed >> 54;
}

class registry {
public:
  registry() {
    for (const auto part :
         {get_commands(), set_commands(), change_commands(), hash_commands(), key_commands(),
          expire_commands(), object_commands(), scan_commands(), connection_commands(),
          pubsub_commands(), server_commands(), physics_commands(), cluster_commands(),
          transaction_commands(), introspection_commands(), missing_commands()})
      rows_.insert(rows_.end(), part.begin(), part.end());
    std::ranges::sort(rows_, {}, &resp_command::name);
    for (std::uint32_t i = 0; i < rows_.size(); ++i) rows_[i].number = i;
    for (const auto& row : rows_) {
      if (row.kind == command_kind::missing) continue;
      auto at = bucket_of(row.name);
      while (table_[at] != nullptr) at = (at + 1) % buckets;
      table_[at] = &row;
    }
  }
  [[nodiscard]] const resp_command* find(std::string_view name) const noexcept {
    for (auto at = bucket_of(name); table_[at] != nullptr; at = (at + 1) % buckets)
      if (same_word(table_[at]->name, name)) return table_[at];
    return nullptr;
  }
  [[nodiscard]] std::span<const resp_command> rows() const noexcept { return rows_; }

private:
  std::vector<resp_command> rows_;
  std::array<const resp_command*, buckets> table_{};
};

const registry& commands() {
  static const registry all;
  return all;
}

} // namespace

const resp_command* find_command(std::string_view name) noexcept {
  return commands().find(name);
}

std::span<const resp_command> all_commands() {
  return commands().rows();
}

void add_keys_of(const resp_command& c, resp_arguments args, std::vector<std::string_view>& keys) {
  if (c.first_key == 0) return;
  const auto last = c.last_key >= 0 ? c.last_key : static_cast<int>(args.size()) + c.last_key;
  for (int i = c.first_key; i <= last && i < static_cast<int>(args.size()); i += c.key_step)
    keys.push_back(args[static_cast<std::size_t>(i)]);
}

bool take_integer(resp_call& c, std::string_view text, std::int64_t& number,
                  std::string_view error) {
  const auto parsed = storage::parse_number(text);
  if (!parsed) {
    c.out.error(error);
    return false;
  }
  number = *parsed;
  return true;
}

void run_typed(resp_call& c) {
  auto& out = c.out.buffer();
  const auto begin = out.size();
  c.command.run(c);
  if (!c.keys.met_wrong_type()) return;
  out.truncate(begin);
  c.out.error(wrong_type_error);
}

void arity_error(resp_writer& out, std::string_view name) {
  out.error(fmt::format("ERR wrong number of arguments for '{}' command", name));
}

std::string failure_text(op_code code, const storage::engine& engine) {
  const auto& options = engine.options();
  switch (code) {
  case op_code::no_space:
    return "OOM command not allowed when used memory > 'maxmemory'.";
  case op_code::invalid_argument:
    return fmt::format("ERR a key has 1 to {} bytes and a value at most {}", key_size_max,
                       options.value_bytes_max);
  case op_code::no_replicas:
    if (options.replicated) return "NOREPLICAS Not enough good replicas to write.";
    return "NOREPLICAS this universe cannot give the durability that this connection asks for: "
           "see WARP.DURABILITY";
  case op_code::overloaded:
    return "BUSY the log cannot keep pace with the writes: try again";
  case op_code::shutting_down:
    return "SHUTDOWN the server is stopping";
  case op_code::io_error:
    return "MISCONF the log cannot be written, so that writes are refused: see the server's log "
           "and /healthz";
  case op_code::outcome_unknown:
  case op_code::timed_out:
    if (options.replicated)
      return "UNKNOWN whether the write was done: the shard's replicas have not confirmed it in "
             "time, or another node serves it now";
    return "UNKNOWN whether the write is durable: it was done in memory, and the disk has not "
           "confirmed it";
  case op_code::unavailable:
  case op_code::wrong_shard:
    if (options.replicated) return "TRYAGAIN another node may serve this now";
    [[fallthrough]];
  default:
    return fmt::format("ERR {}", to_string(code));
  }
}

namespace {

const resp_subcommand* find_part(const resp_command& command, std::string_view name) noexcept {
  const auto at = std::ranges::find_if(
      command.parts, [&](const resp_subcommand& s) { return same_word(s.name, name); });
  return at == command.parts.end() ? nullptr : &*at;
}

std::string upper_case(std::string_view name) {
  std::string upper{name};
  std::ranges::transform(upper, upper.begin(), [](char x) {
    return x >= 'a' && x <= 'z' ? static_cast<char>(x - 32) : x;
  });
  return upper;
}

} // namespace

std::string part_error(const resp_command& command, resp_arguments args) {
  if (command.parts.empty() || args.size() < 2) return {};
  const auto wrong_number = [&](std::string_view part) {
    return fmt::format("ERR wrong number of arguments for '{}|{}' command", command.name, part);
  };
  if (const auto* part = find_part(command, args[1])) {
    const auto words = args.size();
    const bool fits = part->arity >= 0 ? words == static_cast<std::size_t>(part->arity)
                                       : words >= static_cast<std::size_t>(-part->arity);
    return fits ? std::string{} : wrong_number(lower_case(part->name));
  }
  if (same_word(args[1], "HELP")) return args.size() == 2 ? std::string{} : wrong_number("help");
  return fmt::format("ERR unknown subcommand '{}'. Try {} HELP.", shown(args[1]),
                     upper_case(command.name));
}

void subcommand_error(resp_call& c) {
  c.out.error(
      fmt::format("ERR unknown subcommand or wrong number of arguments for '{}'. Try {} HELP.",
                  shown(c.args[1]), upper_case(c.command.name)));
}

void run_subcommand(resp_call& c, std::span<const std::string_view> help) {
  if (const auto error = part_error(c.command, c.args); !error.empty()) return c.out.error(error);
  if (const auto* part = find_part(c.command, c.args[1])) return part->run(c);
  c.out.array(help.size() + 3);
  c.out.simple(fmt::format("{} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
                           upper_case(c.command.name)));
  for (const auto line : help) c.out.simple(line);
  c.out.simple("HELP");
  c.out.simple("    Prints this help.");
}

} // namespace warp::cluster
