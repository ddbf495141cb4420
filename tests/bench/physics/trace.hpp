#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace warp::bench::physics {

/// Accesses in order, as numbers: keys are numbered from 0 in the order of their first access.
struct trace {
  std::string name; ///< the file's, without its endings
  std::vector<std::uint32_t> accesses;
  std::size_t keys = 0; ///< distinct ones
};

/// Reads a trace: one key a line, any bytes without a line feed, an empty line is no access; plain
/// text or compressed with zstd, whatever the file is called. In `error` what is wrong, with the
/// file's name, when nothing is returned.
std::optional<trace> read_trace(const std::filesystem::path& file, std::string& error);

/// The same from text in memory.
trace parse_trace(std::string name, const std::string& text);

/// The traces that lie beside the checkout in shared/data/traces, sorted by name; empty where there
/// are none. Looked for in ../shared and shared, from the working directory.
std::vector<std::filesystem::path> shared_traces();

} // namespace warp::bench::physics
