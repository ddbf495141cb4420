#include "cluster/resp_view.hpp"

#include "storage/told_streams.hpp"

#include <limits>

namespace warp::cluster {

void resp_view::prepare(std::span<const std::string_view> values) {
  const auto& options = engine_->options();
  const auto compress_from = options.folder.empty() ? std::numeric_limits<std::uint64_t>::max()
                                                    : options.compress_min_bytes;
  for (const auto value : values)
    if (value.size() >= storage::blob_size_min && value.size() <= options.value_bytes_max)
      prepared_.push_back({value, storage::make_large(value, compress_from)});
}

void resp_view::prepare_copy(std::string_view key) {
  storage::value_arena arena;
  storage::op_reply reply;
  const operation look{.kind = op_kind::hash_all,
                       .level = durability::memory,
                       .key = key,
                       .value = {},
                       .request = {}};
  const storage::told_streams unobserved{*engine_};
  engine_->execute_unsynced({&look, 1}, {&reply, 1}, arena);
  if (reply.code != op_code::ok || !reply.large) return;
  packed_ = storage::as_bytes(reply.large);
  packed_version_ = reply.version;
}

op_code resp_view::run(std::span<const std::string_view> keys, scope which, durability level,
                       const std::function<bool()>& work) {
  level_ = level;
  if (cluster_ != nullptr && keys.empty()) { // of no shard: there is nothing to lock
    waits_.clear();
    work();
    return op_code::ok;
  }
  const auto body = [&](storage::transaction& t) {
    current_ = &t;
    wrong_type_ = false;
    met_.clear();
    struct end {
      resp_view& view;
      ~end() { view.current_ = nullptr; }
    } at_last{*this};
    return work() ? storage::transaction_end::commit : storage::transaction_end::abort;
  };
  const auto code = engine_->transact(
      keys, {.level = level, .all_shards = which == scope::all_shards}, std::ref(body), waits_);
  prepared_.clear();
  met_.clear();
  packed_ = {};
  return code;
}

resp_view::key_view resp_view::get(std::string_view key) {
  const auto* const r = current_->find(key);
  if (!r) return {};
  if (r->is_hash())
    return {.present = true,
            .expires_at_ms = r->expires_at_ms(),
            .type = value_type::hash,
            .value = {},
            .fields = {r->value(), r->large()},
            .large = r->large(),
            .version = r->version()};
  if (auto* const large = r->large())
    met_.push_back(
        {large->view(), {.plain = storage::blob_ref::share(large), .packed = {}, .pairs = {}}});
  key_view v;
  v.present = true;
  v.expires_at_ms = r->expires_at_ms();
  v.value = r->value();
  return v;
}

resp_view::key_view resp_view::text(std::string_view key) {
  auto v = get(key);
  if (v.type == value_type::bytes) return v;
  wrong_type_ = true;
  return {};
}

void resp_view::put(std::string_view key, std::string_view value, std::uint64_t expires_at_ms) {
  const operation op{.kind = op_kind::put,
                     .level = level_,
                     .key = key,
                     .value = value,
                     .expires_at_ms = expires_at_ms,
                     .request = {}};
  if (wrong_type_) return;
  const storage::large_value* as_blob = nullptr;
  if (value.size() >= storage::blob_size_min)
    for (const auto* known : {&prepared_, &met_})
      for (const auto& l : *known)
        if (l.bytes.data() == value.data() && l.bytes.size() == value.size()) as_blob = &l.value;
  current_->apply(op, reply_, as_blob);
}

void resp_view::put_like(std::string_view key, const key_view& value, std::uint64_t expires_at_ms) {
  if (value.type == value_type::bytes) return put(key, value.value, expires_at_ms);
  operation op{.kind = op_kind::put,
               .level = level_,
               .type = value.type,
               .key = key,
               .value = value.fields.pairs(),
               .expires_at_ms = expires_at_ms,
               .request = {}};
  if (!value.large) return current_->apply(op, reply_);
  // The two share all nodes until one of them is changed.
  auto whole = storage::blob_ref::share(value.large);
  auto pairs = packed_ && packed_version_ == value.version ? packed_ : storage::as_bytes(whole);
  const storage::large_value shared{
      .plain = std::move(whole), .packed = {}, .pairs = std::move(pairs)};
  op.value = shared.pairs.view();
  current_->apply(op, reply_, &shared);
}

const storage::op_reply& resp_view::apply(operation op) {
  op.level = level_;
  current_->apply(op, reply_);
  return reply_;
}

bool resp_view::erase(std::string_view key) {
  if (wrong_type_) return false;
  current_->apply({.kind = op_kind::erase, .level = level_, .key = key, .value = {}, .request = {}},
                  reply_);
  return reply_.code == op_code::ok;
}

void resp_view::expire(std::string_view key, std::uint64_t expires_at_ms) {
  if (wrong_type_) return;
  current_->apply({.kind = op_kind::expire,
                   .level = level_,
                   .key = key,
                   .value = {},
                   .expires_at_ms = expires_at_ms,
                   .request = {}},
                  reply_);
}

op_status resp_view::scan(std::uint64_t cursor, std::string_view prefix, std::size_t limit,
                          storage::scan_page& page, std::size_t buckets_max) {
  if (!current_) {
    auto status = engine_->scan(cursor, prefix, limit, page, buckets_max);
    if (cluster_ != nullptr && status.ok())
      std::erase_if(page.entries, [&](const storage::scan_entry& entry) {
        return !is_here(engine_->shard_of(entry.key));
      });
    return status;
  }
  current_->scan(cursor, prefix, limit, page, buckets_max);
  return {};
}

/// Has "all keys" those of this shard?
bool resp_view::is_here(shard_id shard) const {
  return cluster_ == nullptr || cluster_->serves(shard);
}

std::uint64_t resp_view::key_count() {
  if (current_) return current_->key_count();
  std::uint64_t keys = 0;
  for (std::uint32_t i = 0; i < engine_->shard_count(); ++i)
    if (is_here(shard_id{i})) keys += engine_->stats(shard_id{i}).table.keys;
  return keys;
}

} // namespace warp::cluster
