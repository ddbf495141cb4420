#pragma once

#include "messages/status.hpp"

#include <cstdint>
#include <string>

namespace warp::programs {

/// How far a load has come, in a small JSON file beside the data, so that an interrupted one can go
/// on: {"file": "...", "bytes": 1, "lines": 2}.
struct load_state {
  std::string file;        ///< what is loaded, as it was named
  std::uint64_t bytes = 0; ///< its size, to notice another file under the same name; 0: not known
  std::uint64_t lines = 0; ///< from its beginning, stored for good

  /// An absent file is a state with no lines. invalid_argument: not a file of ours, or of another
  /// load.
  static op_result<load_state> read(const std::string& path, const std::string& file,
                                    std::uint64_t bytes);
  /// Replaces the file as a whole or not at all.
  [[nodiscard]] op_status write(const std::string& path) const;
};

} // namespace warp::programs
