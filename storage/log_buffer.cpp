#include "storage/log_buffer.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>

namespace warp::storage {

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

void chunk_pool::give_back(std::vector<chunk>& chunks) {
  {
    std::lock_guard guard{mutex_};
    while (!chunks.empty() && free_.size() < kept_max) {
      free_.push_back(std::move(chunks.back()));
      chunks.pop_back();
    }
  }
  chunks.clear(); // the rest is freed outside the lock
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
  open_ = true;
  advance(header_bytes);
}

void log_buffer::close_frame(chunk_pool& pool, std::size_t alignment) {
  const auto padding = (alignment - frames_.back().length % alignment) % alignment;
  at_ = std::fill_n(room(pool, padding), padding, '\0');
  bytes_ += padding;
  close_piece();
  frames_.back().piece_end = static_cast<std::uint32_t>(pieces_.size());
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
  blobs_.push_back(blob);
  pieces_.push_back({blob.view().data(), blob.view().size()});
  frames_.back().length += blob.view().size();
  bytes_ += blob.view().size();
}

void log_buffer::clear(chunk_pool& pool) {
  pool.give_back(chunks_);
  blobs_.clear();
  pieces_.clear();
  frames_.clear();
  piece_ = at_ = end_ = nullptr;
  bytes_ = 0;
  open_ = false;
}

void log_buffer::next_chunk(chunk_pool& pool) {
  close_piece();
  chunks_.push_back(pool.take());
  piece_ = at_ = chunks_.back().get();
  end_ = at_ + chunk_pool::chunk_bytes;
}

void log_buffer::close_piece() {
  if (at_ != piece_) pieces_.push_back({piece_, static_cast<std::size_t>(at_ - piece_)});
  piece_ = at_;
}

} // namespace warp::storage
