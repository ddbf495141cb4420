#pragma once

#include "tests/support/temp_folder.hpp"

#include <chrono>
#include <string>
#include <sys/types.h>

namespace warp::testing {

/// Certificate files of an etcd that speaks TLS and wants its clients to have a certificate too.
struct etcd_tls {
  std::string ca_file, cert_file, key_file; ///< empty: no TLS
};

/// An etcd of one member in a process of its own, on loopback, free ports and a temporary folder;
/// no service of the system is used. Killed, if it still runs, when the object dies. Throws when it
/// can't be started. One thread at a time.
class etcd_process {
public:
  explicit etcd_process(etcd_tls tls = {});
  ~etcd_process();
  etcd_process(const etcd_process&) = delete;
  etcd_process& operator=(const etcd_process&) = delete;

  /// "http://127.0.0.1:2379"
  [[nodiscard]] const std::string& endpoint() const noexcept { return endpoint_; }
  [[nodiscard]] int port() const noexcept { return client_port_; }

  /// SIGKILL, and waits for the end.
  void kill();
  /// On the same ports and data; returns when it takes requests.
  void start();
  /// SIGSTOP and SIGCONT.
  void pause();
  void resume();
  /// What it has printed since the last start().
  [[nodiscard]] std::string log() const;

private:
  void choose_ports();
  [[nodiscard]] bool wait_ready(std::chrono::milliseconds bound);

  temp_folder folder_;
  etcd_tls tls_;
  std::string endpoint_;
  int client_port_ = 0, peer_port_ = 0;
  pid_t pid_ = -1;
};

} // namespace warp::testing
