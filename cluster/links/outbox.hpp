#pragma once

#include "cluster/links/envelope.hpp"

#include <cstddef>
#include <deque>
#include <vector>

namespace warp::cluster::links {

/// What waits to be sent to one peer, bounded in bytes. Answers (everything but Appends) go first:
/// they are small, and an answer that stood behind a megabyte of records would cost its primary the
/// read lease. Appends keep their order, and so do answers.
///
/// A value; its owner locks.
class outbox {
public:
  explicit outbox(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  /// False: no room, the message is not taken. An empty outbox takes a message of any size; answers
  /// have an eighth more room than Appends.
  bool push(shard_message&& m) {
    const auto size = encoded_bytes(m);
    const bool answer = !std::holds_alternative<replication::append>(m.what.body);
    const auto room = answer ? bytes_max_ + bytes_max_ / 8 : bytes_max_;
    if (bytes_ != 0 && bytes_ + size > room) return false;
    (answer ? answers_ : appends_).push_back(std::move(m));
    bytes_ += size;
    return true;
  }

  /// The next messages, up to `bytes` of them, and one at least where there is any.
  [[nodiscard]] std::vector<shard_message> take(std::size_t bytes) {
    std::vector<shard_message> taken;
    std::size_t sum = 0;
    for (auto* lane : {&answers_, &appends_})
      while (!lane->empty()) {
        const auto size = encoded_bytes(lane->front());
        if (sum != 0 && sum + size > bytes) return taken;
        sum += size;
        bytes_ -= size;
        taken.push_back(std::move(lane->front()));
        lane->pop_front();
      }
    return taken;
  }

  /// Forgets everything; how many messages that were.
  std::size_t clear() {
    const auto count = size();
    answers_.clear();
    appends_.clear();
    bytes_ = 0;
    return count;
  }

  [[nodiscard]] bool empty() const { return answers_.empty() && appends_.empty(); }
  [[nodiscard]] std::size_t size() const { return answers_.size() + appends_.size(); }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

private:
  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::deque<shard_message> answers_, appends_;
};

} // namespace warp::cluster::links
