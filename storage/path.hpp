#pragma once

#include <string>
#include <string_view>

namespace warp::storage {

/// Suffixes of files that are not what their name says yet. Left-overs are removed at the next
/// start.
inline constexpr std::string_view temporary_suffix = ".tmp";
inline constexpr std::string_view part_suffix = ".part";

/// The folder a path lies in: "/" for "/name", "." for "name".
[[nodiscard]] inline std::string folder_of(std::string_view path) {
  const auto slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return std::string{path.substr(0, slash == 0 ? 1 : slash)};
}

[[nodiscard]] inline std::string join_path(std::string_view folder, std::string_view name) {
  std::string path{folder};
  if (!path.empty() && path.back() != '/') path += '/';
  return path += name;
}

} // namespace warp::storage
