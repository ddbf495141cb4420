#pragma once

#include <atomic>
#include <cstdint>

namespace warp::storage {

/// The memory that the tables of one engine may take, in all; shards take it in blocks and write
/// within what they have taken, so that a put meets no counter that all threads share. Thread-safe.
class memory_budget {
public:
  /// Before first use. `shards` that share it; each may hold a few blocks that it does not use.
  void set_limit(std::uint64_t bytes, std::uint32_t shards) noexcept;

  /// Takes `bytes` if they are there.
  [[nodiscard]] bool try_take(std::uint64_t bytes) noexcept;
  /// Takes them anyway: for what cannot be refused, as what a start has found.
  void take(std::uint64_t bytes) noexcept { taken_.fetch_add(bytes, std::memory_order_relaxed); }
  void give_back(std::uint64_t bytes) noexcept {
    taken_.fetch_sub(bytes, std::memory_order_relaxed);
  }

  [[nodiscard]] std::uint64_t limit() const noexcept { return limit_; }
  /// What a shard takes at a time: its share of a sixty-fourth, 16 KiB to 1 MiB.
  [[nodiscard]] std::uint64_t block() const noexcept { return block_; }
  [[nodiscard]] std::uint64_t taken() const noexcept {
    return taken_.load(std::memory_order_relaxed);
  }

private:
  std::uint64_t limit_ = ~std::uint64_t{0};
  std::uint64_t block_ = 1u << 20;
  alignas(64) std::atomic<std::uint64_t> taken_{0};
};

/// Four fifths of the memory that this process may use: the machine's, or less where its cgroup
/// says so. The rest is for buffers, connections and the operating system.
[[nodiscard]] std::uint64_t default_memory_limit();

} // namespace warp::storage
