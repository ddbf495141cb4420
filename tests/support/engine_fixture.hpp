#pragma once

#include "storage/engine.hpp"
#include "storage/stream_threads.hpp"

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace warp::testing {

/// Options for tests: few shards, small segments, a short flush interval.
inline storage::engine_options small_options(std::string folder) {
  return {.folder = std::move(folder),
          .shard_count = 4,
          .wal_streams = 1,
          .segment_bytes = 256 * 1024,
          .wal_max_bytes = 64u << 20,
          .flush_interval = std::chrono::milliseconds{5},
          .recovery_threads = 2};
}

/// The fields of a hash, sorted by name: "{a=1, b=2}".
inline std::string text_of(const storage::hash_view& fields) {
  std::map<std::string, std::string> sorted;
  fields.for_each([&](std::string_view name, std::string_view value) {
    REQUIRE(sorted.emplace(name, value).second);
  });
  REQUIRE(sorted.size() == fields.count());
  std::string text = "{";
  for (const auto& [name, value] : sorted)
    text += (text.size() == 1 ? "" : ", ") + name + "=" + value;
  return text + "}";
}

/// An engine with its log threads, and the calls tests make most, one key at a time.
class running_engine {
public:
  using fields = std::vector<std::pair<std::string, std::string>>;

  explicit running_engine(storage::engine_options options) {
    auto opened = storage::engine::open(std::move(options));
    INFO(opened.status().to_string());
    REQUIRE(opened.ok());
    engine_ = std::move(*opened);
    threads_ = std::make_unique<storage::stream_threads>(*engine_);
  }
  /// Ends without a clean stop: what was not synced may be lost, as in a crash of the process.
  ~running_engine() = default;

  /// A clean stop.
  op_status stop() {
    threads_.reset();
    auto status = engine_->close();
    engine_.reset();
    return status;
  }

  storage::engine& operator*() { return *engine_; }
  storage::engine* operator->() { return engine_.get(); }

  storage::op_reply run(const operation& op) {
    storage::op_reply reply;
    arena_.clear();
    engine_->execute({&op, 1}, {&reply, 1}, arena_);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{30};
    if (const auto code = engine_->wait_durable({&reply, 1}, deadline); code != op_code::ok)
      reply.code = code;
    return reply;
  }

  storage::op_reply put(std::string_view key, std::string_view value,
                        durability level = durability::unspecified) {
    return run({.kind = op_kind::put, .level = level, .key = key, .value = value});
  }
  storage::op_reply erase(std::string_view key, durability level = durability::unspecified) {
    return run({.kind = op_kind::erase, .level = level, .key = key});
  }
  storage::op_reply increment(std::string_view key, std::int64_t delta,
                              durability level = durability::unspecified) {
    return run({.kind = op_kind::increment, .level = level, .key = key, .delta = delta});
  }
  storage::op_reply hash_set(std::string_view key, const fields& of,
                             durability level = durability::unspecified) {
    field_packer packer;
    for (const auto& [name, value] : of) packer.add_pair(name, value);
    return run({.kind = op_kind::hash_set, .level = level, .key = key, .value = packer.packed()});
  }
  storage::op_reply hash_erase(std::string_view key, const std::vector<std::string>& names,
                               durability level = durability::unspecified) {
    field_packer packer;
    for (const auto& name : names) packer.add_name(name);
    return run({.kind = op_kind::hash_erase, .level = level, .key = key, .value = packer.packed()});
  }
  storage::op_reply hash_increment(std::string_view key, std::string_view name, std::int64_t delta,
                                   durability level = durability::unspecified) {
    field_packer packer;
    packer.add_name(name);
    return run({.kind = op_kind::hash_increment,
                .level = level,
                .key = key,
                .value = packer.packed(),
                .delta = delta});
  }
  /// A field's value, "(absent)" or "(code)".
  std::string hash_get(std::string_view key, std::string_view name) {
    field_packer packer;
    packer.add_name(name);
    const auto reply = run({.kind = op_kind::hash_get, .key = key, .value = packer.packed()});
    if (reply.code != op_code::ok) return "(" + std::string{to_string(reply.code)} + ")";
    REQUIRE(are_packed_answers(reply.value));
    std::string text;
    for_each_answer(reply.value,
                    [&](auto value) { text = value ? std::string{*value} : "(absent)"; });
    return text;
  }
  /// All fields as text_of() has them, or "(code)".
  std::string hash_all(std::string_view key) {
    const auto reply = run({.kind = op_kind::hash_all, .key = key});
    if (reply.code != op_code::ok) return "(" + std::string{to_string(reply.code)} + ")";
    return text_of({reply.value, reply.large.get()});
  }
  storage::op_reply read(std::string_view key) { return run({.kind = op_kind::get, .key = key}); }
  /// The value, or "(code)".
  std::string get(std::string_view key) {
    const auto reply = read(key);
    return reply.code == op_code::ok ? std::string{reply.value}
                                     : "(" + std::string{to_string(reply.code)} + ")";
  }

  /// Everything, by a full scan.
  std::vector<std::pair<std::string, std::string>> everything() {
    std::vector<std::pair<std::string, std::string>> all;
    storage::scan_page page;
    do {
      REQUIRE(engine_->scan(page.next_cursor, "", 100, page).ok());
      for (const auto& e : page.entries)
        all.emplace_back(e.key, e.type == value_type::hash ? text_of(e.fields()) : e.value);
    } while (page.next_cursor != 0);
    return all;
  }

private:
  std::unique_ptr<storage::engine> engine_;
  std::unique_ptr<storage::stream_threads> threads_;
  storage::value_arena arena_;
};

} // namespace warp::testing
