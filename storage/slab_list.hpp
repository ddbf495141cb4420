#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace warp::storage {

/// A doubly linked list in one array: elements keep their position while they live, freed positions
/// are used again. Not thread-safe.
template <class T>
class slab_list {
public:
  using position = std::uint32_t;
  static constexpr position none = std::numeric_limits<position>::max();

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] position front() const noexcept { return first_; }
  [[nodiscard]] position back() const noexcept { return last_; }
  [[nodiscard]] position after(position at) const noexcept { return nodes_[at].next; }
  T& operator[](position at) noexcept { return nodes_[at].value; }
  const T& operator[](position at) const noexcept { return nodes_[at].value; }

  /// After this `more` calls of push_back() can't throw.
  void reserve(std::size_t more) {
    const auto room = nodes_.capacity() - size_; // freed positions are used first
    if (more > room) nodes_.reserve(std::max({std::size_t{8}, 2 * nodes_.size(), size_ + more}));
  }

  position push_back(const T& value) {
    position at = free_;
    if (at == none) {
      at = static_cast<position>(nodes_.size());
      nodes_.push_back({value, none, none});
    } else {
      free_ = nodes_[at].next;
      nodes_[at].value = value;
    }
    link_back(at);
    return at;
  }

  void erase(position at) noexcept {
    unlink(at);
    nodes_[at].next = free_;
    free_ = at;
  }

  void move_to_back(position at) noexcept {
    if (at == last_) return;
    unlink(at);
    link_back(at);
  }

private:
  struct node {
    T value;
    position previous, next; ///< next: also the chain of free nodes
  };

  void link_back(position at) noexcept {
    nodes_[at].previous = last_;
    nodes_[at].next = none;
    (last_ == none ? first_ : nodes_[last_].next) = at;
    last_ = at;
    ++size_;
  }

  void unlink(position at) noexcept {
    const auto [previous, next] = std::pair{nodes_[at].previous, nodes_[at].next};
    (previous == none ? first_ : nodes_[previous].next) = next;
    (next == none ? last_ : nodes_[next].previous) = previous;
    --size_;
  }

  std::vector<node> nodes_;
  position first_ = none, last_ = none, free_ = none;
  std::size_t size_ = 0;
};

} // namespace warp::storage
