#include "storage/pending_transaction.hpp"

#include "storage/key_hash.hpp"
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
  for (auto* const key : touched_)
    if (key->lsn == 0) all_.forget(*key);
}

void pending_transaction::bring(std::string_view key) {
  const auto hash = key_hash(key);
  if (auto* const found = all_.keys_.find(hash, key)) {
    all_.make(*found);
    if (!touched_.insert(found).second) return;
    depends_on_ = std::max(depends_on_, all_.seen_at(found));
    return;
  }
  auto& added = all_.keys_.add(hash, key);
  added.in_overlay = true;
  try {
    if (!cleared_) all_.adopt(hash, key);
    touched_.insert(&added);
  } catch (const std::bad_alloc&) {
    all_.forget(added);
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
  const auto hash = key_hash(key);
  if (const auto* const at = all_.keys_.find(hash, key); at && !at->unmade.empty())
    return at->lsn > since;
  const auto* const left = all_.overlay_.records().find(hash, key);
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
    auto* const key = all_.keys_.find(key_hash(w.logged.key), w.logged.key);
    if (!changed_.insert(key).second) continue;
    all_.order_.push_back({lsn_, key});
    ++ordered_;
  }
  if (count <= 1) return last;
  return body_of({.op = log_op::together, .lsn = lsn_, .value = bodies});
}

void pending_transaction::commit(const staged_writes& staged) noexcept {
  committed_ = true;
  for (auto* const key : changed_) key->lsn = lsn_;
  all_.note_removals(staged, cleared_);
  if (cleared_) all_.cleared_at_ = lsn_;
}

} // namespace warp::storage
