#include "tests/bench/resp_peer.hpp"

#include "tests/bench/workload.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace warp::bench {

std::string resp_peer::find() {
  const auto path = find("valkey-server");
  return path.empty() ? find("redis-server") : path;
}

std::string resp_peer::find(const std::string& program) {
  for (const char* folder : {"/usr/bin/", "/usr/local/bin/"})
    if (const auto path = folder + program; ::access(path.c_str(), X_OK) == 0) return path;
  return {};
}

resp_peer::resp_peer(const std::string& program, settings how)
    : program_(program), how_(std::move(how)) {
  start();
}

resp_peer::~resp_peer() {
  stop();
}

void resp_peer::start() {
  const auto socket_path = folder_ / "socket";
  std::filesystem::remove(socket_path);
  std::filesystem::remove(folder_ / "log");
  std::vector<std::string> words{program_,
                                 "--port",
                                 std::to_string(how_.port),
                                 "--unixsocket",
                                 socket_path,
                                 "--dir",
                                 folder_.path(),
                                 "--logfile",
                                 folder_ / "log",
                                 "--save",
                                 "",
                                 "--rdbcompression",
                                 "no",
                                 "--appendonly",
                                 how_.append_only ? "yes" : "no",
                                 "--appendfsync",
                                 how_.append_fsync,
                                 "--auto-aof-rewrite-percentage",
                                 "0",
                                 "--daemonize",
                                 "no"};
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  if (::posix_spawn(&process_, program_.c_str(), nullptr, nullptr, argv.data(), environ) != 0)
    fail("cannot start " + program_);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, socket_path.c_str(), sizeof address.sun_path - 1);
  const auto until = std::chrono::steady_clock::now() + std::chrono::minutes{2};
  for (;;) {
    socket_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) break;
    ::close(socket_);
    if (std::chrono::steady_clock::now() > until || ::waitpid(process_, nullptr, WNOHANG) != 0)
      fail("it does not listen");
    std::this_thread::sleep_for(std::chrono::milliseconds{5});
  }
  received_.clear();
  at_ = 0;
  while (ask("PING").rfind("LOADING", 0) == 0) { // it listens before it has loaded
    if (std::chrono::steady_clock::now() > until) fail("it does not end loading");
    std::this_thread::sleep_for(std::chrono::milliseconds{5});
  }
}

void resp_peer::stop() {
  if (process_ <= 0) return;
  ::close(socket_);
  ::kill(process_, SIGTERM);
  ::waitpid(process_, nullptr, 0);
  process_ = -1;
}

void resp_peer::fail(const std::string& why) {
  std::ifstream in(folder_ / "log");
  const std::string log{std::istreambuf_iterator<char>{in}, {}};
  std::fprintf(stderr, "benchmark: %s: %s\n%s\n", program_.c_str(), why.c_str(),
               log.substr(log.size() - std::min<std::size_t>(log.size(), 2'000)).c_str());
  if (process_ > 0) ::kill(process_, SIGKILL);
  std::exit(1);
}

void resp_peer::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto n = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail("the connection is lost");
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

std::string resp_peer::line() {
  for (;;) {
    if (const auto end = received_.find("\r\n", at_); end != received_.npos) {
      auto text = received_.substr(at_, end - at_);
      at_ = end + 2;
      return text;
    }
    received_.erase(0, at_);
    at_ = 0;
    std::array<char, 65'536> part;
    const auto n = ::recv(socket_, part.data(), part.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail("the connection is lost");
    received_.append(part.data(), static_cast<std::size_t>(n));
  }
}

std::string resp_peer::answer() {
  const auto head = line();
  if (head.empty() || head[0] != '$') return head.substr(1);
  const auto size = std::stoul(head.substr(1));
  std::string text;
  while (text.size() < size + 2) text += line() + "\r\n"; // one more ends it
  text.resize(size);
  return text;
}

std::string resp_peer::ask(std::string_view command) {
  send(std::string{command} + "\r\n");
  return answer();
}

void resp_peer::fill(std::uint64_t keys,
                     const std::function<std::string_view(std::uint64_t)>& value) {
  constexpr std::uint64_t batch = 1'000;
  std::string out;
  std::uint64_t waiting = 0; // one batch is on its way while the next is made
  const auto collect = [&] {
    for (; waiting > 0; --waiting)
      if (answer() != "OK") fail("a SET was refused");
  };
  for (std::uint64_t begin = 0; begin < keys; begin += batch) {
    const auto n = std::min(batch, keys - begin);
    out.clear();
    for (auto i = begin; i < begin + n; ++i) {
      const auto v = value(i);
      fmt::format_to(std::back_inserter(out), "*3\r\n$3\r\nSET\r\n$16\r\n{}\r\n${}\r\n{}\r\n",
                     key_text{i}.view(), v.size(), v);
    }
    send(out);
    collect();
    waiting = n;
  }
  collect();
}

void resp_peer::save() {
  if (ask("SAVE") != "OK") fail("SAVE was refused");
}

std::uint64_t resp_peer::keys() {
  return std::stoull(ask("DBSIZE"));
}

std::string resp_peer::version() {
  const auto info = ask("INFO server");
  for (const char* field : {"valkey_version:", "redis_version:"})
    if (const auto at = info.find(field); at != info.npos) {
      const auto begin = at + std::strlen(field);
      return info.substr(begin, info.find_first_of("\r\n", begin) - begin);
    }
  return "unknown";
}

double resp_peer::reload() {
  send("SHUTDOWN NOSAVE\r\n");
  ::waitpid(process_, nullptr, 0);
  ::close(socket_);
  process_ = -1;
  start();
  return load_seconds();
}

/// "DB loaded from disk: 0.921 seconds", "DB loaded from append only file: 1.234 seconds"; the
/// files of an append-only log are named one by one before.
double resp_peer::load_seconds() const {
  std::ifstream in(folder_ / "log");
  double seconds = 0;
  for (std::string text; std::getline(in, text);) {
    const auto colon = text.rfind(": ");
    const bool ours = how_.append_only ? text.find("DB loaded from append only file: ") != text.npos
                                       : text.find("DB loaded from disk: ") != text.npos;
    if (ours && colon != text.npos)
      std::from_chars(text.data() + colon + 2, text.data() + text.size(), seconds);
  }
  return seconds;
}

} // namespace warp::bench
