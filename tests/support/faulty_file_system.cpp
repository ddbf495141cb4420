#include "tests/support/faulty_file_system.hpp"

#include <fmt/format.h>

namespace warp::testing {

using storage::file;
using storage::open_mode;

/// Asks its file system before each call what is to become of it.
class faulty_file final : public storage::forwarding_file {
public:
  faulty_file(faulty_file_system& files, std::unique_ptr<file> base, std::string path)
      : forwarding_file(std::move(base)), files_(files), path_(std::move(path)) {}

  op_result<std::size_t> read_at(std::uint64_t offset, std::span<char> buffer) override {
    if (auto s = files_.meet(file_operation::read, path_); !s.ok()) return s;
    return below_->read_at(offset, buffer);
  }

  op_status write_at(std::uint64_t offset, std::span<const std::string_view> pieces) override {
    std::uint64_t bytes_written = 0;
    auto s = files_.meet(file_operation::write, path_, &bytes_written);
    if (s.ok()) return below_->write_at(offset, pieces);
    return write_part(offset, pieces, bytes_written, s);
  }

  op_status sync() override {
    if (auto s = files_.meet(file_operation::sync, path_); !s.ok()) return failed_sync(s);
    return below_->sync();
  }

  /// A write and a sync, counted and hit as such.
  op_status write_synced(std::uint64_t offset, std::span<const std::string_view> pieces) override {
    std::uint64_t bytes_written = 0;
    if (auto s = files_.meet(file_operation::write, path_, &bytes_written); !s.ok())
      return write_part(offset, pieces, bytes_written, s);
    if (auto s = files_.meet(file_operation::sync, path_); !s.ok()) {
      if (auto written = below_->write_at(offset, pieces); !written.ok()) return written;
      return failed_sync(s);
    }
    return below_->write_synced(offset, pieces);
  }
  op_status truncate(std::uint64_t size) override {
    if (auto s = files_.meet(file_operation::truncate, path_); !s.ok()) return s;
    return below_->truncate(size);
  }

private:
  /// The first bytes of a write that fails with `s`.
  op_status write_part(std::uint64_t offset, std::span<const std::string_view> pieces,
                       std::uint64_t bytes_written, op_status s) {
    std::string part;
    for (const auto piece : pieces)
      part += piece.substr(0, bytes_written - std::min(bytes_written, part.size()));
    if (part.empty()) return s;
    const std::string_view view{part};
    auto written = files_.memory_ ? memory_file_system::write_part(*below_, offset, view)
                                  : below_->write_at(offset, {&view, 1});
    return written.ok() ? s : written;
  }
  /// What it should have written is lost; unless it was the power that failed: then crash() says.
  op_status failed_sync(op_status s) {
    if (files_.memory_ && !files_.power_is_off()) memory_file_system::forget_unsynced(*below_);
    return s;
  }

  faulty_file_system& files_;
  std::string path_;
};

faulty_file_system::faulty_file_system()
    : faulty_file_system(std::make_unique<memory_file_system>()) {}
faulty_file_system::faulty_file_system(file_system& base) : forwarding_file_system(base) {}
faulty_file_system::faulty_file_system(std::unique_ptr<memory_file_system> files)
    : forwarding_file_system(*files), memory_(std::move(files)) {}
faulty_file_system::~faulty_file_system() = default;

op_status faulty_file_system::meet(file_operation operation, const std::string& path,
                                   std::uint64_t* bytes_written) {
  std::function<void(file_operation, const std::string&)> observer;
  {
    std::lock_guard guard{mutex_};
    observer = observer_;
  }
  if (observer) observer(operation, path);
  std::lock_guard guard{mutex_};
  ++counts_[static_cast<std::size_t>(operation)];
  const bool change = operation != file_operation::read && operation != file_operation::open;
  if (changes_ >= changes_max_) return {op_code::io_error, path + ": the power is off"};
  for (auto& f : faults_) {
    if (f.operation != operation || f.times == 0 || path.find(f.path_part) == std::string::npos)
      continue;
    if (f.skip > 0) {
      --f.skip;
      continue;
    }
    if (f.times != ~std::uint64_t{0}) --f.times;
    if (bytes_written != nullptr) *bytes_written = f.bytes_written;
    return {f.code, fmt::format("{}: injected {}", path, to_string(f.code))};
  }
  if (change) ++changes_;
  return {};
}

op_result<std::unique_ptr<file>> faulty_file_system::open(const std::string& path, open_mode mode) {
  if (auto s = meet(file_operation::open, path); !s.ok()) return s;
  if (mode == open_mode::create || mode == open_mode::create_direct) {
    std::lock_guard guard{mutex_};
    ++changes_;
  }
  auto opened = below_.open(path, mode);
  if (!opened) return opened.status();
  return std::unique_ptr<file>{std::make_unique<faulty_file>(*this, std::move(*opened), path)};
}

op_status faulty_file_system::ask(call what, const std::string& path) {
  switch (what) {
  case call::create_folder:
    return meet(file_operation::create_folder, path);
  case call::remove:
    return meet(file_operation::remove, path);
  case call::sync_folder:
    return meet(file_operation::sync_folder, path);
  default:
    return {};
  }
}

op_status faulty_file_system::rename(const std::string& from, const std::string& to) {
  if (auto s = meet(file_operation::rename, from + " " + to); !s.ok()) return s;
  return below_.rename(from, to);
}
void faulty_file_system::inject(fault f) {
  std::lock_guard guard{mutex_};
  faults_.push_back(std::move(f));
}

void faulty_file_system::clear_faults() {
  std::lock_guard guard{mutex_};
  faults_.clear();
  changes_max_ = ~std::uint64_t{0};
}

void faulty_file_system::power_off_after(std::uint64_t changes) {
  std::lock_guard guard{mutex_};
  changes_max_ = changes_ + changes;
}

bool faulty_file_system::power_is_off() const {
  std::lock_guard guard{mutex_};
  return changes_ >= changes_max_;
}

std::uint64_t faulty_file_system::count(file_operation operation) const {
  std::lock_guard guard{mutex_};
  return counts_[static_cast<std::size_t>(operation)];
}

std::uint64_t faulty_file_system::changes() const {
  std::lock_guard guard{mutex_};
  return changes_;
}

void faulty_file_system::set_observer(
    std::function<void(file_operation, const std::string&)> observer) {
  std::lock_guard guard{mutex_};
  observer_ = std::move(observer);
}

void faulty_file_system::crash(crash_policy policy, std::uint64_t seed) {
  memory_->crash(policy, seed);
  clear_faults();
}

} // namespace warp::testing
