#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace warp::cluster {

/// Bytes from "64MiB", "4 GiB", "10kB", "512". Binary (KiB, MiB, GiB, TiB) and decimal (kB, MB, GB,
/// TB) units, whole numbers only. Nothing for anything else, or when it does not fit 64 bits.
std::optional<std::uint64_t> parse_size(std::string_view text);
/// The shortest exact form: "64MiB", "1000B".
std::string format_size(std::uint64_t bytes);

/// Milliseconds from "50ms", "5s", "10min", "2h", "1d", and "0". Whole numbers only; a bare number
/// other than 0 has no meaning.
std::optional<std::uint64_t> parse_duration_ms(std::string_view text);
/// The shortest exact form: "50ms", "5min".
std::string format_duration_ms(std::uint64_t ms);

/// The candidate that `name` was probably meant to be: few edits away, or a part of it; nothing
/// when none is near.
std::optional<std::string> closest_name(std::string_view name,
                                        const std::vector<std::string>& candidates);

/// "host:port" or "[v6]:port" taken apart. Nothing when it is neither, or the port is above 65,535.
struct host_and_port {
  std::string host; ///< without brackets; "*" for every address
  std::uint16_t port = 0;
};
std::optional<host_and_port> parse_address(std::string_view text);
/// Can only this machine reach it? 127.0.0.0/8, ::1 and localhost.
bool is_loopback(const host_and_port& address);

} // namespace warp::cluster
