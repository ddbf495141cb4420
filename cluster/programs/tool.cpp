#include "cluster/programs/tool.hpp"

#include "cluster/config_units.hpp"
#include "cluster/line_source.hpp"
#include "cluster/ndjson.hpp"
#include "messages/base64.hpp"
#include "messages/packed_fields.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <utility>

namespace warp::programs {

// -- the connection

std::unique_ptr<client> tool::connect(std::chrono::milliseconds deadline_default) {
  client_options options;
  auto addresses = parse_addresses(server);
  if (!addresses) {
    fail(addresses.status(), "connect");
    return nullptr;
  }
  options.addresses = std::move(*addresses);
  options.value_bytes_max = value_size_hard_max;
  auto limit = duration_of(deadline);
  if (!limit || limit->count() == 0) {
    misuse(
        fmt::format("--deadline {}: write a number with its unit, as in 500ms or 10s", deadline));
    return nullptr;
  }
  options.deadline =
      deadline_default.count() > 0 && deadline == tool{}.deadline ? deadline_default : *limit;
  options.connect_deadline = std::min(options.deadline, options.connect_deadline);
  auto connected = client::connect(options);
  if (connected) return std::move(*connected);
  const auto& status = connected.status();
  if (status == op_code::invalid_argument) {
    fail(status, "connect");
    return nullptr;
  }
  exit = tool_exit::unreachable;
  if (json) {
    fail({op_code::unavailable, fmt::format("cannot connect to {}: {}", server, status.message())},
         "connect");
    return nullptr;
  }
  fmt::print(stderr,
             "warp: cannot connect to {}: is warpd running? ({})\n"
             "      start it with: warpd\n"
             "      or name another server: warp -s HOST:PORT ..., or WARP_SERVER=HOST:PORT\n",
             server,
             status.message().empty() ? to_string(status.code())
                                      : std::string_view(status.message()));
  return nullptr;
}

// -- failures

void tool::fail(const op_status& status, std::string_view what) {
  exit = exit_for(status.code());
  const auto message = !status.message().empty()      ? status.message()
                       : status == op_code::not_found ? std::string("it is not there")
                                                      : std::string(to_string(status.code()));
  if (json) {
    std::string text;
    cluster::append_json_string(text, cluster::is_utf8(message) ? message : printable(message));
    fmt::print("{{\"error\": \"{}\", \"message\": {}}}\n", to_string(status.code()), text);
    return;
  }
  fmt::print(stderr, "warp: {}: {}\n", printable(what), message);
}

void tool::misuse(std::string_view message) {
  exit = tool_exit::usage;
  fmt::print(stderr, "warp: {}\n", message);
}

bool tool::check(const op_status& status, std::string_view what) {
  if (status.ok()) return true;
  fail(status, what);
  return false;
}

// -- options

CLI::Option* add_durability(CLI::App& command, std::string& name) {
  return command
      .add_option("--durability", name,
                  "What the answer is worth: memory (gone after a crash), async (on disk within "
                  "100 ms), sync (on disk before the "
                  "answer), replicated, durable. Default: the server's")
      ->check(CLI::IsMember({"memory", "async", "sync", "replicated", "durable"}))
      ->type_name("LEVEL");
}

durability durability_of(std::string_view name) {
  if (name == "memory") return durability::memory;
  if (name == "async") return durability::async;
  if (name == "sync") return durability::sync;
  if (name == "replicated") return durability::replicated;
  if (name == "durable") return durability::durable;
  return durability::unspecified;
}

op_result<std::chrono::milliseconds> duration_of(std::string_view text) {
  const auto ms = cluster::parse_duration_ms(text);
  constexpr std::uint64_t century_ms = 100ull * 365 * 86'400'000;
  if (!ms || *ms > century_ms)
    return op_status(
        op_code::invalid_argument,
        fmt::format("{} is no duration: write a number with its unit, as in 500ms, 10s, 2h", text));
  return std::chrono::milliseconds(*ms);
}

// -- texts

std::string with_commas(std::uint64_t number) {
  auto text = fmt::format("{}", number);
  for (auto i = static_cast<std::ptrdiff_t>(text.size()) - 3; i > 0; i -= 3)
    text.insert(static_cast<std::size_t>(i), ",");
  return text;
}

std::string readable_bytes(std::uint64_t bytes) {
  constexpr const char* units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1'000 && unit + 1 < std::size(units)) {
    value /= 1'000;
    ++unit;
  }
  return fmt::format("{:.{}f} {}", value, unit == 0 || value >= 100 ? 0 : 1, units[unit]);
}

std::string readable_duration(std::chrono::milliseconds d) {
  const auto ms = d.count();
  if (ms < 1'000) return fmt::format("{} ms", ms);
  if (ms < 60'000) return fmt::format("{}.{} s", ms / 1'000, ms % 1'000 / 100);
  if (ms < 3'600'000) return fmt::format("{} min {} s", ms / 60'000, ms / 1'000 % 60);
  if (ms < 86'400'000) return fmt::format("{} h {} min", ms / 3'600'000, ms / 60'000 % 60);
  return fmt::format("{} d {} h", ms / 86'400'000, ms / 3'600'000 % 24);
}

std::string printable(std::string_view bytes) {
  const bool text = cluster::is_utf8(bytes);
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F || (!text && byte >= 0x80))
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", byte);
    else
      out += c;
  }
  return out;
}

std::string json_bytes(std::string_view name, std::string_view bytes) {
  if (!cluster::is_utf8(bytes)) return fmt::format("\"{}_base64\": \"{}\"", name, to_base64(bytes));
  auto text = fmt::format("\"{}\": ", name);
  cluster::append_json_string(text, bytes);
  return text;
}

std::string json_fields(std::string_view pairs) {
  std::string text;
  cluster::append_json_fields(text, pairs);
  return text;
}

std::string json_names(std::string_view names) {
  std::string text = "\"names\": [";
  bool as_text = true, first = true;
  for_each_name(names, [&](std::string_view name) {
    as_text = as_text && cluster::is_utf8(name);
    if (!as_text) return;
    if (!std::exchange(first, false)) text += ", ";
    cluster::append_json_string(text, name);
  });
  if (!as_text) return fmt::format("\"names_base64\": \"{}\"", to_base64(names));
  return text + "]";
}

std::string printable_fields(std::string_view pairs) {
  std::string text = "{";
  for_each_pair(pairs, [&](std::string_view name, std::string_view value) {
    if (text.size() > 1) text += ", ";
    text += printable(name) + ": " + printable(value);
  });
  return text + "}";
}

// -- standard output and files

output::~output() {
  flush();
}

void output::write(std::string_view bytes) {
  buffer_.append(bytes);
  if (buffer_.size() >= 64 * 1024) flush();
}

void output::line(std::string_view text) {
  write(text);
  write("\n");
}

void output::flush() {
  std::string_view left = buffer_;
  while (!left.empty() && failed_.ok()) {
    const auto n = ::write(STDOUT_FILENO, left.data(), left.size());
    if (n >= 0)
      left.remove_prefix(static_cast<std::size_t>(n));
    else if (errno != EINTR)
      failed_ = {op_code::io_error,
                 fmt::format("cannot write the output: {}", std::strerror(errno))};
  }
  buffer_.clear();
}

op_status output::finish() {
  flush();
  return failed_;
}

bool stdout_is_terminal() {
  return ::isatty(STDOUT_FILENO) != 0;
}

op_result<std::string> read_whole(const std::string& path) {
  const int fd = path == "-" ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return op_status(op_code::io_error,
                     fmt::format("cannot read {}: {}", path, std::strerror(errno)));
  std::string all;
  std::string chunk(1 << 20, '\0');
  const auto reader = cluster::read_descriptor(fd, path);
  op_status failed;
  for (;;) {
    auto n = reader(chunk);
    if (!n) failed = n.status();
    if (!n || *n == 0) break;
    all.append(chunk, 0, *n);
  }
  if (fd != STDIN_FILENO) ::close(fd);
  if (!failed.ok()) return failed;
  return all;
}

} // namespace warp::programs
