#include "tests/support/etcd_process.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <poll.h>
#include <random>
#include <sstream>
#include <stdexcept>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

extern char** environ;

namespace warp::testing {

namespace {

bool is_free(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  const bool free = ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return free;
}

int free_port() {
  // Below the range from which the system takes ports for outgoing connections.
  static std::mt19937 random{std::random_device{}()};
  for (;;) {
    const int port = std::uniform_int_distribution{15'000, 30'000}(random);
    if (is_free(port)) return port;
  }
}

std::string address(const std::string& scheme, int port) {
  return scheme + "://127.0.0.1:" + std::to_string(port);
}

} // namespace

etcd_process::etcd_process(etcd_tls tls) : tls_(std::move(tls)) {
  // Somebody may take a port between the look at it and the start.
  for (int tries = 5;; --tries) {
    choose_ports();
    try {
      start();
      return;
    } catch (const std::runtime_error&) {
      if (tries == 1 || log().find("address already in use") == std::string::npos) throw;
    }
  }
}

etcd_process::~etcd_process() {
  kill();
}

void etcd_process::choose_ports() {
  client_port_ = free_port();
  do peer_port_ = free_port();
  while (peer_port_ == client_port_);
  endpoint_ = address(tls_.ca_file.empty() ? "http" : "https", client_port_);
}

void etcd_process::start() {
  const auto peer = address("http", peer_port_);
  std::vector<std::string> words{"etcd",
                                 "--name=test",
                                 "--data-dir=" + folder_ / "data-" + std::to_string(client_port_),
                                 "--listen-client-urls=" + endpoint_,
                                 "--advertise-client-urls=" + endpoint_,
                                 "--listen-peer-urls=" + peer,
                                 "--initial-advertise-peer-urls=" + peer,
                                 "--initial-cluster=test=" + peer,
                                 "--heartbeat-interval=10", // it elects itself: be quick about it
                                 "--election-timeout=100"};
  if (!tls_.ca_file.empty())
    for (const auto& word :
         {"--cert-file=" + tls_.cert_file, "--key-file=" + tls_.key_file,
          "--trusted-ca-file=" + tls_.ca_file, std::string{"--client-cert-auth=true"}})
      words.push_back(word);
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::vector<char*> envp; // without settings that the caller has for an etcd of its own
  for (char** v = environ; *v != nullptr; ++v)
    if (std::string_view{*v}.substr(0, 5) != "ETCD_") envp.push_back(*v);
  envp.push_back(nullptr);
  const auto log_path = folder_ / "log";
  ::unlink(log_path.c_str());
  pid_ = ::fork();
  if (pid_ == 0) {
    // Only async-signal-safe calls here: this process has threads.
    const int to = ::open(log_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    ::dup2(to, 1);
    ::dup2(to, 2);
    ::execvpe("etcd", argv.data(), envp.data());
    ::_exit(127);
  }
  if (pid_ < 0) throw std::runtime_error("cannot fork");
  if (!wait_ready(std::chrono::seconds{120})) {
    kill();
    throw std::runtime_error("etcd does not start (is etcd-server installed?): " + log());
  }
}

bool etcd_process::wait_ready(std::chrono::milliseconds bound) {
  const auto deadline = std::chrono::steady_clock::now() + bound;
  const int watch = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  ::inotify_add_watch(watch, folder_.path().c_str(), IN_MODIFY);
  bool ready = false;
  while (!ready) {
    if (log().find("ready to serve client requests") != std::string::npos) {
      ready = true;
      break;
    }
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      break;
    }
    if (std::chrono::steady_clock::now() > deadline) break;
    pollfd waiting{.fd = watch, .events = POLLIN, .revents = 0};
    ::poll(&waiting, 1, 100); // its end makes no event
    char events[4'096];
    while (::read(watch, events, sizeof events) > 0) {
    }
  }
  ::close(watch);
  return ready;
}

void etcd_process::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

void etcd_process::pause() {
  ::kill(pid_, SIGSTOP);
  int status = 0;
  ::waitpid(pid_, &status, WUNTRACED); // until it stands
}

void etcd_process::resume() {
  ::kill(pid_, SIGCONT);
}

std::string etcd_process::log() const {
  std::ifstream in{folder_ / "log"};
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

} // namespace warp::testing
