#pragma once

#include "messages/status.hpp"

#include <chrono>
#include <string>
#include <string_view>

namespace warp::programs {

/// The body of http://ADDRESS/PATH. `address`: "host:port". unavailable: nobody answered within
/// `patience`; io_error: the answer is no 200, or longer than 16 MiB. Blocks.
op_result<std::string> http_get(std::string_view address, std::string_view path,
                                std::chrono::milliseconds patience);

} // namespace warp::programs
