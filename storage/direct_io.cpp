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
  for (const auto mode : {open_mode::create_direct, open_mode::direct_sync}) {
    auto f = files.open(path, mode);
    if (!f) return f.status();
    if (auto s = (*f)->write_at(0, {block.get(), direct_alignment}); !s.ok()) return s;
    if (auto s = (*f)->sync(); !s.ok()) return s;
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
    if (auto s = write(to, capacity_); !s.ok()) return s;
    begin_ += capacity_;
    size_ = 0;
  }
  return {};
}

op_status direct_output::flush(file& to) {
  const auto whole = size_ / direct_alignment * direct_alignment;
  const auto rest = size_ - whole;
  if (size_ == 0) return {};
  const auto padding = rest == 0 ? 0 : direct_alignment - rest;
  std::memset(buffer_.get() + size_, 0, padding);
  if (auto s = write(to, size_ + padding); !s.ok()) return s;
  if (whole != 0) std::memcpy(buffer_.get(), buffer_.get() + whole, rest);
  begin_ += whole;
  size_ = rest;
  return {};
}

op_status direct_output::write(file& to, std::size_t size) {
  return to.write_at(begin_, {buffer_.get(), size});
}

} // namespace warp::storage
