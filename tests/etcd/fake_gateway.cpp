#include "tests/etcd/fake_gateway.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <chrono>
#include <poll.h>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>

namespace warp::testing {

namespace {

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

bool send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

void reset(int fd) {
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

/// Length of the first whole request in `bytes`, 0: there is none yet.
std::size_t whole_request(const std::string& bytes, std::size_t& head) {
  head = bytes.find("\r\n\r\n");
  if (head == std::string::npos) return 0;
  head += 4;
  const auto at = bytes.find("Content-Length: ");
  const auto length = at < head ? std::stoul(bytes.substr(at + 16)) : 0;
  return bytes.size() >= head + length ? head + length : 0;
}

} // namespace

fake_gateway::fake_gateway(script react) : react_(std::move(react)) {
  listen_fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  auto address = loopback(0);
  socklen_t size = sizeof address;
  if (::bind(listen_fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listen_fd_, 64) != 0 ||
      ::getsockname(listen_fd_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    throw std::runtime_error("cannot listen");
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread{[this] { accept_all(); }};
}

fake_gateway::fake_gateway(int port, cutter cut) : fake_gateway(script{}) {
  std::lock_guard lock{mutex_};
  to_port_ = port;
  cut_ = std::move(cut);
}

fake_gateway::~fake_gateway() {
  {
    std::lock_guard lock{mutex_};
    stopping_ = true;
    for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
  }
  changed_.notify_all();
  ::shutdown(listen_fd_, SHUT_RDWR);
  acceptor_.join();
  for (auto& thread : threads_) thread.join();
  ::close(listen_fd_);
}

void fake_gateway::accept_all() {
  for (;;) {
    const int fd = ::accept4(listen_fd_, nullptr, nullptr, SOCK_CLOEXEC);
    std::lock_guard lock{mutex_};
    if (stopping_ || fd < 0) {
      if (fd >= 0) ::close(fd);
      return;
    }
    ++connections_;
    open_.push_back(fd);
    threads_.emplace_back([this, fd, forwards = to_port_ != 0] {
      forwards ? forward(fd) : serve(fd);
      std::lock_guard closing{mutex_};
      std::erase(open_, fd);
      ::close(fd);
    });
  }
}

void fake_gateway::serve(int fd) {
  std::string bytes;
  for (;;) {
    std::size_t head = 0, whole = 0;
    while ((whole = whole_request(bytes, head)) == 0) {
      char piece[4'096];
      const auto got = ::recv(fd, piece, sizeof piece, 0);
      if (got <= 0) return;
      bytes.append(piece, static_cast<std::size_t>(got));
    }
    request taken;
    const auto path = bytes.find(' ') + 1;
    taken.path = bytes.substr(path, bytes.find(' ', path) - path);
    taken.body = bytes.substr(head, whole - head);
    bytes.erase(0, whole);
    int released = 0;
    {
      std::lock_guard lock{mutex_};
      taken.number = static_cast<int>(requests_.size()) + 1;
      requests_.push_back(taken);
      released = released_;
    }
    changed_.notify_all();
    const auto reaction = react_(taken);
    if (reaction.forget) {
      reset(fd);
      return;
    }
    if (!send_all(fd, reaction.bytes)) return;
    if (reaction.stall) {
      std::unique_lock lock{mutex_};
      changed_.wait(lock, [&] { return stopping_ || released_ != released; });
      if (stopping_) return;
    }
    if (reaction.close) return;
  }
}

void fake_gateway::forward(int fd) {
  const int to = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto address = loopback(to_port_);
  if (::connect(to, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    std::string asked, answered;
    int number = 0;
    pollfd both[2] = {{.fd = fd, .events = POLLIN, .revents = 0},
                      {.fd = to, .events = POLLIN, .revents = 0}};
    for (bool open = true; open && ::poll(both, 2, -1) > 0;) {
      char piece[4'096];
      if (both[0].revents != 0) {
        const auto got = ::recv(fd, piece, sizeof piece, 0);
        if (got <= 0) break;
        asked.append(piece, static_cast<std::size_t>(got));
        std::size_t head = 0;
        if (const auto whole = whole_request(asked, head); whole != 0) {
          std::lock_guard lock{mutex_};
          const auto path = asked.find(' ') + 1;
          number = static_cast<int>(requests_.size()) + 1;
          requests_.push_back({asked.substr(path, asked.find(' ', path) - path),
                               asked.substr(head, whole - head), number});
          asked.erase(0, whole);
          answered.clear();
          changed_.notify_all();
        }
        open = send_all(to, {piece, static_cast<std::size_t>(got)});
      }
      if (both[1].revents != 0) {
        const auto got = ::recv(to, piece, sizeof piece, 0);
        if (got <= 0) break;
        const auto before = answered.size();
        answered.append(piece, static_cast<std::size_t>(got));
        const auto allowed = cut_(number, answered.size());
        const auto now = std::min(allowed, answered.size());
        if (now > before) send_all(fd, std::string_view{answered}.substr(before, now - before));
        open = allowed >= answered.size();
      }
    }
  }
  reset(fd);
  ::close(to);
}

std::vector<fake_gateway::request> fake_gateway::requests() const {
  std::lock_guard lock{mutex_};
  return requests_;
}

int fake_gateway::connections() const {
  std::lock_guard lock{mutex_};
  return connections_;
}

bool fake_gateway::wait_for_requests(int count) {
  std::unique_lock lock{mutex_};
  return changed_.wait_for(lock, std::chrono::minutes{1},
                           [&] { return static_cast<int>(requests_.size()) >= count; });
}

void fake_gateway::release() {
  {
    std::lock_guard lock{mutex_};
    ++released_;
  }
  changed_.notify_all();
}

void fake_gateway::drop_connections() {
  std::lock_guard lock{mutex_};
  for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
}

std::string http_answer(const std::string& body, int status) {
  return "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Type: application/json\r\n" +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string header_json(unsigned long cluster, unsigned long revision) {
  return R"("header":{"cluster_id":")" + std::to_string(cluster) +
         R"(","member_id":"1","revision":")" + std::to_string(revision) + R"("})";
}

} // namespace warp::testing
