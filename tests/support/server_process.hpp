#pragma once

#include <chrono>
#include <map>
#include <string>
#include <sys/types.h>
#include <vector>

namespace warp::testing {

/// A warpd of its own process, on ports it chose itself. Killed, if it still runs, when the object
/// dies. One thread at a time.
class server_process {
public:
  /// Starts `program` with `arguments`, and `environment` on top of this process's. Its output goes
  /// to log().
  server_process(const std::string& program, std::vector<std::string> arguments,
                 const std::map<std::string, std::string>& environment = {});
  ~server_process();
  server_process(const server_process&) = delete;
  server_process& operator=(const server_process&) = delete;

  /// Until the server has written its port file: true; false when it has ended or the time is up.
  [[nodiscard]] bool wait_ready(std::chrono::milliseconds bound);
  [[nodiscard]] std::string rpc_address() const { return "127.0.0.1:" + std::to_string(rpc_port_); }
  [[nodiscard]] int resp_port() const noexcept { return resp_port_; }
  [[nodiscard]] int http_port() const noexcept { return http_port_; }
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }

  /// SIGKILL, and waits for the end.
  void kill();
  /// SIGTERM, and waits; true when the exit code is 0.
  bool stop();
  /// Waits until it ends by itself; true when the exit code is 0.
  bool ended_cleanly();
  /// What it has printed so far.
  [[nodiscard]] std::string log() const;

private:
  int wait_end();

  pid_t pid_ = -1;
  std::string scratch_; // folder with the port file and the log
  int rpc_port_ = 0, resp_port_ = 0, http_port_ = 0;
};

} // namespace warp::testing
