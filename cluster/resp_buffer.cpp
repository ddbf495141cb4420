#include "cluster/resp_buffer.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <string>

namespace warp::cluster {

namespace {

constexpr std::size_t smallest = 1024;

} // namespace

void resp_buffer::make_room(std::size_t bytes) {
  const auto held = size();
  // Moving the content to the front is enough when at most half of the memory is in use: then what
  // is moved has been paid for by what was consumed.
  if (begin_ != 0 && held + bytes <= capacity_ && held <= begin_) {
    std::memmove(data_, data_ + begin_, held);
    begin_ = 0;
    end_ = held;
    return;
  }
  const auto wanted = std::max({smallest, end_ + bytes, capacity_ + capacity_ / 2});
  auto* const grown = static_cast<char*>(std::realloc(data_, wanted));
  if (grown == nullptr) throw std::bad_alloc{};
  data_ = grown;
  capacity_ = wanted;
}

void resp_buffer::replace(std::size_t from, std::size_t to, std::string_view bytes) {
  const std::string behind{view().substr(to)};
  truncate(from);
  append(bytes);
  append(behind);
}

void resp_buffer::release() noexcept {
  std::free(data_);
  data_ = nullptr;
  begin_ = end_ = capacity_ = 0;
}

} // namespace warp::cluster
