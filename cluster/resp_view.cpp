#include "cluster/resp_view.hpp"

#include <algorithm>

namespace warp::cluster {

namespace {

/// Above this many keys they are found by hash.
constexpr std::size_t linear_max = 12;

} // namespace

void resp_view::begin(durability level, std::uint64_t now_ms) {
  level_ = level;
  now_ms_ = now_ms;
  entries_.clear();
  if (!index_.empty()) index_.clear();
  kept_.clear();
  arena_.clear();
  waits_.clear();
  reads_ = 0;
  failed_ = op_code::ok;
}

resp_view::entry& resp_view::find(std::string_view key) {
  if (entries_.size() <= linear_max) {
    for (auto& e : entries_)
      if (e.key == key) return e;
  } else if (const auto found = index_.find(key); found != index_.end()) {
    return entries_[found->second];
  }
  entries_.push_back({.key = key, .now = {}, .met = {}, .large = {}});
  if (entries_.size() == linear_max + 1)
    for (std::size_t i = 0; i < entries_.size(); ++i) index_.emplace(entries_[i].key, i);
  else if (entries_.size() > linear_max)
    index_.emplace(key, entries_.size() - 1);
  return entries_.back();
}

/// The newest one of each shard is enough.
void resp_view::wait_for(const storage::op_reply& reply) {
  if (reply.durable_at == 0) return;
  const auto at = std::ranges::find(waits_, reply.shard, &durable_target::shard);
  if (at == waits_.end())
    waits_.push_back({reply.shard, reply.durable_at});
  else
    at->lsn = std::max(at->lsn, reply.durable_at);
}

void resp_view::fill(entry& e, storage::op_reply& reply, bool with_value) {
  if (reply.code != op_code::ok && reply.code != op_code::not_found) {
    failed_ = reply.code;
    return;
  }
  wait_for(reply);
  const bool present =
      reply.code == op_code::ok && (reply.expires_at_ms == 0 || reply.expires_at_ms > now_ms_);
  // Read before: then it must still be the same one, or what was computed from it is not true.
  if (e.known && e.version != reply.version) failed_ = op_code::version_mismatch;
  e.version = reply.version;
  e.known = true;
  e.has_value = with_value;
  e.met = {.present = present,
           .expires_at_ms = present ? reply.expires_at_ms : 0,
           .value = with_value && present ? reply.value : std::string_view{}};
  e.large = std::move(reply.large);
  reply.large = {};
  // Expired between the engine's look at the clock and ours: the record is still there, and that
  // is what the write will meet.
  if (!e.written && !e.erased && !e.expiry_set)
    e.now = e.met;
  else if (e.expiry_set && !e.written)
    e.now.value = e.met.value;
}

void resp_view::read(entry& e, op_kind kind) {
  const operation op{.kind = kind, .level = level_, .key = e.key, .value = {}, .request = {}};
  storage::op_reply reply;
  engine_->execute({&op, 1}, {&reply, 1}, arena_);
  ++reads_;
  fill(e, reply, kind == op_kind::get);
}

void resp_view::load(std::span<const std::string_view> keys, bool values) {
  const auto kind = values ? op_kind::get : op_kind::exists;
  operations_.clear();
  for (const auto key : keys)
    if (auto& e = find(key); !e.known) {
      e.known = true; // once, when it is named twice
      operations_.push_back(
          {.kind = kind, .level = level_, .key = key, .value = {}, .request = {}});
    }
  for (const auto& op : operations_) find(op.key).known = false;
  if (operations_.empty()) return;
  if (operations_.size() == 1) return read(find(operations_[0].key), kind);
  replies_.clear();
  replies_.resize(operations_.size());
  ++reads_;
  if (const auto code = engine_->execute_atomic(operations_, replies_, arena_);
      code != op_code::ok) {
    failed_ = code;
    return;
  }
  for (std::size_t i = 0; i < operations_.size(); ++i)
    fill(find(operations_[i].key), replies_[i], values);
}

const resp_view::key_view& resp_view::look(std::string_view key) {
  auto& e = find(key);
  if (!e.known && !e.written) read(e, op_kind::exists);
  return e.now;
}

const resp_view::key_view& resp_view::get(std::string_view key) {
  auto& e = find(key);
  if (!e.has_value && !e.written && !e.erased && !(e.known && !e.met.present))
    read(e, op_kind::get);
  return e.now;
}

lsn_t resp_view::version_met(std::string_view key) {
  return find(key).version;
}

void resp_view::put(std::string_view key, std::string_view value, std::uint64_t expires_at_ms) {
  auto& e = find(key);
  e.now = {.present = true, .expires_at_ms = expires_at_ms, .value = value};
  e.written = true;
  e.erased = e.expiry_set = false;
}

bool resp_view::erase(std::string_view key) {
  auto& e = find(key);
  if (!e.known) read(e, op_kind::exists);
  const bool was = e.now.present;
  e.now = {};
  e.written = e.expiry_set = false;
  e.erased = true;
  return was;
}

void resp_view::expire(std::string_view key, std::uint64_t expires_at_ms) {
  auto& e = find(key);
  e.now.expires_at_ms = expires_at_ms;
  if (!e.written) e.expiry_set = true;
}

bool resp_view::writes_something() const noexcept {
  return std::any_of(entries_.begin(), entries_.end(), [](const entry& e) {
    return e.written || e.expiry_set || (e.erased && e.met.present);
  });
}

op_code resp_view::commit() {
  if (failed_ != op_code::ok) return failed_;
  const bool writes = writes_something();
  const bool one_moment = reads_ <= 1;
  if (!writes && one_moment) return op_code::ok;
  operations_.clear();
  for (const auto& e : entries_) {
    operation op{.level = level_, .key = e.key, .value = {}, .request = {}};
    if (e.written) {
      op.kind = op_kind::put;
      op.value = e.now.value;
      op.expires_at_ms = e.now.expires_at_ms;
    } else if (e.erased && e.version != 0) {
      op.kind = op_kind::erase;
    } else if (e.expiry_set) {
      op.kind = op_kind::expire;
      op.expires_at_ms = e.now.expires_at_ms;
    } else {
      op.kind = op_kind::exists;
    }
    if (e.known) {
      op.condition = write_condition::if_version;
      op.expected_version = e.version;
    } else if (!e.written) {
      continue;
    }
    operations_.push_back(op);
  }
  if (operations_.empty()) return op_code::ok;
  return execute_writes();
}

op_code resp_view::execute_writes() {
  replies_.clear();
  replies_.resize(operations_.size());
  op_code code = op_code::ok;
  if (operations_.size() == 1 && is_write(operations_[0].kind)) {
    engine_->execute(operations_, replies_, arena_);
    code = replies_[0].code;
    // Expired since it was read: it is gone, and whoever asked reads that.
    if (code == op_code::not_found) code = op_code::version_mismatch;
  } else {
    code = engine_->execute_atomic(operations_, replies_, arena_);
  }
  if (code != op_code::ok) return code;
  for (const auto& reply : replies_) wait_for(reply);
  return op_code::ok;
}

} // namespace warp::cluster
