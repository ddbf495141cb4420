#include "storage/paced_file_system.hpp"

#include <chrono>

namespace warp::storage {

namespace {

op_status refused(const std::string& path) {
  return {op_code::not_supported, path + ": nothing is changed here"};
}

class paced_file final : public forwarding_file {
public:
  paced_file(std::unique_ptr<file> below, paced_file_system& pace, std::string path)
      : forwarding_file(std::move(below)), pace_(pace), path_(std::move(path)) {}

  op_result<std::size_t> read_at(std::uint64_t offset, std::span<char> buffer) override {
    auto n = below_->read_at(offset, buffer);
    if (!n.ok()) return n;
    if (auto s = pace_.take(*n); !s.ok()) return s;
    return n;
  }
  op_status write_at(std::uint64_t, std::span<const std::string_view>) override {
    return refused(path_);
  }
  op_status write_synced(std::uint64_t, std::span<const std::string_view>) override {
    return refused(path_);
  }
  op_status sync() override { return refused(path_); }
  op_status truncate(std::uint64_t) override { return refused(path_); }

private:
  paced_file_system& pace_;
  const std::string path_;
};

} // namespace

void paced_file_system::stop() {
  {
    std::lock_guard hold{mutex_};
    stopped_.store(true, std::memory_order_relaxed);
  }
  changed_.notify_all();
}

op_status paced_file_system::take(std::uint64_t bytes) {
  bytes_.fetch_add(bytes, std::memory_order_relaxed);
  std::unique_lock hold{mutex_};
  if (rate_bytes_ != 0) {
    const auto takes = std::chrono::duration<double>(static_cast<double>(bytes) /
                                                     static_cast<double>(rate_bytes_));
    changed_.wait_for(hold, takes, [&] { return stopped(); });
  }
  if (stopped()) return {op_code::shutting_down, "stopped before everything was read"};
  return {};
}

op_result<std::unique_ptr<file>> paced_file_system::open(const std::string& path, open_mode mode) {
  if (mode != open_mode::read) return refused(path);
  if (stopped()) return op_status{op_code::shutting_down, "stopped before everything was read"};
  auto below = below_.open(path, mode);
  if (!below) return below.status();
  return std::unique_ptr<file>{std::make_unique<paced_file>(std::move(*below), *this, path)};
}

op_status paced_file_system::ask(call what, const std::string& path) {
  return changes(what) || what == call::lock ? refused(path) : op_status{};
}

} // namespace warp::storage
