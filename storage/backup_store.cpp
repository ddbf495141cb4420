#include "storage/backup_store.hpp"

#include "storage/folder_chain.hpp"
#include "storage/path.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace warp::storage {

namespace {

constexpr std::string_view marker_name = "WARPENGINE-BACKUPS";
constexpr std::string_view marker_word = "warpengine-backups ";
constexpr std::string_view marker_text = "warpengine-backups 1\n";
constexpr std::array<std::string_view, 2> sections{"backups", "objects"};

class folder_upload final : public backup_upload {
public:
  folder_upload(file_system& files, std::string path, std::unique_ptr<file> out)
      : files_(files), path_(std::move(path)), out_(std::move(out)) {}
  ~folder_upload() override {
    if (finished_) return;
    out_.reset();
    // What stays is removed by the next one who locks the repository.
    static_cast<void>(files_.remove(path_ + std::string{temporary_suffix}));
  }

  op_status append(std::string_view bytes) override {
    if (auto s = out_->write_at(size_, bytes); !s.ok()) return s;
    size_ += bytes.size();
    return {};
  }

  op_status finish() override {
    if (auto s = out_->sync(); !s.ok()) return s;
    out_.reset();
    if (auto s = files_.rename(path_ + std::string{temporary_suffix}, path_); !s.ok()) return s;
    finished_ = true;
    return files_.sync_folder(folder_of(path_));
  }

private:
  file_system& files_;
  const std::string path_;
  std::unique_ptr<file> out_;
  std::uint64_t size_ = 0;
  bool finished_ = false;
};

class folder_store final : public backup_store {
public:
  folder_store(file_system& files, std::string folder)
      : files_(files), folder_(std::move(folder)) {}

  op_result<std::unique_ptr<backup_upload>> put(const std::string& name) override {
    const auto path = join_path(folder_, name);
    const auto temporary = path + std::string{temporary_suffix};
    if (auto s = files_.remove(temporary); !s.ok() && s.code() != op_code::not_found) return s;
    auto out = files_.open(temporary, open_mode::create);
    if (!out) return out.status();
    return std::unique_ptr<backup_upload>{
        std::make_unique<folder_upload>(files_, path, std::move(*out))};
  }

  op_result<std::unique_ptr<file>> get(const std::string& name) override {
    return files_.open(join_path(folder_, name), open_mode::read);
  }

  op_result<std::vector<stored_object>> list(const std::string& section) override {
    const auto folder = join_path(folder_, section);
    auto there = files_.exists(folder);
    if (!there) return there.status();
    if (!*there) return std::vector<stored_object>{};
    auto names = files_.list(folder);
    if (!names) return names.status();
    std::vector<stored_object> found;
    for (const auto& name : *names) {
      if (name.ends_with(temporary_suffix)) continue;
      auto in = files_.open(join_path(folder, name), open_mode::read);
      if (in.code() == op_code::not_found) continue; // removed meanwhile
      if (!in) return in.status();
      auto size = (*in)->size();
      if (!size) return size.status();
      found.push_back({join_path(section, name), *size});
    }
    return found;
  }

  op_status remove(const std::string& name) override {
    const auto path = join_path(folder_, name);
    if (auto s = files_.remove(path); !s.ok()) return s;
    return files_.sync_folder(folder_of(path));
  }

  op_result<std::unique_ptr<folder_lock>> lock() override {
    auto there = files_.exists(folder_);
    if (!there) return there.status();
    bool made = false;
    if (*there) {
      auto names = files_.list(folder_);
      if (!names) return names.status();
      made = std::ranges::find(*names, marker_name) != names->end();
      // Somebody else's folder does not even get a lock file.
      for (const auto& name : *names)
        if (!made && !belongs(name))
          return op_status{op_code::invalid_argument,
                           fmt::format("{} is not a backup repository: it holds '{}' and no {}. "
                                       "Name an empty or a new folder",
                                       folder_, name, marker_name)};
    }
    if (made) {
      if (auto s = check(); !s.ok()) return s;
    } else {
      auto chain = folder_chain::make(files_, folder_);
      if (!chain) return chain.status();
      if (auto s = chain->sync(); !s.ok()) return s;
    }
    auto lock = files_.lock(folder_);
    if (!lock) return lock.status();
    for (const auto section : sections)
      if (auto s = files_.create_folder(join_path(folder_, section)); !s.ok()) return s;
    if (auto s = files_.sync_folder(folder_); !s.ok()) return s;
    if (!made) {
      auto marker = put(std::string{marker_name});
      if (!marker) return marker.status();
      if (auto s = (*marker)->append(marker_text); !s.ok()) return s;
      if (auto s = (*marker)->finish(); !s.ok()) return s;
    }
    for (const auto section : sections)
      if (auto s = remove_unfinished(join_path(folder_, section)); !s.ok()) return s;
    return std::move(*lock);
  }

  op_status check() override {
    auto in = files_.open(join_path(folder_, marker_name), open_mode::read);
    if (in.code() == op_code::not_found)
      return {op_code::not_found, fmt::format("{} is not a backup repository: there is no {} in it",
                                              folder_, marker_name)};
    if (!in) return in.status();
    std::string text(marker_text.size() + 16, '\0');
    auto count = (*in)->read_at(0, text);
    if (!count) return count.status();
    text.resize(*count);
    if (text == marker_text) return {};
    if (text.starts_with(marker_word))
      return {op_code::version_mismatch,
              fmt::format("{}: the repository was written by a newer version", folder_)};
    return {op_code::corruption, fmt::format("{}/{}: damaged", folder_, marker_name)};
  }

  [[nodiscard]] std::string describe() const override { return folder_; }

private:
  /// May stand in a repository that is being made.
  static bool belongs(std::string_view name) {
    return name == "lock" || name == "lost+found" || name == "objects" || name == "backups" ||
           name == std::string{marker_name} + std::string{temporary_suffix};
  }

  op_status remove_unfinished(const std::string& folder) {
    auto names = files_.list(folder);
    if (!names) return names.status();
    for (const auto& name : *names)
      if (name.ends_with(temporary_suffix))
        if (auto s = files_.remove(join_path(folder, name)); !s.ok()) return s;
    return {};
  }

  file_system& files_;
  const std::string folder_;
};

} // namespace

std::unique_ptr<backup_store> open_backup_folder(file_system& files, std::string folder) {
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  return std::make_unique<folder_store>(files, std::move(folder));
}

} // namespace warp::storage
