// ARC (Megiddo and Modha, FAST 2003): keys seen once and keys seen more often in two lists with
// ghosts, and a balance between them that follows the ghosts that are wanted again.

#include "tests/bench/physics/cache_policy.hpp"
#include "tests/bench/physics/id_queue.hpp"

#include <algorithm>

namespace warp::bench::physics {

namespace {

class arc final : public cache_policy {
public:
  arc(std::size_t keys, std::size_t capacity) : capacity_(capacity), links_(keys), where_(keys) {}

  bool access(std::uint32_t key) override {
    const auto was = where_[key];
    if (was == once || was == often) {
      list_[was].remove(links_, key);
      enter(often, key);
      return true;
    }
    const auto b1 = static_cast<double>(list_[once_ghost].size);
    const auto b2 = static_cast<double>(list_[often_ghost].size);
    const auto c = static_cast<double>(capacity_);
    if (was == once_ghost) target_ = std::min(target_ + std::max(b2 / b1, 1.0), c);
    if (was == often_ghost) target_ = std::max(target_ - std::max(b1 / b2, 1.0), 0.0);
    const bool full = list_[once].size + list_[often].size == capacity_;
    if (was != nowhere) {
      list_[was].remove(links_, key);
      if (full) replace(was == often_ghost);
      enter(often, key);
      return false;
    }
    if (full) make_room();
    enter(once, key);
    return false;
  }

private:
  enum : std::uint8_t { nowhere, once, often, once_ghost, often_ghost };

  void enter(std::uint8_t list, std::uint32_t key) {
    list_[list].push(links_, key);
    where_[key] = list;
  }
  void forget(std::uint8_t list) { where_[list_[list].pop(links_)] = nowhere; }
  void replace(bool from_often_ghost) {
    const auto size = static_cast<double>(list_[once].size);
    const bool first = size > 0 && (size > target_ || (size == target_ && from_often_ghost));
    if (first || list_[often].size == 0)
      enter(once_ghost, list_[once].pop(links_));
    else
      enter(often_ghost, list_[often].pop(links_));
  }
  void make_room() {
    const auto seen_once = list_[once].size + list_[once_ghost].size;
    if (seen_once >= capacity_) {
      if (list_[once_ghost].size == 0) return forget(once);
      forget(once_ghost);
    } else if (seen_once + list_[often].size + list_[often_ghost].size >= 2 * capacity_ &&
               list_[often_ghost].size != 0) {
      forget(often_ghost);
    }
    replace(false);
  }

  std::size_t capacity_;
  id_links links_;
  id_queue list_[5];
  std::vector<std::uint8_t> where_;
  double target_ = 0; // of the list of keys seen once
};

} // namespace

std::unique_ptr<cache_policy> make_arc(std::size_t keys, std::size_t capacity) {
  return std::make_unique<arc>(keys, capacity);
}

} // namespace warp::bench::physics
