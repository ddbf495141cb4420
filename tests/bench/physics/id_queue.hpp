#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace warp::bench::physics {

/// Neighbours of keys in the queues of one policy: a key is in at most one of the queues that share
/// these links.
struct id_links {
  static constexpr std::uint32_t none = ~std::uint32_t{0};
  std::vector<std::uint32_t> older, newer;
  explicit id_links(std::size_t keys) : older(keys, none), newer(keys, none) {}
};

/// A queue of keys: new ones enter at its front, any may leave. O(1).
struct id_queue {
  static constexpr std::uint32_t none = id_links::none;
  std::uint32_t front = none, back = none;
  std::size_t size = 0;

  void push(id_links& l, std::uint32_t key) noexcept {
    l.newer[key] = none;
    l.older[key] = front;
    (front == none ? back : l.newer[front]) = key;
    front = key;
    ++size;
  }
  void remove(id_links& l, std::uint32_t key) noexcept {
    (l.newer[key] == none ? front : l.older[l.newer[key]]) = l.older[key];
    (l.older[key] == none ? back : l.newer[l.older[key]]) = l.newer[key];
    --size;
  }
  std::uint32_t pop(id_links& l) noexcept {
    const auto key = back;
    remove(l, key);
    return key;
  }
  void to_front(id_links& l, std::uint32_t key) noexcept {
    remove(l, key);
    push(l, key);
  }
};

} // namespace warp::bench::physics
