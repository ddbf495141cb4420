#include "storage/replace_file.hpp"

#include "storage/data_folder.hpp"
#include "storage/no_memory.hpp"
#include "storage/path.hpp"

namespace warp::storage {

op_status replace_file(file_system& files, const std::string& folder, std::string_view name,
                       std::string_view bytes) {
  const auto path = join_path(folder, name);
  const auto temporary = path + std::string{temporary_suffix};
  if (auto status = files.remove(temporary); !status.ok() && status.code() != op_code::not_found)
    return status;
  {
    auto out = files.open(temporary, open_mode::create);
    if (!out.ok()) return out.status();
    if (auto status = (*out)->write_at(0, bytes); !status.ok()) return status;
    if (auto status = (*out)->sync(); !status.ok()) return status;
  }
  if (auto status = files.rename(temporary, path); !status.ok()) return status;
  return files.sync_folder(folder);
}

op_result<std::string> read_file(file_system& files, const std::string& path) {
  return unless_no_memory("read " + path, [&]() -> op_result<std::string> {
    auto in = files.open(path, open_mode::read);
    if (!in.ok()) return in.status();
    const auto size = (*in)->size();
    if (!size.ok()) return size.status();
    std::string bytes(*size, '\0');
    const auto got = (*in)->read_at(0, {bytes.data(), bytes.size()});
    if (!got.ok()) return got.status();
    bytes.resize(*got);
    return bytes;
  });
}

} // namespace warp::storage
