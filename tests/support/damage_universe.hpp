#pragma once

#include "storage/data_folder.hpp"
#include "storage/engine.hpp"
#include "storage/engine_options.hpp"
#include "storage/table_memory.hpp"
#include "tests/support/memory_file_system.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace warp::testing {

/// Bytes of the files of a data folder, by path.
using folder_image = std::map<std::string, std::string>;

/// What a key has.
struct held_value {
  std::string value;
  lsn_t version = 0;
  friend bool operator==(const held_value&, const held_value&) = default;
};
/// What a universe holds: by shard, by key.
using universe_content = std::vector<std::map<std::string, held_value>>;

/// A write as the log has it.
struct logged_change {
  std::uint32_t shard = 0;
  lsn_t version = 0;
  std::string key;
  std::optional<std::string> value; ///< none: erased
};

struct damage_universe_options {
  std::uint32_t shards = 4, streams = 2;
  std::uint64_t seed = 1;
  bool clean = true; ///< how it is stopped
};

/// A small universe in files in memory, whose life had everything that a folder can tell of: an
/// end without a stop, checkpoints while writes went on, several segments, values that are empty,
/// short, compressed and large, erased and expiring keys, request ids, transactions over shards.
struct damage_universe {
  static constexpr const char* folder = "data";

  explicit damage_universe(const damage_universe_options& how);

  folder_image files;
  folder_image older; ///< the folder as it was before the last life
  universe_content older_content;
  /// What it held after each of the last rounds of the log, the oldest first; the last one is what
  /// it holds. After a clean stop that is the only one.
  std::vector<universe_content> rounds;
  /// Every change of all lives, in the order of the calls.
  std::vector<logged_change> journal;
  /// By segment file: where in it each of these rounds began. Same order.
  std::vector<std::map<std::string, std::uint64_t>> round_begins;
  damage_universe_options how;
};

/// Was it what the shard held after one of the journal's changes, or before all of them?
bool was_there(const damage_universe& u, std::size_t shard,
               const std::map<std::string, held_value>& found);

/// Lays all files of a universe, with these changes, into a file system.
void lay_out(const damage_universe& u, memory_file_system& files,
             const std::map<std::string, std::optional<std::string>>& changes = {});

/// All that an engine holds.
universe_content content_of(storage::engine& e);

/// The options that its engines have.
storage::engine_options damage_options(storage::file_system& files, std::uint32_t shards,
                                       std::uint32_t streams);

/// All files of a folder.
folder_image image_of(const memory_file_system& files, const std::string& folder);

/// Opens damaged folders, many a second: through the same steps as an engine up to the point where
/// one begins to write. One thread at a time.
class damage_opener {
public:
  explicit damage_opener(const damage_universe& of);

  /// A case: files that have other bytes, or are gone.
  using changes = std::map<std::string, std::optional<std::string>>;

  /// What a start finds, or why it does not.
  op_result<universe_content> open(const changes& damage);
  /// The same by a whole engine, which writes; and by a second one behind it, after a clean stop.
  op_result<universe_content> open_whole(const changes& damage);

private:
  const damage_universe& of_;
  memory_file_system files_;
  std::shared_ptr<storage::table_memory> memory_;
};

} // namespace warp::testing
