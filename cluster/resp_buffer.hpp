#pragma once

#include <cstddef>
#include <cstring>
#include <string_view>
#include <utility>

namespace warp::cluster {

/// Bytes that are written at the end and taken from the front: what a connection has received, or
/// has still to send. Moves its content when it needs room, so views into it live until the next
/// reserve() or append(). Empty and released it holds no memory. Throws std::bad_alloc when there
/// is none.
class resp_buffer {
public:
  resp_buffer() noexcept = default;
  ~resp_buffer() { release(); }
  resp_buffer(resp_buffer&& other) noexcept { swap(other); }
  resp_buffer& operator=(resp_buffer&& other) noexcept {
    swap(other);
    return *this;
  }

  [[nodiscard]] std::size_t size() const noexcept { return end_ - begin_; }
  [[nodiscard]] bool empty() const noexcept { return end_ == begin_; }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  [[nodiscard]] std::string_view view() const noexcept { return {data_ + begin_, size()}; }

  /// Room for `bytes` more behind the content; commit() says how many of them were written.
  char* reserve(std::size_t bytes) {
    if (capacity_ - end_ < bytes) [[unlikely]]
      make_room(bytes);
    return data_ + end_;
  }
  void commit(std::size_t bytes) noexcept { end_ += bytes; }
  /// Bytes that reserve() gives without moving anything.
  [[nodiscard]] std::size_t room() const noexcept { return capacity_ - end_; }

  void append(std::string_view bytes) {
    char* to = reserve(bytes.size());
    if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
    end_ += bytes.size();
  }

  /// Drops the first `bytes`.
  void consume(std::size_t bytes) noexcept {
    begin_ += bytes;
    if (begin_ == end_) begin_ = end_ = 0;
  }
  /// Keeps the first `bytes` only.
  void truncate(std::size_t bytes) noexcept { end_ = begin_ + bytes; }
  /// Puts `bytes` in the place of [from, to).
  void replace(std::size_t from, std::size_t to, std::string_view bytes);

  /// Forgets the content and gives the memory back.
  void release() noexcept;
  void swap(resp_buffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(begin_, other.begin_);
    std::swap(end_, other.end_);
    std::swap(capacity_, other.capacity_);
  }

private:
  void make_room(std::size_t bytes);

  char* data_ = nullptr;
  std::size_t begin_ = 0, end_ = 0, capacity_ = 0;
};

} // namespace warp::cluster
