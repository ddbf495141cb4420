#include "tests/integration/resp_link.hpp"

#include <arpa/inet.h>
#include <cstdlib>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace warp::testing {

resp_link::resp_link(const std::string& address, std::chrono::milliseconds silence) {
  const auto colon = address.rfind(':');
  sockaddr_in at{};
  at.sin_family = AF_INET;
  if (colon == std::string::npos ||
      ::inet_pton(AF_INET, address.substr(0, colon).c_str(), &at.sin_addr) != 1)
    throw end{};
  at.sin_port = htons(static_cast<std::uint16_t>(std::atoi(address.c_str() + colon + 1)));
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (silence.count() != 0) {
    const timeval bound{.tv_sec = silence.count() / 1000,
                        .tv_usec = static_cast<suseconds_t>(silence.count() % 1000 * 1000)};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof bound);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &bound, sizeof bound);
  }
  if (::connect(fd_, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0) {
    ::close(fd_);
    throw end{};
  }
  const int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

resp_link::~resp_link() {
  if (fd_ >= 0) ::close(fd_);
}

resp_link::resp_link(resp_link&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), out_(std::move(other.out_)), in_(std::move(other.in_)),
      at_(std::exchange(other.at_, 0)) {}

resp_link& resp_link::operator=(resp_link&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(out_, other.out_);
  std::swap(in_, other.in_);
  std::swap(at_, other.at_);
  return *this;
}

void resp_link::add(const std::vector<std::string>& words) {
  out_ += "*" + std::to_string(words.size()) + "\r\n";
  for (const auto& w : words) {
    out_ += "$" + std::to_string(w.size());
    out_ += "\r\n" + w + "\r\n";
  }
}

void resp_link::send() {
  for (std::size_t done = 0; done < out_.size();) {
    const auto n = ::send(fd_, out_.data() + done, out_.size() - done, MSG_NOSIGNAL);
    if (n <= 0) throw end{.answered = true};
    done += static_cast<std::size_t>(n);
  }
  out_.clear();
}

void resp_link::more() {
  in_.erase(0, std::exchange(at_, 0));
  char bytes[64 * 1024];
  const auto n = ::recv(fd_, bytes, sizeof bytes, 0);
  if (n <= 0) throw end{.answered = true};
  in_.append(bytes, static_cast<std::size_t>(n));
}

std::string resp_link::line() {
  for (;;) {
    if (const auto found = in_.find("\r\n", at_); found != std::string::npos) {
      auto text = in_.substr(at_, found - at_);
      at_ = found + 2;
      return text;
    }
    more();
  }
}

std::string resp_link::reply() {
  auto head = line();
  if (!head.starts_with("$") || head == "$-1") return head;
  const auto size = static_cast<std::size_t>(std::atoll(head.c_str() + 1));
  while (in_.size() - at_ < size + 2) more();
  auto value = "$" + in_.substr(at_, size);
  at_ += size + 2;
  return value;
}

std::string resp_link::ask(const std::vector<std::string>& words) {
  add(words);
  send();
  return reply();
}

} // namespace warp::testing
