#pragma once

#include "messages/operations.hpp"
#include "storage/reply.hpp"

#include <memory>
#include <span>
#include <string>

namespace warp::bench {

/// A store of somebody else behind the call that the engine has: get and put, with the batch's
/// operations in one call where the store has such calls. One thread. An error ends the process.
class embedded_store {
public:
  virtual ~embedded_store() = default;
  /// With the level sync the writes are on disk when it returns.
  virtual void execute(std::span<const operation> ops, std::span<storage::op_reply> replies,
                       storage::value_arena& arena) = 0;
  /// After filling, before measuring: brings the store into its best shape for reading.
  virtual void tidy() {}
};

/// An embedded store and how it was set up.
struct embedded_peer {
  std::string name;     ///< with its version
  std::string settings; ///< for the head of the table
  bool logs = false;    ///< is anything left after a crash?
  /// Opens it empty; `synced`: for writes at level sync. The folder is the caller's.
  std::unique_ptr<embedded_store> (*open)(const std::string& folder, bool synced) = nullptr;
};

// Each stands in a file of its own, which is compiled where the library is installed.
embedded_peer rocksdb_peer();
embedded_peer lmdb_peer();
embedded_peer absl_map_peer();

} // namespace warp::bench
