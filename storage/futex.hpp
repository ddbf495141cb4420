#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace warp::storage {

/// Sleeps while `word` is `expected`, until futex_wake() or the deadline; may also return for no
/// reason. False: the deadline has passed. (std::atomic::wait knows no deadline.)
bool futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                std::chrono::steady_clock::time_point deadline) noexcept;
/// Wakes all who sleep on the word.
void futex_wake(const std::atomic<std::uint32_t>& word) noexcept;

} // namespace warp::storage
