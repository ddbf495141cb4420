#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace warp {

/// A queue in one piece of memory that grows to the most it has held, and then is used again and
/// again: a std::deque takes and gives back a block every few elements. What push_back() throws has
/// changed nothing. T is cheap to make without arguments.
template <class T>
class ring {
public:
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

  [[nodiscard]] T& operator[](std::size_t i) noexcept { return room_[(head_ + i) & mask()]; }
  [[nodiscard]] const T& operator[](std::size_t i) const noexcept {
    return room_[(head_ + i) & mask()];
  }
  [[nodiscard]] T& front() noexcept { return (*this)[0]; }
  [[nodiscard]] const T& front() const noexcept { return (*this)[0]; }
  [[nodiscard]] T& back() noexcept { return (*this)[size_ - 1]; }
  [[nodiscard]] const T& back() const noexcept { return (*this)[size_ - 1]; }

  void push_back(T what) {
    if (size_ == room_.size()) grow();
    (*this)[size_++] = std::move(what);
  }
  void pop_front() noexcept {
    front() = T{};
    head_ = (head_ + 1) & mask();
    --size_;
  }
  void pop_back() noexcept {
    back() = T{};
    --size_;
  }
  void clear() noexcept {
    while (!empty()) pop_back();
  }

private:
  static constexpr std::size_t first_room = 8;

  [[nodiscard]] std::size_t mask() const noexcept { return room_.size() - 1; }
  void grow() {
    std::vector<T> larger(room_.empty() ? first_room : 2 * room_.size());
    for (std::size_t i = 0; i < size_; ++i) larger[i] = std::move((*this)[i]);
    room_ = std::move(larger);
    head_ = 0;
  }

  std::vector<T> room_; ///< a power of two, or none
  std::size_t head_ = 0, size_ = 0;
};

} // namespace warp
