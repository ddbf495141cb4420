#include "storage/direct_io.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

namespace warp::storage {

namespace {

op_status try_direct(file_system& files, const std::string& path) {
  const auto block = make_aligned_bytes(direct_alignment);
  std::memset(block.get(), 0, direct_alignment);
  const std::string_view bytes{block.get(), direct_alignment};
  for (const auto mode : {open_mode::create_direct, open_mode::direct}) {
    auto f = files.open(path, mode);
    if (!f) return f.status();
    if (auto s = (*f)->write_at(0, bytes); !s.ok()) return s;
    if (auto s = (*f)->write_synced(0, {&bytes, 1}); !s.ok()) return s;
  }
  return {};
}

} // namespace

op_result<bool> choose_direct_io(file_system& files, const std::string& folder, direct_io how) {
  if (how == direct_io::off) return false;
  const auto path = folder + "/direct.tmp"; // a name that the next start removes
  if (auto s = files.remove(path); !s.ok() && s != op_code::not_found) return s;
  auto tried = try_direct(files, path);
  if (auto s = files.remove(path); !s.ok() && s != op_code::not_found && tried.ok()) return s;
  if (tried.ok()) return true;
  if (tried == op_code::not_supported && how == direct_io::automatic) return false;
  if (tried == op_code::not_supported)
    return op_status{op_code::not_supported, tried.message() +
                                                 ": this file system has no direct I/O; set "
                                                 "storage.direct_io to \"auto\" or \"off\""};
  return tried;
}

void aligned_free::operator()(char* bytes) const noexcept {
  std::free(bytes);
}

aligned_bytes make_aligned_bytes(std::size_t size) {
  auto* bytes = static_cast<char*>(std::aligned_alloc(direct_alignment, size));
  if (bytes == nullptr) throw std::bad_alloc{};
  return aligned_bytes{bytes};
}

void direct_output::start(std::string_view front) {
  if (!buffer_) buffer_ = make_aligned_bytes(capacity_);
  kept_begin_ = 0;
  kept_ = front;
  unsynced_ = false;
  back();
}

void direct_output::back() {
  begin_ = kept_begin_;
  size_ = kept_.size();
  std::memcpy(buffer_.get(), kept_.data(), size_);
}

void direct_output::keep() {
  kept_begin_ = begin_;
  kept_.assign(buffer_.get(), size_);
}

op_status direct_output::add(file& to, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto n = std::min(bytes.size(), capacity_ - size_);
    std::memcpy(buffer_.get() + size_, bytes.data(), n);
    size_ += n;
    bytes.remove_prefix(n);
    if (size_ < capacity_) continue;
    unsynced_ = true;
    if (auto s = to.write_at(begin_, {buffer_.get(), size_}); !s.ok()) return s;
    begin_ += capacity_;
    size_ = 0;
  }
  return {};
}

op_status direct_output::flush(file& to, bool sync) {
  const auto whole = size_ / direct_alignment * direct_alignment;
  const auto rest = size_ - whole;
  const auto padding = rest == 0 ? 0 : direct_alignment - rest;
  std::memset(buffer_.get() + size_, 0, padding);
  const std::string_view bytes{buffer_.get(), size_ + padding};
  // A synced write may leave what was written before it in the cache of the device.
  const bool one_call = sync && !unsynced_;
  unsynced_ = true;
  if (!bytes.empty())
    if (auto s = one_call ? to.write_synced(begin_, {&bytes, 1}) : to.write_at(begin_, {&bytes, 1});
        !s.ok())
      return s;
  if (sync && !one_call)
    if (auto s = to.sync(); !s.ok()) return s;
  unsynced_ = !sync;
  if (whole != 0) std::memcpy(buffer_.get(), buffer_.get() + whole, rest);
  begin_ += whole;
  size_ = rest;
  return {};
}

} // namespace warp::storage
