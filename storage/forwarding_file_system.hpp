#pragma once

#include "storage/file_system.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace warp::storage {

/// A file whose calls go to another one, which it owns: for those who change something about some
/// of them.
class forwarding_file : public file {
public:
  explicit forwarding_file(std::unique_ptr<file> below) : below_(std::move(below)) {}

  using file::write_at;
  op_result<std::size_t> read_at(std::uint64_t offset, std::span<char> buffer) override {
    return below_->read_at(offset, buffer);
  }
  op_status write_at(std::uint64_t offset, std::span<const std::string_view> pieces) override {
    return below_->write_at(offset, pieces);
  }
  op_status sync() override { return below_->sync(); }
  op_status write_synced(std::uint64_t offset, std::span<const std::string_view> pieces) override {
    return below_->write_synced(offset, pieces);
  }
  op_status truncate(std::uint64_t size) override { return below_->truncate(size); }
  op_result<std::uint64_t> size() override { return below_->size(); }

protected:
  const std::unique_ptr<file> below_;
};

/// A file system whose calls go to another one, which is borrowed, unless ask() answers them. As
/// thread-safe as ask() is.
class forwarding_file_system : public file_system {
public:
  explicit forwarding_file_system(file_system& below) : below_(below) {}

  op_result<std::unique_ptr<file>> open(const std::string& path, open_mode mode) override {
    return below_.open(path, mode);
  }
  op_result<std::vector<std::string>> list(const std::string& folder) override {
    if (auto s = ask(call::list, folder); !s.ok()) return s;
    return below_.list(folder);
  }
  op_result<bool> exists(const std::string& path) override {
    if (auto s = ask(call::exists, path); !s.ok()) return s;
    return below_.exists(path);
  }
  op_status create_folder(const std::string& path) override {
    auto s = ask(call::create_folder, path);
    return s.ok() ? below_.create_folder(path) : s;
  }
  op_status rename(const std::string& from, const std::string& to) override {
    auto s = ask(call::rename, from);
    return s.ok() ? below_.rename(from, to) : s;
  }
  op_status remove(const std::string& path) override {
    auto s = ask(call::remove, path);
    return s.ok() ? below_.remove(path) : s;
  }
  op_status sync_folder(const std::string& folder) override {
    auto s = ask(call::sync_folder, folder);
    return s.ok() ? below_.sync_folder(folder) : s;
  }
  op_result<std::uint64_t> free_bytes(const std::string& path) override {
    if (auto s = ask(call::free_bytes, path); !s.ok()) return s;
    return below_.free_bytes(path);
  }
  op_result<std::unique_ptr<folder_lock>> lock(const std::string& folder) override {
    if (auto s = ask(call::lock, folder); !s.ok()) return s;
    return below_.lock(folder);
  }

protected:
  /// All but open(), which whoever needs it overrides.
  enum class call : std::uint8_t {
    list,
    exists,
    create_folder,
    rename,
    remove,
    sync_folder,
    free_bytes,
    lock
  };
  [[nodiscard]] static constexpr bool changes(call what) noexcept {
    return what >= call::create_folder && what <= call::sync_folder;
  }
  /// Asked before each call; a failure is its answer. `path`: of rename() the old one.
  [[nodiscard]] virtual op_status ask(call what, const std::string& path) {
    static_cast<void>(what), static_cast<void>(path);
    return {};
  }

  file_system& below_;
};

} // namespace warp::storage
