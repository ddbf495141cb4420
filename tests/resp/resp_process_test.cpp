// A warpd of its own process: what it does at the limits of descriptors and connections, and when
// it is told to stop.

#include "tests/resp/resp_fixture.hpp"
#include "tests/support/server_process.hpp"
#include "tests/support/temp_folder.hpp"

#include <algorithm>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <sys/resource.h>
#include <thread>

using namespace warp;
using namespace warp::cluster;
using testing::server_process;

namespace {

/// A warpd on ports of its own; its data outlives it.
class process {
public:
  process() { begin(); }
  void begin() {
    server_.emplace(WARPD_PROGRAM, std::vector<std::string>{},
                    std::map<std::string, std::string>{{"WARP_STORAGE_FOLDER", folder_ / "data"},
                                                       {"WARP_RPC_LISTEN", "127.0.0.1:0"},
                                                       {"WARP_HTTP_LISTEN", "127.0.0.1:0"},
                                                       {"WARP_RESP_LISTEN", "127.0.0.1:0"}});
    INFO(server_->log());
    REQUIRE(server_->wait_ready(std::chrono::seconds{120}));
  }
  [[nodiscard]] resp_client client() const {
    return resp_client{static_cast<std::uint16_t>(server_->resp_port())};
  }
  [[nodiscard]] server_process& operator*() { return *server_; }
  [[nodiscard]] server_process* operator->() { return &*server_; }

  /// Of the process, in bytes.
  [[nodiscard]] std::int64_t resident() const {
    std::ifstream statm{"/proc/" + std::to_string(server_->pid()) + "/statm"};
    std::int64_t all = 0, pages = 0;
    statm >> all >> pages;
    return pages * ::getpagesize();
  }
  /// The number that its next descriptor will have.
  [[nodiscard]] std::size_t next_file() const {
    const std::filesystem::path all{"/proc/" + std::to_string(server_->pid()) + "/fd"};
    std::size_t next = 0;
    while (std::filesystem::is_symlink(all / std::to_string(next))) ++next;
    return next;
  }
  /// From now on it may have descriptors below this number only; those above it stay.
  void allow_files(std::size_t count) const {
    const rlimit limit{.rlim_cur = count, .rlim_max = own_limit().rlim_max};
    REQUIRE(::prlimit(server_->pid(), RLIMIT_NOFILE, &limit, nullptr) == 0);
  }
  /// Processor time that it has used, milliseconds.
  [[nodiscard]] std::int64_t processor_ms() const {
    std::ifstream stat{"/proc/" + std::to_string(server_->pid()) + "/stat"};
    std::string word;
    for (int i = 0; i < 13; ++i) stat >> word;
    std::int64_t user = 0, system = 0;
    stat >> user >> system;
    return (user + system) * 1'000 / ::sysconf(_SC_CLK_TCK);
  }
  static rlimit own_limit() {
    rlimit limit{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
    return limit;
  }

private:
  testing::temp_folder folder_;
  std::optional<server_process> server_;
};

std::int64_t number_in(const std::string& info, const std::string& name) {
  const auto at = info.find(name + ":");
  return at == std::string::npos ? -1 : std::atoll(info.c_str() + at + name.size() + 1);
}

std::int64_t connected(resp_client& c) {
  return number_in(c.ask({"INFO", "clients"}), "connected_clients");
}

} // namespace

TEST_CASE("ten thousand idle connections cost little, and nobody else notices") {
  // As many as both processes may have, with what they need beside connections left.
  auto limit = process::own_limit();
  limit.rlim_cur = limit.rlim_max;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  process server;
  auto busy = server.client();
  CHECK(busy.ask({"SET", "n", "0"}) == "+OK\r\n");
  const auto room = limit.rlim_cur - std::min<rlim_t>(256, limit.rlim_cur / 4) - 200;
  const auto count = std::min<std::size_t>(9'999, room);
  const auto before = server.resident();
  std::vector<resp_client> idle;
  idle.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    idle.push_back(server.client());
    // Every tenth has done something: its buffers are given back.
    if (i % 10 == 0) REQUIRE(idle.back().ask({"PING"}) == "+PONG\r\n");
    if (i % 100 == 0)
      REQUIRE(busy.ask({"INCR", "n"}) == ":" + std::to_string(i / 100 + 1) + "\r\n");
  }
  await(busy, [&] { return connected(busy) == static_cast<std::int64_t>(count) + 1; });
  const auto each = (server.resident() - before) / static_cast<std::int64_t>(count);
  INFO(count << " idle connections, " << each << " bytes of the process each");
  if (WARP_SANITIZED == 0) CHECK(each < 4'096);
  if (count == 9'999) {
    auto too_many = server.client();
    CHECK(too_many.rest() == "-ERR max number of clients reached\r\n");
  }
  CHECK(idle[count / 2].ask({"GET", "n"}).starts_with("$"));
  idle.clear();
  await(busy, [&] { return connected(busy) == 1; });
}

TEST_CASE("a process with few descriptors keeps some for its log, and says why it refuses") {
  process server;
  server.allow_files(server.next_file() + 60);
  std::vector<resp_client> clients;
  std::string told;
  while (told.empty()) {
    REQUIRE(clients.size() < 60);
    clients.push_back(server.client());
    auto answer = clients.back().ask({"WARP.DURABILITY", "sync"});
    if (answer == "(closed)") answer = clients.back().rest(); // said before we had asked
    if (answer != "+OK\r\n") told = answer;
  }
  CHECK(told == "-ERR max number of clients reached\r\n");
  clients.pop_back();
  CHECK(clients.size() > 10);
  CHECK(server->log().find("raise the limit (ulimit -n") != std::string::npos);
  for (std::size_t i = 0; i < clients.size(); ++i)
    CHECK(clients[i].ask({"SET", "k" + std::to_string(i), "v"}) == "+OK\r\n");
  CHECK(clients[0].ask({"SAVE"}) == "+OK\r\n"); // files are made
  for (auto half = clients.size() / 2; half != 0; --half) clients.pop_back();
  await(clients[0],
        [&] { return connected(clients[0]) == static_cast<std::int64_t>(clients.size()); });
  CHECK(server.client().ask({"PING"}) == "+PONG\r\n");
}

TEST_CASE(
    "without any descriptor those who are there are served, and whoever waits gets in later") {
  if (WARP_SANITIZED != 0)
    SKIP(
        "the sanitizer looks at an object of a type that is new to it through a pipe, and takes it "
        "for a wrong one where it gets none");
  process server;
  auto good = server.client();
  CHECK(good.ask({"WARP.DURABILITY", "sync"}) == "+OK\r\n");
  CHECK(good.ask({"SET", "k", "0"}) == "+OK\r\n");
  const auto limit = process::own_limit().rlim_cur;
  const auto begun = std::chrono::steady_clock::now();
  server.allow_files(server.next_file());
  std::vector<resp_client> waiting;
  for (int i = 0; i < 20; ++i)
    waiting.push_back(server.client()); // the kernel has them in its queue
  for (auto& w : waiting) REQUIRE(w.send(resp_client::command({"INCR", "late"})));
  await(good,
        [&] { return server->log().find("cannot accept a connection") != std::string::npos; });
  const auto used = server.processor_ms();
  std::this_thread::sleep_for(
      std::chrono::milliseconds{600});       // what it does meanwhile is the subject
  CHECK(server.processor_ms() - used < 300); // it does not try without a pause
  for (int i = 1; i <= 50; ++i)
    REQUIRE(good.ask({"INCR", "k"}) == ":" + std::to_string(i) + "\r\n");
  server.allow_files(limit);
  std::vector<int> seen;
  for (auto& w : waiting) seen.push_back(std::atoi(w.reply().c_str() + 1));
  std::sort(seen.begin(), seen.end());
  for (std::size_t i = 0; i < seen.size(); ++i) CHECK(seen[i] == static_cast<int>(i) + 1);
  const auto log = server->log();
  std::int64_t lines = 0;
  for (auto at = log.find("cannot accept"); at != std::string::npos;
       at = log.find("cannot accept", at + 1))
    ++lines;
  CHECK(lines <= 1 + (std::chrono::steady_clock::now() - begun) / std::chrono::seconds{10});
}

TEST_CASE("a storm of connections that come and go in the middle of commands leaves nothing") {
  process server;
  auto good = server.client();
  const auto stream = resp_client::command({"SET", "storm", std::string(200, 's')}) +
                      resp_client::command({"GET", "storm"});
  std::vector<std::thread> threads;
  std::atomic<bool> over{false};
  for (unsigned t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      std::mt19937_64 random{t};
      for (int i = 0; i < 400; ++i) {
        auto c = server.client();
        switch (random() % 4) {
        case 0: // nothing at all
          break;
        case 1: // gone before the answer
          c.send(stream);
          break;
        case 2: // in the middle of a command, with a reset
          c.send(std::string_view{stream}.substr(0, 1 + random() % (stream.size() - 1)));
          c.close_with_reset();
          break;
        default:
          c.send(stream);
          if (c.reply() != "+OK\r\n" || c.reply() != bulk(std::string(200, 's'))) over = true;
        }
      }
    });
  for (int i = 1; i <= 500; ++i)
    REQUIRE(good.ask({"INCR", "n"}) == ":" + std::to_string(i) + "\r\n");
  for (auto& t : threads) t.join();
  CHECK_FALSE(over); // every answer was right
  await(good, [&] { return connected(good) == 1; });
  CHECK(number_in(good.ask({"INFO", "stats"}), "total_connections_received") == 1'601);
}

TEST_CASE("a stop lets answers leave whole, and what they say is there when it starts again") {
  const bool by_command = GENERATE(false, true);
  CAPTURE(by_command);
  process server;
  constexpr int writers = 4;
  std::vector<resp_client> clients;
  for (int w = 0; w < writers; ++w) clients.push_back(server.client());
  auto boss = server.client();
  std::vector<std::string> heard(writers);
  std::atomic<int> begun{0};
  std::vector<std::thread> threads;
  for (int w = 0; w < writers; ++w)
    threads.emplace_back([&, w] {
      const auto at = static_cast<std::size_t>(w);
      auto& c = clients[at];
      const std::string key = "w" + std::to_string(w);
      c.ask({"WARP.DURABILITY", w % 2 == 0 ? "sync" : "async"});
      std::thread sender{[&] {
        std::string pipeline;
        for (int i = 0; i < 16; ++i) pipeline += resp_client::command({"INCR", key});
        bool first = true;
        while (c.send(pipeline))
          if (std::exchange(first, false)) ++begun;
      }};
      heard[at] = c.rest();
      sender.join();
    });
  await(boss, [&] { return begun == writers; });
  await(boss, [&] { return boss.ask({"GET", "w0"}) != "$-1\r\n"; });
  if (by_command) {
    REQUIRE(boss.send(resp_client::command({"SHUTDOWN"})));
    CHECK(boss.rest().empty());
    CHECK(server->ended_cleanly());
  } else {
    CHECK(server->stop());
  }
  for (auto& t : threads) t.join();
  server.begin();
  auto c = server.client();
  for (int w = 0; w < writers; ++w) {
    const auto& all = heard[static_cast<std::size_t>(w)];
    REQUIRE(all.ends_with("\r\n"));
    // Replies are :1 :2 :3 ... without a hole; the last one was promised at least.
    std::istringstream lines{all};
    int last = 0;
    for (std::string line; std::getline(lines, line); ++last)
      REQUIRE(line == ":" + std::to_string(last + 1) + "\r");
    CHECK(last > 0);
    const auto kept = c.ask({"GET", "w" + std::to_string(w)});
    CHECK(std::atoi(kept.c_str() + kept.find('\n') + 1) >= last);
  }
}
