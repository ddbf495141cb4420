#pragma once

#include <string>

namespace warp::bench {

/// One line: processors, memory, kernel, compiler.
std::string hardware_line();

/// The file system under a folder, for the head of a table: "ext4", "tmpfs", ...; its magic number
/// where the name is not known.
std::string file_system_name(const std::string& folder);

} // namespace warp::bench
