// The server with several I/O threads: who listens, who serves, and what others see of it.
#include "cluster/listen_socket.hpp"
#include "cluster/rpc_server.hpp"
#include "tests/cluster/rpc_fixture.hpp"

#include <catch2/generators/catch_generators.hpp>
#include <filesystem>
#include <fstream>
#include <sched.h>
#include <thread>

namespace warp::cluster {
namespace {

using namespace std::chrono_literals;

std::string address_of(const rpc_fixture& f) {
  return "127.0.0.1:" + std::to_string(f.server->port());
}

/// The line of /proc/self/task/N/status that begins so, of each thread whose name begins so.
std::vector<std::string> status_lines(const std::string& thread, const std::string& begin) {
  std::vector<std::string> found;
  for (const auto& task : std::filesystem::directory_iterator{"/proc/self/task"}) {
    std::string name, line;
    std::getline(std::ifstream{task.path() / "comm"}, name);
    if (!name.starts_with(thread)) continue;
    std::ifstream status{task.path() / "status"};
    while (std::getline(status, line))
      if (line.starts_with(begin)) found.push_back(line.substr(begin.size()));
  }
  return found;
}

int first_cpu_allowed() {
  cpu_set_t set;
  REQUIRE(::sched_getaffinity(0, sizeof set, &set) == 0);
  int cpu = 0;
  while (!CPU_ISSET(cpu, &set)) ++cpu;
  return cpu;
}

TEST_CASE("every thread serves as many connections, whoever accepts them", "[cluster][rpc]") {
  rpc_server_options options;
  options.threads = 4;
  options.listeners_max = GENERATE(0u, 1u, 2u);
  CAPTURE(options.listeners_max);
  rpc_fixture f{false, options};
  std::vector<std::unique_ptr<client>> clients;
  for (std::size_t i = 1; i <= 12; ++i) {
    clients.push_back(f.connect());
    const auto counts = f.server->connections_by_thread();
    CHECK(std::ranges::max(counts) - std::ranges::min(counts) <= 1);
    CHECK(clients.back()->put("key" + std::to_string(i), "value").ok());
  }
  CHECK(f.server->connections_by_thread() == std::vector<std::size_t>{3, 3, 3, 3});
  CHECK(f.server->counters().connections_opened == 12);
  CHECK(f.server->counters().operations == 12);
}

TEST_CASE("the limit on connections is exact over all threads", "[cluster][rpc]") {
  rpc_server_options server_options;
  server_options.threads = 4;
  server_options.connections_max = 10;
  rpc_fixture f{false, server_options};
  auto options = f.options();
  options.connect_deadline = 0ms;
  std::vector<std::unique_ptr<client>> clients(30);
  {
    std::vector<std::jthread> all;
    for (auto& c : clients)
      all.emplace_back([&] {
        if (auto connected = client::connect(options)) c = std::move(*connected);
      });
  }
  CHECK(std::ranges::count_if(clients, [](auto& c) { return c != nullptr; }) == 10);
  CHECK(f.server->counters().connections_open == 10);
  CHECK(f.server->counters().connections_refused >= 20); // a client tries more than once

  // One that leaves makes room for exactly one.
  for (auto& c : clients)
    if (c) {
      c.reset();
      break;
    }
  while (f.server->counters().connections_open == 10) std::this_thread::yield();
  CHECK(client::connect(options).ok());
}

TEST_CASE("a port that several threads share is in use for everybody else", "[cluster][rpc]") {
  rpc_server_options options;
  options.threads = 3;
  rpc_fixture f{false, options};
  for (const std::size_t threads : {1, 3}) {
    const auto second =
        rpc_server::start({.listen = address_of(f), .threads = threads}, *f.engine, nullptr);
    CHECK(second.code() == op_code::unavailable);
    CHECK(second.status().message().find(std::to_string(f.server->port())) != std::string::npos);
  }
  CHECK(listen_socket::open(address_of(f), "x").code() == op_code::unavailable);
  CHECK(f.connect()->ping().ok());
}

TEST_CASE("several threads listen again on the port of the server before them", "[cluster][rpc]") {
  rpc_server_options options;
  options.threads = 3;
  rpc_fixture f{false, options};
  const auto c = f.connect();
  REQUIRE(c->put("key", "value").ok());
  for (int i = 0; i < 3; ++i) {
    options.listen = address_of(f);
    f.server->stop(); // with a client connected, whose side is closed later
    auto next = rpc_server::start(options, *f.engine, nullptr);
    INFO(next.status().to_string());
    REQUIRE(next.ok());
    f.server = std::move(*next);
    CHECK(c->get("key").value == "value");
  }
}

TEST_CASE("a socket beside another one takes a share of the connections", "[cluster][rpc]") {
  const std::string host = GENERATE("127.0.0.1", "*");
  auto first = listen_socket::open(host + ":0", "x");
  REQUIRE(first.ok());
  auto second = listen_socket::open_beside(*first);
  if (second.code() == op_code::not_supported) SKIP(second.status().message());
  REQUIRE(second.ok());
  CHECK(second->port() == first->port());
  CHECK(listen_socket::open("127.0.0.1:" + std::to_string(first->port()), "x").code() ==
        op_code::unavailable);
}

TEST_CASE("the I/O threads run on the CPUs they were given", "[cluster][rpc]") {
  const auto cpu = std::to_string(first_cpu_allowed());
  rpc_server_options options;
  options.threads = 2;
  options.cpus = cpu;
  rpc_fixture f{false, options};
  REQUIRE(f.connect()->ping().ok());
  REQUIRE(f.connect()->ping().ok()); // each thread has served one
  CHECK(status_lines("rpc-io-", "Cpus_allowed_list:\t") == std::vector<std::string>{cpu, cpu});
}

TEST_CASE("CPUs that make no sense or are not there are refused", "[cluster][rpc]") {
  rpc_fixture f{false};
  for (const std::string cpus : {"two", "1023"}) {
    const auto s = rpc_server::start({.listen = "127.0.0.1:0", .cpus = cpus}, *f.engine, nullptr);
    CHECK(s.code() == op_code::invalid_argument);
    CHECK(s.status().message().find("rpc.cpus") != std::string::npos);
    CHECK(s.status().message().find(cpus) != std::string::npos);
  }
}

TEST_CASE("a quarter of the cores serves clients", "[cluster][rpc]") {
  CHECK(rpc_server::threads_for(0) == 1); // nobody knows how many
  CHECK(rpc_server::threads_for(1) == 1);
  CHECK(rpc_server::threads_for(7) == 1);
  CHECK(rpc_server::threads_for(8) == 2);
  CHECK(rpc_server::threads_for(64) == 16);
  CHECK(rpc_server::threads_for(256) == 16);
}

} // namespace
} // namespace warp::cluster
