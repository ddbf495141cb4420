#include "storage/pending_transaction.hpp"

#include "storage/record_body.hpp"

#include <algorithm>
#include <mutex>

namespace warp::storage {

pending_transaction::pending_transaction(pending_writes& all, lsn_t lsn, write_limits limits)
    : all_(all), lsn_(lsn), limits_(limits) {
  if (takes_clear()) all_.make_all(); // it counts, and removes, what the overlay has
  all_.overlay_.count_at(lsn);
}

pending_transaction::~pending_transaction() {
  if (!committed_)
    for (; ordered_ != 0; --ordered_) all_.order_.pop_back();
  for (const auto key : touched_)
    if (key->second.lsn == 0) all_.forget(all_.newest_.find(key->first));
}

void pending_transaction::bring(std::string_view key) {
  const auto name = pending_writes::view_of(key);
  const auto found = all_.newest_.find(name);
  if (found != all_.newest_.end()) {
    all_.make(found->second);
    if (!touched_.insert(&*found).second) return;
    depends_on_ = std::max(depends_on_, all_.seen_at(found));
    return;
  }
  const auto at = all_.add(name.hash, key);
  at->second.in_overlay = true;
  try {
    if (!cleared_) all_.adopt(name.hash, key);
    touched_.insert(&*at);
  } catch (const std::bad_alloc&) {
    all_.forget(at);
    throw;
  }
  depends_on_ = std::max(depends_on_, all_.cleared_at_);
}

op_code pending_transaction::admit(std::uint64_t bytes) const noexcept {
  if (limits_.refusal != op_code::ok) return limits_.refusal;
  if (bytes > limits_.bytes_ever) return op_code::invalid_argument;
  return bytes > limits_.bytes_now ? op_code::overloaded : op_code::ok;
}

void pending_transaction::note_level(durability asked) noexcept {
  levels_ |= static_cast<std::uint8_t>(1u << static_cast<unsigned>(asked));
}

bool pending_transaction::has_records() {
  if (all_.unmade_ != 0 || all_.overlay_.records().stats().keys != 0) return true;
  if (cleared_ || all_.cleared_at_ != 0) return false;
  std::lock_guard hold{all_.home_.lock()};
  return all_.home_.records().stats().keys != 0;
}

void pending_transaction::clear(const staged_writes& staged) noexcept {
  cleared_ = true;
  cleared_from_ = staged.size();
}

bool pending_transaction::came_and_went(std::string_view key, lsn_t since, std::uint64_t reign) {
  if (reign != all_.undone_) return true; // of what others did meanwhile nothing was noted
  const auto name = pending_writes::view_of(key);
  if (const auto at = all_.newest_.find(name);
      at != all_.newest_.end() && !at->second.unmade.empty())
    return at->second.lsn > since;
  const auto* const left = all_.overlay_.records().find(name.hash, key);
  if (left && left->version() > since) return true; // it has expired, and is not removed yet
  std::lock_guard hold{all_.home_.lock()};
  return all_.home_.absent().removed(key) > since;
}

shared_bytes pending_transaction::prepare(const staged_writes& staged) {
  std::string bodies;
  shared_bytes last;
  std::size_t count = 0;
  const auto add = [&](const log_record& change) {
    last = body_of(change);
    bodies += last.view();
    ++count;
  };
  if (cleared_) add({.op = log_op::clear, .lsn = lsn_, .key = ""});
  for (std::size_t i = cleared_from_; i < staged.size(); ++i)
    if (!staged[i].cleared) add(staged[i].logged);
  for (const auto& w : staged) {
    if (w.cleared) continue;
    const auto key = &*all_.newest_.find(pending_writes::view_of(w.logged.key));
    if (!changed_.insert(key).second) continue;
    all_.order_.push_back({lsn_, key});
    ++ordered_;
  }
  if (count <= 1) return last;
  return body_of({.op = log_op::together, .lsn = lsn_, .value = bodies});
}

void pending_transaction::commit(const staged_writes& staged) noexcept {
  committed_ = true;
  for (const auto key : changed_) key->second.lsn = lsn_;
  all_.note_removals(staged, cleared_);
  if (cleared_) all_.cleared_at_ = lsn_;
}

} // namespace warp::storage
