#include "physics/window_assembly.hpp"

#include "physics/mixing.hpp"

#include <cstring>

namespace warp::physics {

std::uint64_t key_id(std::string_view key) noexcept {
  std::uint64_t id = mix(key.size());
  while (key.size() >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, key.data(), 8);
    id = mix(id ^ word);
    key.remove_prefix(8);
  }
  std::uint64_t rest = 0;
  if (!key.empty()) std::memcpy(&rest, key.data(), key.size());
  return mix(id ^ rest);
}

window_assembly::window* window_assembly::find(std::uint32_t id) noexcept {
  if (latest_ < open_ && windows_[latest_].id == id) return &windows_[latest_];
  for (std::size_t i = open_; i-- > 0;)
    if (windows_[i].id == id) {
      latest_ = i;
      return &windows_[i];
    }
  return nullptr;
}

std::size_t window_assembly::oldest() const noexcept {
  std::size_t out = 0;
  for (std::size_t i = 1; i < open_; ++i)
    if (windows_[i].last_ms < windows_[out].last_ms) out = i;
  return out;
}

window_assembly::window& window_assembly::begin(std::uint32_t id, bool together) {
  if (open_ == windows_.size()) windows_.emplace_back();
  latest_ = open_++;
  auto& out = windows_[latest_];
  out.id = id;
  out.together = together;
  out.last_ms = 0;
  out.count = 0;
  return out;
}

void window_assembly::append(window& to, const access_sample& sample) {
  if (to.count == to.keys.size()) to.keys.emplace_back();
  auto& at = to.keys[to.count++];
  at.id = key_id(sample.key());
  at.key.assign(sample.key());
  at.bytes = sample.bytes;
  at.shard = sample.shard;
  to.last_ms = std::max(to.last_ms, sample.time_ms);
}

} // namespace warp::physics
