#pragma once

#include "messages/status.hpp"

#include <new>
#include <string>
#include <string_view>
#include <utility>

namespace warp::storage {

/// A status with this sentence; without it where there is no memory for that.
[[nodiscard]] inline op_status say(op_code code, std::string_view sentence) noexcept {
  try {
    return {code, std::string{sentence}};
  } catch (const std::bad_alloc&) {
    return code;
  }
}

/// no_space, with a sentence that names what found no memory; without a sentence where there is no
/// memory for that either.
[[nodiscard]] inline op_status no_memory(std::string_view what) noexcept {
  try {
    std::string text{what};
    text += ": the system gives no more memory; it can be tried again";
    return {op_code::no_space, std::move(text)};
  } catch (const std::bad_alloc&) {
    return op_code::no_space;
  }
}

/// What work() returns, an op_status or op_result, or no_memory(what) where it throws
/// std::bad_alloc. `work` must leave everything usable then.
template <class Work>
auto unless_no_memory(std::string_view what, Work&& work) -> decltype(work()) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return no_memory(what);
  }
}

} // namespace warp::storage
