// A load generator for servers that speak RESP, at less than 0.3 us of its own per operation in
// pipelines: so that what is measured is the server. One thread, one epoll, requests that are
// patched templates, answers of known length that are compared rather than parsed.
//
//     resp_load --port P [--host 127.0.0.1] [--op set|get|ping] [--pipeline N]
//               [--connections N] [--seconds S] [--keys N] [--value N] [--fill]
//
// Each connection sends a pipeline and waits for all its answers. Prints one line of JSON. An
// answer that is not the expected one ends it with code 1 and says what came. --fill sets each of
// the keys once and ends.

#include "tests/bench/histogram.hpp"
#include "tests/bench/process_usage.hpp"
#include "tests/bench/random.hpp"
#include "tests/bench/stopwatch.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace {

using namespace warp::bench;

struct demand {
  std::string host = "127.0.0.1", op = "get";
  std::uint16_t port = 7379;
  std::size_t pipeline = 1, connections = 50, value = 100;
  std::uint64_t keys = 1'000'000;
  double seconds = 3;
  bool fill = false;
};

[[noreturn]] void die(const std::string& why) {
  std::fprintf(stderr, "resp_load: %s\n", why.c_str());
  std::_Exit(1);
}

constexpr std::size_t digits = 12; // of a key: "key:000000000042", as redis-benchmark makes them

/// One request and the answer it must get.
struct exchange {
  std::string request, answer;
  std::size_t key_at = 0; // of its digits in the request; 0: no key

  explicit exchange(const demand& d) {
    const std::string key = "key:" + std::string(digits, '0');
    const std::string value(d.value, 'x');
    if (d.op == "set") {
      request = fmt::format("*3\r\n$3\r\nSET\r\n${}\r\n{}\r\n${}\r\n{}\r\n", key.size(), key,
                            value.size(), value);
      answer = "+OK\r\n";
    } else if (d.op == "get") {
      request = fmt::format("*2\r\n$3\r\nGET\r\n${}\r\n{}\r\n", key.size(), key);
      answer = fmt::format("${}\r\n{}\r\n", value.size(), value);
    } else {
      request = "*1\r\n$4\r\nPING\r\n";
      answer = "+PONG\r\n";
    }
    if (const auto at = request.find("key:"); at != request.npos) key_at = at + 4;
  }
};

/// Two digits at a time.
void write_digits(char* to, std::uint64_t number) noexcept {
  static const auto pairs = [] {
    std::array<char, 200> p{};
    for (std::size_t i = 0; i < 100; ++i) {
      p[2 * i] = static_cast<char>('0' + i / 10);
      p[2 * i + 1] = static_cast<char>('0' + i % 10);
    }
    return p;
  }();
  for (std::size_t at = digits; at != 0; number /= 100) {
    at -= 2;
    std::memcpy(to + at, &pairs[2 * (number % 100)], 2);
  }
}

struct connection {
  int socket = -1;
  std::string out;         // a pipeline of requests
  std::size_t sent = 0;    // of `out`
  std::size_t missing = 0; // bytes of answers
  std::size_t asked = 0;   // requests in `out` now
  std::uint64_t began = 0; // ticks
};

class load {
public:
  explicit load(const demand& d)
      : demand_(d), exchange_(d), connections_(d.connections), random_(d.port + 1) {
    for (std::size_t i = 0; i < d.pipeline; ++i) expected_ += exchange_.answer;
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    for (std::size_t i = 0; i < connections_.size(); ++i) {
      auto& c = connections_[i];
      for (std::size_t n = 0; n < d.pipeline; ++n) c.out += exchange_.request;
      c.socket = connect();
      epoll_event event{.events = EPOLLIN, .data = {.u64 = i}};
      ::epoll_ctl(epoll_, EPOLL_CTL_ADD, c.socket, &event);
    }
    received_.resize(std::max<std::size_t>(expected_.size(), 64 * 1024));
  }

  void run() {
    const auto used = process_usage::now();
    const auto began = std::chrono::steady_clock::now();
    const auto until = began + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                                   std::chrono::duration<double>(demand_.seconds));
    for (auto& c : connections_) begin(c);
    std::array<epoll_event, 64> events;
    bool over = false;
    while (waiting_ != 0) {
      const int n = ::epoll_wait(epoll_, events.data(), events.size(), 10'000);
      if (n == 0) die("no answer for 10 s");
      if (n < 0 && errno != EINTR) die(std::strerror(errno));
      over = over || (!demand_.fill && std::chrono::steady_clock::now() >= until);
      for (int i = 0; i < n; ++i) {
        const auto& event = events[static_cast<std::size_t>(i)];
        auto& c = connections_[event.data.u64];
        if (event.events & EPOLLOUT) {
          epoll_event quiet{.events = EPOLLIN, .data = {.u64 = event.data.u64}};
          ::epoll_ctl(epoll_, EPOLL_CTL_MOD, c.socket, &quiet);
          send(c);
        }
        if (event.events & ~static_cast<unsigned>(EPOLLOUT) && receive(c) && !over) begin(c);
      }
    }
    const auto seconds = seconds_since(began);
    const auto cpu = (process_usage::now() - used).cpu_seconds;
    fmt::print("{{\"operations\": {}, \"seconds\": {:.6f}, \"operations_per_second\": {:.1f}, "
               "\"p50_us\": {:.2f}, \"p99_us\": {:.2f}, \"max_us\": {:.2f}, "
               "\"client_cpu_us_per_operation\": {:.4f}, \"client_busy\": {:.4f}}}\n",
               done_, seconds, static_cast<double>(done_) / seconds, us(0.5), us(0.99), us(1),
               cpu * 1e6 / static_cast<double>(done_), cpu / seconds);
  }

private:
  int connect() const {
    const int s = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(demand_.port);
    if (::inet_pton(AF_INET, demand_.host.c_str(), &address.sin_addr) != 1)
      die("no IPv4 address: " + demand_.host);
    if (::connect(s, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      die(fmt::format("{}:{}: {}", demand_.host, demand_.port, std::strerror(errno)));
    const int on = 1;
    ::setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::fcntl(s, F_SETFL, O_NONBLOCK);
    return s;
  }

  /// The next pipeline of a connection; none when all is filled.
  void begin(connection& c) {
    c.asked = demand_.pipeline;
    if (demand_.fill) c.asked = std::min<std::uint64_t>(c.asked, demand_.keys - filled_);
    if (c.asked == 0) return;
    if (exchange_.key_at != 0)
      for (std::size_t i = 0; i < c.asked; ++i)
        write_digits(c.out.data() + i * exchange_.request.size() + exchange_.key_at,
                     demand_.fill ? filled_++ : random_.below(demand_.keys));
    c.sent = 0;
    c.missing = c.asked * exchange_.answer.size();
    c.began = stopwatch::ticks();
    ++waiting_;
    send(c);
  }

  void send(connection& c) {
    const auto all = c.asked * exchange_.request.size();
    while (c.sent < all) {
      const auto n = ::send(c.socket, c.out.data() + c.sent, all - c.sent, MSG_NOSIGNAL);
      if (n > 0) {
        c.sent += static_cast<std::size_t>(n);
        continue;
      }
      if (errno == EINTR) continue;
      if (errno != EAGAIN) die(std::string{"send: "} + std::strerror(errno));
      epoll_event event{.events = EPOLLIN | EPOLLOUT,
                        .data = {.u64 = static_cast<std::uint64_t>(&c - connections_.data())}};
      ::epoll_ctl(epoll_, EPOLL_CTL_MOD, c.socket, &event);
      return;
    }
  }

  /// Takes what there is; true when the pipeline is answered.
  bool receive(connection& c) {
    const auto n = ::recv(c.socket, received_.data(), received_.size(), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (n <= 0) die(n == 0 ? "the server closed a connection" : std::strerror(errno));
    const auto size = static_cast<std::size_t>(n);
    const auto at = c.asked * exchange_.answer.size() - c.missing; // of the answers, all in all
    if (size > c.missing || std::memcmp(received_.data(), expected_.data() + at, size) != 0)
      die("unexpected answer: " + std::string{received_.data(), std::min<std::size_t>(size, 200)});
    c.missing -= size;
    if (c.missing != 0) return false;
    latency_.add(stopwatch::ticks() - c.began);
    done_ += c.asked;
    --waiting_;
    return true;
  }

  [[nodiscard]] double us(double share) const { return clock_.ns(latency_.at(share)) / 1e3; }

  const demand demand_;
  const exchange exchange_;
  std::string expected_; // the answers to a whole pipeline
  std::vector<connection> connections_;
  std::vector<char> received_;
  fast_random random_;
  stopwatch clock_;
  histogram latency_;
  int epoll_ = -1;
  std::size_t waiting_ = 0; // connections
  std::uint64_t done_ = 0, filled_ = 0;
};

} // namespace

int main(int argc, char** argv) {
  demand d;
  CLI::App app{"Loads a server that speaks RESP and prints what it did as JSON."};
  app.add_option("--host", d.host, "IPv4 address");
  app.add_option("--port", d.port, "TCP port");
  app.add_option("--op", d.op, "what to send")->check(CLI::IsMember({"set", "get", "ping"}));
  app.add_option("--pipeline", d.pipeline, "requests in a pipeline")->check(CLI::Range(1, 10'000));
  app.add_option("--connections", d.connections, "connections")->check(CLI::Range(1, 10'000));
  app.add_option("--seconds", d.seconds, "how long")->check(CLI::Range(0.01, 3600.0));
  app.add_option("--keys", d.keys, "keys, drawn uniformly")->check(CLI::Range(1u, 4'000'000'000u));
  app.add_option("--value", d.value, "bytes of a value")->check(CLI::Range(0, 1'000'000));
  app.add_flag("--fill", d.fill, "set each key once and end");
  CLI11_PARSE(app, argc, argv);
  if (d.fill) d.op = "set";
  load{d}.run();
}
