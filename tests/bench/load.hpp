#pragma once

#include "storage/reply.hpp"
#include "tests/bench/threads.hpp"
#include "tests/bench/workload.hpp"

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace warp::bench {

/// What a measured loop asks for: keys of 16 bytes, values of `value_bytes`.
struct load {
  enum class mix {
    get_put,         ///< gets, and puts (overwrites) in `put_percent` of the operations
    erase_and_insert ///< a key is erased and put again: half of the operations each
  };
  mix kind = mix::get_put;
  unsigned put_percent = 0;
  std::size_t batch = 1;
  unsigned threads = 1;
  std::uint64_t keys = 1'000'000;
  std::size_t value_bytes = 100;
  const std::vector<std::uint32_t>* skew = nullptr; ///< numbers of keys; null: uniform
  const std::vector<std::vector<std::uint32_t>>* lists = nullptr; ///< instead: one a thread
  durability level = durability::unspecified; ///< sync: each call waits for the disk
};

/// What can be driven: the engine, or a peer behind the same call.
template <class Store>
concept drivable = requires(Store& s, std::span<const operation> ops,
                            std::span<storage::op_reply> replies, storage::value_arena& arena) {
  s.execute(ops, replies, arena);
};

/// The operations of one thread, made anew for every call: the same work for ours and the peer.
class load_thread {
public:
  load_thread(const load& l, unsigned thread)
      : load_(l), stream_(l.lists  ? key_stream{l.lists->at(thread), thread + 1}
                          : l.skew ? key_stream{*l.skew, thread + 1}
                                   : key_stream{l.keys, thread + 1}),
        value_(l.value_bytes, 'v'), keys_(l.batch), ops_(l.batch), replies_(l.batch),
        mixed_(l.put_percent != 0 && l.put_percent != 100), syncs_(l.level == durability::sync),
        put_below_((std::uint64_t{l.put_percent} << 32) / 100) {
    for (std::size_t i = 0; i < l.batch; ++i) {
      ops_[i].key = keys_[i].view();
      ops_[i].value = value_;
      make(i, l.put_percent == 0 ? op_kind::get : op_kind::put);
    }
  }
  load_thread(const load_thread&) = delete;
  load_thread& operator=(const load_thread&) = delete;

  /// `count` calls of the store; returns the operations in them. The loop is short: what it does
  /// stands in the processor's window between one call and the next.
  template <drivable Store>
  std::size_t calls(Store& store, std::size_t count) {
    if (load_.kind == load::mix::erase_and_insert)
      for (std::size_t i = 0; i < count; ++i) draw_erasing(), call(store);
    else if (mixed_)
      for (std::size_t i = 0; i < count; ++i) draw_mixed(), call(store);
    else if (ops_.size() == 1)
      for (std::size_t i = 0; i < count; ++i) keys_[0].set(stream_.next()), call_one(store);
    else
      for (std::size_t i = 0; i < count; ++i) draw_keys(), call(store);
    return count * ops_.size();
  }

private:
  void make(std::size_t i, op_kind kind) noexcept {
    ops_[i].kind = kind;
    ops_[i].level = is_write(kind) ? load_.level : durability::unspecified;
  }
  template <drivable Store>
  void call(Store& store) {
    arena_.clear();
    store.execute(ops_, replies_, arena_);
    for (const auto& reply : replies_)
      if (reply.code != op_code::ok) [[unlikely]]
        check(reply);
    if (syncs_) wait(store);
  }
  template <drivable Store>
  void call_one(Store& store) {
    arena_.clear();
    store.execute({ops_.data(), 1}, {replies_.data(), 1}, arena_);
    if (replies_[0].code != op_code::ok) [[unlikely]]
      check(replies_[0]);
    if (syncs_) wait(store);
  }
  template <drivable Store>
  [[gnu::noinline]] void wait(Store& store) {
    if constexpr (requires { store.wait_durable(replies_, std::chrono::steady_clock::now()); }) {
      const auto until = std::chrono::steady_clock::now() + std::chrono::minutes{1};
      if (store.wait_durable(replies_, until) != op_code::ok) fail("a write did not get to disk");
    }
  }
  void draw_keys() noexcept {
    for (auto& key : keys_) key.set(stream_.next());
  }
  void draw_mixed() noexcept {
    // Without a branch on the choice: the processor could not foresee it, and would wait here for
    // what belongs to the store.
    constexpr auto get = static_cast<unsigned>(op_kind::get),
                   put = static_cast<unsigned>(op_kind::put);
    const auto write_level = static_cast<unsigned>(load_.level);
    for (std::size_t i = 0; i < ops_.size(); ++i) {
      keys_[i].set(stream_.next());
      const unsigned write = stream_.choice() < put_below_;
      ops_[i].kind = static_cast<op_kind>(get + write * (put - get));
      ops_[i].level = static_cast<durability>(write * write_level);
    }
  }
  void draw_erasing() noexcept {
    if (ops_.size() == 1) { // erase and put in turns
      inserting_ = !inserting_;
      if (inserting_) keys_[0].set(stream_.next());
      make(0, inserting_ ? op_kind::erase : op_kind::put);
      return;
    }
    const auto half = ops_.size() / 2;
    for (std::size_t i = 0; i < half; ++i) {
      keys_[i].set(stream_.next());
      keys_[half + i] = keys_[i];
      make(i, op_kind::erase);
      make(half + i, op_kind::put);
    }
  }
  void check(const storage::op_reply& reply) const {
    // Another thread, or another place in the batch, may have erased the key just now.
    if (load_.kind == load::mix::erase_and_insert && reply.code == op_code::not_found) return;
    fail("an operation failed: " + std::string{to_string(reply.code)});
  }
  [[noreturn]] static void fail(const std::string& why) {
    std::fprintf(stderr, "benchmark: %s\n", why.c_str());
    std::exit(1);
  }

  const load& load_;
  key_stream stream_;
  std::string value_;
  std::vector<key_text> keys_;
  std::vector<operation> ops_;
  std::vector<storage::op_reply> replies_;
  storage::value_arena arena_;
  bool mixed_, syncs_;
  std::uint64_t put_below_; // of a choice
  bool inserting_ = false;
};

/// Drives the store with this load for `seconds`.
template <drivable Store>
timed_run drive(Store& store, const load& l, double seconds) {
  std::vector<std::unique_ptr<load_thread>> threads;
  for (unsigned t = 0; t < l.threads; ++t) threads.push_back(std::make_unique<load_thread>(l, t));
  const auto calls = l.level == durability::sync ? 1 : 1 + 255 / l.batch;
  return run_threads(l.threads, seconds,
                     [&](unsigned t) { return threads[t]->calls(store, calls); });
}

/// A store that does nothing: what the loop itself costs, generator included.
struct empty_store {
  static void execute(std::span<const operation> ops, std::span<storage::op_reply> replies,
                      storage::value_arena&) noexcept {
    asm volatile("" : : "r"(ops.data()), "r"(replies.data()) : "memory");
  }
};

/// Puts keys 0 .. keys-1, in batches.
template <drivable Store>
void fill(Store& store, std::uint64_t keys, std::size_t value_bytes) {
  constexpr std::size_t batch = 256;
  const std::string value(value_bytes, 'v');
  std::vector<key_text> texts(batch);
  std::vector<operation> ops(batch);
  std::vector<storage::op_reply> replies(batch);
  storage::value_arena arena;
  for (std::uint64_t begin = 0; begin < keys; begin += batch) {
    const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(batch, keys - begin));
    for (std::size_t i = 0; i < n; ++i) {
      texts[i].set(begin + i);
      ops[i] = {.kind = op_kind::put, .key = texts[i].view(), .value = value};
    }
    store.execute(std::span{ops}.first(n), std::span{replies}.first(n), arena);
    for (std::size_t i = 0; i < n; ++i)
      if (replies[i].code != op_code::ok) {
        std::fprintf(stderr, "benchmark: cannot fill the store: %s\n",
                     std::string{to_string(replies[i].code)}.c_str());
        std::exit(1);
      }
  }
}

} // namespace warp::bench
