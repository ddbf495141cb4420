#pragma once

#include "messages/status.hpp"

#include <cstdint>
#include <string>

namespace warp::programs {

/// Tells whoever started the server where it listens: {"rpc": 7400, "resp": 7379, "http": 7480,
/// "pid": 1234}.
/// Appears under its name when it is complete; `resp` and `http` 0 (no such port) are
/// left out.
op_status write_port_file(const std::string& path, std::uint16_t rpc, std::uint16_t resp,
                          std::uint16_t http);

} // namespace warp::programs
