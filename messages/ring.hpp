#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace warp {

/// A queue in one piece of memory, which is used again and again: a std::deque takes and gives back
/// a block every few elements. It grows as it must, and gives back what was needed for a while
/// only. What push_back() throws has changed nothing. T is cheap to make without arguments.
template <class T>
class ring {
public:
  ring() = default;
  ring(const ring&) = default;
  ring& operator=(const ring&) = default;
  ring(ring&& other) noexcept
      : room_(std::exchange(other.room_, {})), head_(std::exchange(other.head_, 0)),
        size_(std::exchange(other.size_, 0)) {}
  ring& operator=(ring&& other) noexcept {
    room_ = std::exchange(other.room_, {});
    head_ = std::exchange(other.head_, 0);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// Elements that there is memory for. Above room_kept it is given back, in the end, by those who
  /// go on to push.
  [[nodiscard]] std::size_t room() const noexcept { return room_.size(); }
  static constexpr std::size_t room_min = 8, room_kept = 1'024;
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
    if (size_ == room_.size())
      move_to(room_.empty() ? room_min : 2 * room_.size());
    else if (room_.size() > room_kept && size_ < room_.size() / 8)
      move_to(room_.size() / 2);
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
  [[nodiscard]] std::size_t mask() const noexcept { return room_.size() - 1; }
  void move_to(std::size_t room) {
    std::vector<T> other(room);
    for (std::size_t i = 0; i < size_; ++i) other[i] = std::move((*this)[i]);
    room_ = std::move(other);
    head_ = 0;
  }

  std::vector<T> room_; ///< a power of two, or none
  std::size_t head_ = 0, size_ = 0;
};

} // namespace warp
