#include "tests/support/server_process.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sstream>
#include <stdexcept>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace warp::testing {

namespace {

std::string read_file(const std::string& path) {
  std::ifstream in{path};
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

} // namespace

server_process::server_process(const std::string& program, std::vector<std::string> arguments,
                               const std::map<std::string, std::string>& environment) {
  auto pattern = (std::filesystem::temp_directory_path() / "warp-server-XXXXXX").string();
  if (!mkdtemp(pattern.data())) throw std::runtime_error("cannot create " + pattern);
  scratch_ = pattern;
  arguments.insert(arguments.begin(), program);
  arguments.insert(arguments.end(), {"--port-file", scratch_ + "/ports.json"});
  std::vector<std::string> variables;
  for (char** v = environ; *v; ++v) variables.emplace_back(*v);
  for (const auto& [name, value] : environment) variables.push_back(name + "=" + value);
  std::vector<char*> argv, envp;
  for (auto& a : arguments) argv.push_back(a.data());
  for (auto& v : variables) envp.push_back(v.data());
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  const auto log_path = scratch_ + "/log";
  pid_ = fork();
  if (pid_ == 0) {
    // Only async-signal-safe calls here: this process has threads.
    const int log = open(log_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    dup2(log, 1);
    dup2(log, 2);
    execve(program.c_str(), argv.data(), envp.data());
    _exit(127);
  }
  if (pid_ < 0) throw std::runtime_error("cannot start " + program);
}

server_process::~server_process() {
  if (pid_ > 0) kill();
  std::error_code ignored;
  std::filesystem::remove_all(scratch_, ignored);
}

bool server_process::wait_ready(std::chrono::milliseconds bound) {
  const auto deadline = std::chrono::steady_clock::now() + bound;
  const int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  inotify_add_watch(watch, scratch_.c_str(), IN_MOVED_TO | IN_CLOSE_WRITE);
  bool ready = false;
  while (!ready) {
    const auto text = read_file(scratch_ + "/ports.json");
    const auto ports = nlohmann::json::parse(text, nullptr, false);
    if (ports.is_object()) {
      rpc_port_ = ports.value("rpc", 0);
      resp_port_ = ports.value("resp", 0);
      http_port_ = ports.value("http", 0);
      ready = true;
      break;
    }
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      break;
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) break;
    pollfd poll_fd{.fd = watch, .events = POLLIN, .revents = 0};
    poll(&poll_fd, 1,
         static_cast<int>(
             std::min<long>(left.count(), 200))); // its end makes no event: looked at now and then
    char events[4096];
    while (read(watch, events, sizeof events) > 0) {
    }
  }
  close(watch);
  return ready;
}

void server_process::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  wait_end();
}

bool server_process::stop() {
  if (pid_ <= 0) return false;
  ::kill(pid_, SIGTERM);
  return ended_cleanly();
}

bool server_process::ended_cleanly() {
  if (pid_ <= 0) return false;
  const int status = wait_end();
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int server_process::wait_end() {
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return status;
}

std::string server_process::log() const {
  return read_file(scratch_ + "/log");
}

} // namespace warp::testing
