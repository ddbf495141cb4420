#include "cluster/links/link_door.hpp"

#include "cluster/links/link_handshake.hpp"
#include "cluster/links/link_messages.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <new>
#include <poll.h>
#include <pthread.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

namespace warp::cluster::links {

namespace {

constexpr std::size_t guests_max = 64;

/// Whether the node that says hello may link to us.
op_status judge(network_core& core, const node_identity& peer) {
  if (auto status = judge_peer(core.self, peer); !status.ok()) return status;
  const auto state = core.find(peer.node);
  if (!state || !state->address())
    return {op_code::unavailable,
            fmt::format("node {} is not in the list of nodes of node {} (yet)", peer.node.value,
                        core.self.node.value)};
  if (!caf::actor_cast<caf::actor>(state->link()))
    return {op_code::unavailable, fmt::format("the link of node {} to node {} is only starting",
                                              core.self.node.value, peer.node.value)};
  return state->accept(peer);
}

} // namespace

op_result<std::unique_ptr<link_door>> link_door::open(network_core& core, std::uint16_t port,
                                                      caf::actor_addr agent) {
  auto listener =
      listen_socket::open(to_string({core.options.listen.host, port}), "cluster.listen");
  if (!listener.ok()) return listener.status();
  const int wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake < 0)
    return op_status{op_code::unavailable,
                     fmt::format("no descriptor to listen with: {}", std::strerror(errno))};
  std::unique_ptr<link_door> door{
      new link_door{core, std::move(*listener), wake, std::move(agent)}};
  door->thread_ = std::thread{[me = door.get()] { me->run(); }};
  return door;
}

link_door::link_door(network_core& core, listen_socket listener, int wake, caf::actor_addr agent)
    : core_(core), listener_(std::move(listener)), wake_(wake), agent_(std::move(agent)) {}

link_door::~link_door() {
  {
    std::lock_guard guard{mutex_};
    closed_ = true;
    for (auto* guest : guests_) ::shutdown(guest->fd(), SHUT_RDWR);
  }
  changed_.notify_all();
  const std::uint64_t one = 1;
  static_cast<void>(::write(wake_, &one, sizeof one));
  if (thread_.joinable()) thread_.join();
  ::close(wake_);
  std::unique_lock lock{mutex_};
  changed_.wait(lock, [&] { return threads_ == 0; });
}

void link_door::run() {
  ::pthread_setname_np(::pthread_self(), "node-door");
  for (;;) {
    std::array<pollfd, 2> polled{{{listener_.fd(), POLLIN, 0}, {wake_, POLLIN, 0}}};
    if (::poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) break;
    if (polled[1].revents != 0) return;
    const int fd = ::accept4(listener_.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      receive(fd);
      continue;
    }
    if (errno == EBADF || errno == EINVAL || errno == ENOTSOCK) break;
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      spdlog::error("node {}: cannot accept a node: {}", core_.self.node.value,
                    std::strerror(errno));
      // It stays in the queue: until something was closed, or for a while.
      ::poll(&polled[1], 1, 1'000);
    }
  }
  const auto why = fmt::format("cannot accept connections: {}", std::strerror(errno));
  if (auto agent = caf::actor_cast<caf::actor>(agent_))
    caf::anon_send(agent, door_failed_atom_v, why);
}

void link_door::receive(int fd) {
  auto socket = std::make_unique<link_socket>(fd);
  {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [&] { return closed_ || threads_ < guests_max; });
    if (closed_) return;
    guests_.insert(socket.get());
    ++threads_;
  }
  auto* const guest = socket.get();
  try {
    std::thread{[this, guest] { shake_hands(std::unique_ptr<link_socket>{guest}); }}.detach();
    static_cast<void>(socket.release()); // NOLINT: the thread has it
  } catch (const std::system_error&) {
    std::lock_guard guard{mutex_};
    guests_.erase(guest);
    --threads_;
  }
}

op_status link_door::meet(std::unique_ptr<link_socket>& socket) {
  const auto until = std::chrono::steady_clock::now() + core_.options.dial_max;
  if (core_.options.tls) {
    const auto context = load(*core_.options.tls); // again: they may have been replaced
    if (!context.ok()) return context.status();
    if (auto status = socket->secure_as_server(**context, until); !status.ok()) return status;
  }
  if (auto status = greet(*socket, until); !status.ok()) return status;
  const auto peer = hear(*socket, until);
  if (!peer.ok()) return {}; // it only looked, or is no node
  const auto status = judge(core_, *peer);
  if (!status.ok()) spdlog::warn("a node is refused: {}", status.message());
  if (status.ok()) { // who is told that it is welcome is let in, also when the door closes
    std::lock_guard guard{mutex_};
    guests_.erase(socket.get());
  }
  if (!answer(*socket, {status, core_.self}, until).ok() || !status.ok()) return {};
  if (const auto link = caf::actor_cast<caf::actor>(core_.find(peer->node)->link()))
    caf::anon_send(link, attach_atom_v, std::make_shared<linked_peer>(*peer, std::move(socket)));
  return {};
}

void link_door::shake_hands(std::unique_ptr<link_socket> socket) {
  auto* const guest = socket.get();
  try {
    if (const auto status = meet(socket); !status.ok())
      spdlog::debug("node {}: somebody connects and is no node: {}", core_.self.node.value,
                    status.message());
  } catch (const std::bad_alloc&) {
    spdlog::error("node {}: no memory to let a node in", core_.self.node.value);
  }
  std::lock_guard guard{mutex_}; // until the last: the door may be gone after that
  guests_.erase(guest);
  --threads_;
  changed_.notify_all();
}

} // namespace warp::cluster::links
