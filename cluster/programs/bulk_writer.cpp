#include "cluster/programs/bulk_writer.hpp"

#include <functional>
#include <utility>

namespace warp::programs {

bulk_writer::bulk_writer(client& c, options o,
                         std::function<void(std::uint64_t, const op_status&)> on_failure)
    : client_(c), options_(o), on_failure_(std::move(on_failure)) {}

bulk_writer::~bulk_writer() {
  while (!under_way_.empty()) take_answers(true);
}

void bulk_writer::put(std::uint64_t line, std::string_view key, std::string_view value,
                      const client_write_options& how) {
  const auto hash = std::hash<std::string_view>{}(key);
  // Calls that overlap may be done in any order, so two writes of one key never do. (Within a batch
  // the order is kept; a hash that two keys share costs a wait, no more.)
  while (keys_under_way_.contains(hash)) {
    if (!filling_.lines.empty()) send();
    take_answers(true);
  }
  filling_.operations.put(key, value, how);
  filling_.lines.push_back(line);
  filling_.keys.push_back(hash);
  filling_.last_line = line;
  if (options_.level == durability::async) filling_.key_texts.emplace_back(key);
  if (filling_.operations.size() >= options_.batch_records ||
      filling_.operations.bytes() >= options_.batch_bytes)
    send();
}

void bulk_writer::skip(std::uint64_t line) {
  filling_.last_line = line;
  if (filling_.lines.empty() && under_way_.empty() && failed_ == 0) finished_line_ = line;
}

void bulk_writer::send() {
  while (under_way_.size() >= options_.batches_in_flight) take_answers(true);
  const auto number = next_number_++;
  auto operations = std::exchange(filling_.operations, {});
  keys_under_way_.insert(filling_.keys.begin(), filling_.keys.end());
  under_way_.emplace(number, std::exchange(filling_, {}));
  client_.execute_async(std::move(operations),
                        [inbox = inbox_, number](std::vector<client_reply> replies) {
                          std::lock_guard guard{inbox->mutex};
                          inbox->answers.push_back({number, std::move(replies)});
                          inbox->arrived.notify_one();
                        });
  take_answers(false);
}

void bulk_writer::take_answers(bool wait) {
  std::vector<answered> answers;
  {
    std::unique_lock lock{inbox_->mutex};
    if (wait) inbox_->arrived.wait(lock, [&] { return !inbox_->answers.empty(); });
    answers.swap(inbox_->answers);
  }
  for (const auto& a : answers) take(a);
}

void bulk_writer::take(const answered& a) {
  const auto found = under_way_.find(a.number);
  const auto sent = std::move(found->second);
  under_way_.erase(found);
  for (const auto hash : sent.keys) keys_under_way_.erase(hash);
  for (std::size_t i = 0; i < a.replies.size(); ++i) {
    const auto& reply = a.replies[i];
    if (reply.ok()) {
      ++stored_;
      if (!sent.key_texts.empty()) {
        auto& newest = newest_[reply.shard.value];
        if (reply.version > newest.version) newest = {reply.version, sent.key_texts[i]};
      }
      continue;
    }
    ++failed_;
    on_failure_(sent.lines[i], reply.status);
  }
  if (failed_ > 0) return;
  waiting_.emplace(a.number, sent.last_line);
  const auto first_open = under_way_.empty() ? next_number_ : under_way_.begin()->first;
  while (!waiting_.empty() && waiting_.begin()->first < first_open) {
    finished_line_ = waiting_.begin()->second;
    waiting_.erase(waiting_.begin());
  }
}

op_status bulk_writer::finish() {
  const auto last_line = filling_.last_line;
  if (!filling_.lines.empty()) send();
  while (!under_way_.empty()) take_answers(true);
  if (failed_ == 0 && last_line > finished_line_) finished_line_ = last_line;
  if (newest_.empty()) return {};
  // A read at level sync answers when what it saw is on disk, and with it all that was written to
  // its shard before.
  client_batch reads;
  for (const auto& [shard, newest] : newest_) reads.exists(newest.key, durability::sync);
  for (const auto& reply : client_.execute(reads))
    if (!reply.ok() && reply.code() != op_code::not_found) return reply.status;
  return {};
}

} // namespace warp::programs
