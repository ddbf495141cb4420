#include "storage/log_buffer.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>

namespace warp::storage {

namespace {

/// Room for `more` elements behind those that are there; grows as push_back() does.
template <class T>
void make_room(std::vector<T>& in, std::size_t more) {
  if (in.capacity() - in.size() < more) in.reserve(std::max(2 * in.capacity(), in.size() + more));
}

} // namespace

chunk_pool::chunk chunk_pool::take() {
  {
    std::lock_guard guard{mutex_};
    if (!free_.empty()) {
      auto c = std::move(free_.back());
      free_.pop_back();
      return c;
    }
  }
  return std::make_unique_for_overwrite<char[]>(chunk_bytes);
}

void chunk_pool::give_back(std::vector<chunk>& chunks) noexcept {
  {
    std::lock_guard guard{mutex_};
    while (!chunks.empty() && free_.size() < kept_max) {
      free_.push_back(std::move(chunks.back()));
      chunks.pop_back();
    }
  }
  chunks.clear(); // the rest is freed outside the lock
}

void log_buffer::reserve(chunk_pool& pool, std::size_t bytes, std::size_t blobs) {
  const auto all = bytes + 2 * room_max; // a header and padding
  const auto left = room_left();
  // What is asked for in one piece may leave as much as that unused at the end of each chunk.
  constexpr auto useful = chunk_pool::chunk_bytes - room_max;
  const auto here = left < room_max ? 0 : left - room_max;
  const auto chunks = left >= all ? 0 : (all - here + useful - 1) / useful;
  make_room(frames_, 1);
  make_room(pieces_, chunks + 2 * blobs + 3); // the open one, one with a header, and the rest
  make_room(blobs_, blobs);
  make_room(chunks_, chunks);
  make_room(spare_, chunks);
  while (spare_.size() < chunks) spare_.push_back(pool.take());
  sure_end_ = end_ == nullptr ? nullptr : end_ - 2 * room_max;
}

void log_buffer::open_frame(chunk_pool& pool, epoch_t epoch, lsn_t previous,
                            std::size_t header_bytes) {
  frame f;
  f.epoch = epoch;
  f.previous = previous;
  static_cast<void>(room(pool, header_bytes));
  close_piece();
  f.piece_begin = static_cast<std::uint32_t>(pieces_.size());
  frames_.push_back(f);
  sure_end_ = at_;
  open_ = true;
  advance(header_bytes);
}

void log_buffer::close_frame(chunk_pool& pool, std::size_t alignment) {
  const auto padding = (alignment - frames_.back().length % alignment) % alignment;
  at_ = std::fill_n(room(pool, padding), padding, '\0');
  bytes_ += padding;
  close_piece();
  frames_.back().piece_end = static_cast<std::uint32_t>(pieces_.size());
  sure_end_ = at_;
  open_ = false;
}

void log_buffer::write(chunk_pool& pool, std::string_view bytes) {
  while (!bytes.empty()) {
    if (at_ == end_) next_chunk(pool);
    const auto n = std::min(bytes.size(), room_left());
    std::memcpy(at_, bytes.data(), n);
    advance(n);
    bytes.remove_prefix(n);
  }
}

void log_buffer::share(const blob_ref& blob) {
  close_piece();
  sure_end_ = at_;
  blobs_.push_back(blob);
  pieces_.push_back({blob.view().data(), blob.view().size()});
  frames_.back().length += blob.view().size();
  bytes_ += blob.view().size();
}

void log_buffer::clear(chunk_pool& pool) noexcept {
  pool.give_back(chunks_);
  pool.give_back(spare_);
  blobs_.clear();
  pieces_.clear();
  frames_.clear();
  piece_ = at_ = end_ = sure_end_ = nullptr;
  bytes_ = 0;
  open_ = false;
}

void log_buffer::next_chunk(chunk_pool& pool) {
  make_room(chunks_, 1);
  auto fresh = spare_.empty() ? pool.take() : std::move(spare_.back());
  close_piece();
  if (!spare_.empty()) spare_.pop_back();
  chunks_.push_back(std::move(fresh));
  piece_ = at_ = sure_end_ = chunks_.back().get();
  end_ = at_ + chunk_pool::chunk_bytes;
}

void log_buffer::close_piece() {
  if (at_ != piece_) pieces_.push_back({piece_, static_cast<std::size_t>(at_ - piece_)});
  piece_ = at_;
}

} // namespace warp::storage
