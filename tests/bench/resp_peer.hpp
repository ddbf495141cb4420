#pragma once

#include "tests/support/temp_folder.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>

namespace warp::bench {

/// A Valkey or Redis server of our own, in a temporary folder, on a Unix socket, without a
/// password; ended with the object. One thread. An error ends the process with what the server
/// logged.
class resp_peer {
public:
  struct settings {
    bool append_only =
        false; ///< logs every command to a file; else a snapshot when save() is called
    std::string append_fsync = "no"; ///< everysec, always
    int port = 0;                    ///< on the loopback interface too; 0: none
  };

  /// Path of valkey-server, else redis-server; empty: neither is installed.
  static std::string find();
  /// Path of a program of either; empty: not installed.
  static std::string find(const std::string& program);

  /// Snapshots are not compressed: faster to load; the append-only file is not rewritten. All else
  /// is as the server's authors ship it.
  resp_peer(const std::string& program, settings how);
  ~resp_peer();
  resp_peer(const resp_peer&) = delete;
  resp_peer& operator=(const resp_peer&) = delete;

  void start();
  /// SET keys 0 .. keys-1, pipelined; value(i) is copied.
  void fill(std::uint64_t keys, const std::function<std::string_view(std::uint64_t)>& value);
  void save();
  /// Ends it as its own command does, without a snapshot, and starts it again on its files. Returns
  /// the seconds that its own log says it took to load them.
  double reload();
  [[nodiscard]] std::uint64_t keys();
  [[nodiscard]] std::string version();
  [[nodiscard]] pid_t pid() const noexcept { return process_; }

private:
  void stop();
  void send(std::string_view bytes);
  /// Reads one simple, integer or bulk answer.
  std::string answer();
  std::string ask(std::string_view command);
  std::string line();
  [[noreturn]] void fail(const std::string& why);
  [[nodiscard]] double load_seconds() const;

  testing::temp_folder folder_;
  std::string program_;
  settings how_;
  pid_t process_ = -1;
  int socket_ = -1;
  std::string received_;
  std::size_t at_ = 0;
};

} // namespace warp::bench
