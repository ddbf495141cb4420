#include "cluster/replica_marks.hpp"

#include "storage/byte_order.hpp"
#include "storage/crc32c.hpp"
#include "storage/path.hpp"
#include "storage/replace_file.hpp"

#include <fmt/format.h>
#include <string_view>

namespace warp::cluster {

namespace {

constexpr std::string_view magic = "WARPCOPY", folder_name = "replicas";
constexpr std::uint32_t format = 1, incomplete_flag = 1;
constexpr std::size_t crc_at = 32, file_bytes = 36;

std::string name_of(shard_id shard) {
  return fmt::format("{:05}", shard.value);
}

} // namespace

op_result<replica_marks> read_marks(storage::file_system& files, const std::string& folder,
                                    shard_id shard) {
  using storage::load_le;
  const auto path = storage::join_path(storage::join_path(folder, folder_name), name_of(shard));
  auto there = files.exists(path);
  if (!there) return there.status();
  if (!*there) return replica_marks{};
  auto bytes = storage::read_file(files, path);
  if (!bytes) return bytes.status();
  const auto damaged = [&](std::size_t at, std::string_view cause) {
    return op_status{op_code::corruption,
                     fmt::format("{}: at {}: {}; to rebuild this copy from another one, remove its "
                                 "node from the cluster and let it join again",
                                 path, at, cause)};
  };
  if (bytes->size() != file_bytes)
    return damaged(bytes->size(), fmt::format("{} bytes, not {}", bytes->size(), file_bytes));
  const char* at = bytes->data();
  if (std::string_view{*bytes}.substr(0, magic.size()) != magic)
    return damaged(0, "it does not begin with WARPCOPY");
  if (load_le<std::uint32_t>(at + crc_at) != storage::crc32c({at, crc_at}))
    return damaged(crc_at, "a wrong checksum");
  if (const auto found = load_le<std::uint32_t>(at + 8); found != format)
    return op_status{op_code::version_mismatch,
                     fmt::format("{}: format {}; this program knows {}", path, found, format)};
  if (const auto of = load_le<std::uint64_t>(at + 16); of != shard.value)
    return damaged(16, fmt::format("it is of shard {}, not {}", of, shard.value));
  return replica_marks{(load_le<std::uint32_t>(at + 12) & incomplete_flag) != 0,
                       replication::boot_id{load_le<std::uint64_t>(at + 24)}};
}

op_status write_marks(storage::file_system& files, const std::string& folder, shard_id shard,
                      const replica_marks& marks) {
  using storage::store_le;
  const auto marks_folder = storage::join_path(folder, folder_name);
  auto there = files.exists(marks_folder);
  if (!there) return there.status();
  if (!*there) {
    if (auto status = files.create_folder(marks_folder); !status.ok()) return status;
    if (auto status = files.sync_folder(folder); !status.ok()) return status;
  }
  std::string bytes{magic};
  bytes.resize(file_bytes);
  char* to = store_le<std::uint32_t>(bytes.data() + magic.size(), format);
  to = store_le<std::uint32_t>(to, marks.incomplete ? incomplete_flag : 0);
  to = store_le<std::uint64_t>(to, shard.value);
  to = store_le<std::uint64_t>(to, marks.stopped_boot.value);
  store_le<std::uint32_t>(to, storage::crc32c({bytes.data(), crc_at}));
  return storage::replace_file(files, marks_folder, name_of(shard), bytes);
}

} // namespace warp::cluster
