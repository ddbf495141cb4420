#pragma once

#include "messages/status.hpp"

#include <span>
#include <string_view>
#include <vector>

namespace warp::storage {

/// CPUs as people and the kernel write them: numbers and ranges, in any order ("2,3", "0-3,8"),
/// blanks around them allowed. Sorted, each once; empty text: none. invalid_argument: anything
/// else, numbers above 1,023 included. Says nothing about which of them this machine has.
[[nodiscard]] op_result<std::vector<int>> parse_cpu_list(std::string_view text);

/// From now on the calling thread runs on these CPUs only; none: nothing changes.
/// invalid_argument: the process may use none of them (those it may not use are passed over).
op_status pin_this_thread(std::span<const int> cpus);

} // namespace warp::storage
