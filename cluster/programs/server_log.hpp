#pragma once

#include <string_view>

namespace warp::programs {

/// Makes spdlog's default logger write to standard error: `format` "text" for people, or "json": an
/// object a line with time, level and message. `level`: trace, debug, info, warn, error. Call
/// before other threads log.
void set_up_log(std::string_view level, std::string_view format);

} // namespace warp::programs
