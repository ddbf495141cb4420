#include "tests/crash/process_files.hpp"

#include <utility>

namespace warp::testing {

using storage::file;
using storage::open_mode;

namespace {

op_status dead_status() {
  return {op_code::io_error, "this process was killed"};
}

op_status failed_status() {
  return {op_code::io_error, "the sync failed"};
}

class process_file final : public storage::forwarding_file {
public:
  process_file(std::unique_ptr<file> base, std::shared_ptr<process_files::life> life, bool is_log,
               bool no_sync)
      : forwarding_file(std::move(base)), life_(std::move(life)), is_log_(is_log),
        no_sync_(no_sync) {}

  op_result<std::size_t> read_at(std::uint64_t offset, std::span<char> buffer) override {
    if (life_->over()) return dead_status();
    return below_->read_at(offset, buffer);
  }
  op_status write_at(std::uint64_t offset, std::span<const std::string_view> pieces) override {
    return life_->change() ? below_->write_at(offset, pieces) : dead_status();
  }
  op_status write_synced(std::uint64_t offset, std::span<const std::string_view> pieces) override {
    if (!life_->change()) return dead_status();
    if (no_sync_) return below_->write_at(offset, pieces);
    if (fails()) {
      static_cast<void>(below_->write_at(offset, pieces));
      return failed_status();
    }
    if (life_->change()) return below_->write_synced(offset, pieces);
    static_cast<void>(below_->write_at(offset, pieces));
    return dead_status();
  }
  op_status sync() override {
    if (!life_->change()) return dead_status();
    if (fails()) return failed_status();
    return no_sync_ || failed_ ? op_status{} : below_->sync();
  }
  op_status truncate(std::uint64_t size) override {
    return life_->change() ? below_->truncate(size) : dead_status();
  }
  op_result<std::uint64_t> size() override {
    if (life_->over()) return dead_status();
    return below_->size();
  }

private:
  bool fails() {
    if (!is_log_ || life_->log_syncs_to_fail <= 0) return false;
    --life_->log_syncs_to_fail;
    return failed_ = true;
  }

  const std::shared_ptr<process_files::life> life_;
  const bool is_log_, no_sync_;
  bool failed_ = false; ///< the system thinks that all of it is on disk
};

bool in_folder(const std::string& path, const char* folder) {
  return path.find(std::string{"/"} + folder + "/") != std::string::npos;
}

} // namespace

bool process_files::leaves_out_sync(const std::string& path, open_mode mode) const {
  const bool temporary = path.ends_with(".tmp");
  const bool spare = path.find("/spare-") != std::string::npos;
  switch (left_out_) {
  case omission::log_sync: // of new segments, too: the stream keeps the handle that made them
    return in_folder(path, "wal") && path.find("direct.tmp") == std::string::npos;
  case omission::tail_sync:
    return in_folder(path, "wal") && mode == open_mode::read_write && !spare;
  case omission::manifest_sync:
    return path.ends_with("MANIFEST.tmp");
  case omission::checkpoint_sync:
    return in_folder(path, "checkpoint") && temporary;
  default:
    return false;
  }
}

op_result<std::unique_ptr<file>> process_files::open(const std::string& path, open_mode mode) {
  const bool creates = mode == open_mode::create || mode == open_mode::create_direct;
  if (creates ? !life_->change() : life_->over()) return dead_status();
  auto opened = below_.open(path, mode);
  if (!opened) return opened.status();
  return std::unique_ptr<file>{std::make_unique<process_file>(
      std::move(*opened), life_, in_folder(path, "wal"), leaves_out_sync(path, mode))};
}

op_status process_files::ask(call what, const std::string&) {
  return (changes(what) ? life_->change() : !life_->over()) ? op_status{} : dead_status();
}

op_status process_files::write_in_place(const std::string& from, const std::string& to) {
  auto source = below_.open(from, open_mode::read);
  if (!source) return source.status();
  auto size = (*source)->size();
  if (!size) return size.status();
  std::string bytes(*size, '\0');
  if (auto got = (*source)->read_at(0, bytes); !got) return got.status();
  auto target = below_.open(to, open_mode::read_write);
  if (!target) return target.status();
  if (auto s = (*target)->truncate(0); !s.ok()) return s;
  if (auto s = (*target)->write_at(0, bytes); !s.ok()) return s;
  if (auto s = (*target)->sync(); !s.ok()) return s;
  return below_.remove(from);
}

op_status process_files::rename(const std::string& from, const std::string& to) {
  if (!life_->change()) return dead_status();
  spare_made_ = to.find("/spare-") != std::string::npos;
  if (left_out_ == omission::manifest_renaming && to.ends_with("/MANIFEST"))
    if (auto there = below_.exists(to); there && *there) return write_in_place(from, to);
  return below_.rename(from, to);
}

op_status process_files::sync_folder(const std::string& folder) {
  if (!life_->change()) return dead_status();
  const bool log = folder.ends_with("/wal"), checkpoints = folder.ends_with("/checkpoint");
  switch (left_out_) {
  case omission::log_folder_sync:
    if (log) return {};
    break;
  case omission::spare_folder_sync:
    if (log && std::exchange(spare_made_, false)) return {};
    break;
  case omission::manifest_folder_sync:
    if (!log && !checkpoints) return {};
    break;
  case omission::checkpoint_folder_sync:
    if (checkpoints) return {};
    break;
  default:
    break;
  }
  return below_.sync_folder(folder);
}

} // namespace warp::testing
