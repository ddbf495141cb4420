#pragma once

#include "messages/status.hpp"
#include "storage/file_system.hpp"

#include <string>
#include <string_view>

namespace warp::storage {

/// Puts `bytes` in place of a file, or makes it: a crash at any moment leaves the old one or the
/// new one, whole. Durable when it returns ok. By one thread at a time for one path; the folder
/// exists. Blocks. no_space, io_error: the old one is there.
[[nodiscard]] op_status replace_file(file_system& files, const std::string& folder,
                                     std::string_view name, std::string_view bytes);

/// All bytes of a file. not_found, io_error; no_space when there is no memory for it.
[[nodiscard]] op_result<std::string> read_file(file_system& files, const std::string& path);

} // namespace warp::storage
