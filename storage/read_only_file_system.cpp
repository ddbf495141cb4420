#include "storage/read_only_file_system.hpp"

#include "storage/path.hpp"

#include <algorithm>

namespace warp::storage {

namespace {

op_status refused(const std::string& path) {
  return {op_code::io_error, path + ": nothing is changed here"};
}

/// Reads from the file below or from bytes in memory; forgets what is written.
class read_only_file final : public file {
public:
  explicit read_only_file(std::unique_ptr<file> below) : below_(std::move(below)) {}
  explicit read_only_file(std::string bytes) : bytes_(std::move(bytes)) {}

  op_result<std::size_t> read_at(std::uint64_t offset, std::span<char> buffer) override {
    if (below_) return below_->read_at(offset, buffer);
    if (offset >= bytes_.size()) return std::size_t{0};
    const auto n = std::min<std::size_t>(buffer.size(), bytes_.size() - offset);
    std::copy_n(bytes_.data() + offset, n, buffer.data());
    return n;
  }
  op_status write_at(std::uint64_t, std::span<const std::string_view>) override { return {}; }
  op_status sync() override { return {}; }
  op_status truncate(std::uint64_t) override { return {}; }
  op_result<std::uint64_t> size() override {
    if (below_) return below_->size();
    return std::uint64_t{bytes_.size()};
  }

private:
  std::unique_ptr<file> below_;
  std::string bytes_;
};

} // namespace

op_result<std::unique_ptr<file>> read_only_file_system::open(const std::string& path,
                                                             open_mode mode) {
  if (mode != open_mode::read && mode != open_mode::read_write) return refused(path);
  if (const auto it = over_.find(path); it != over_.end())
    return std::unique_ptr<file>{std::make_unique<read_only_file>(it->second)};
  auto below = below_.open(path, open_mode::read);
  if (!below) return below.status();
  return std::unique_ptr<file>{std::make_unique<read_only_file>(std::move(*below))};
}

op_result<std::vector<std::string>> read_only_file_system::list(const std::string& folder) {
  auto names = below_.list(folder);
  if (!names) return names;
  for (const auto& [path, bytes] : over_)
    if (folder_of(path) == folder) {
      auto name = path.substr(folder.size() + 1);
      if (std::find(names->begin(), names->end(), name) == names->end())
        names->push_back(std::move(name));
    }
  std::sort(names->begin(), names->end());
  return names;
}

op_result<bool> read_only_file_system::exists(const std::string& path) {
  if (over_.contains(path)) return true;
  return below_.exists(path);
}

op_status read_only_file_system::ask(call what, const std::string& path) {
  return changes(what) ? refused(path) : op_status{};
}

op_status read_only_file_system::sync_folder(const std::string&) {
  return {};
}

op_result<std::unique_ptr<folder_lock>> read_only_file_system::lock(const std::string&) {
  return std::make_unique<folder_lock>();
}

} // namespace warp::storage
