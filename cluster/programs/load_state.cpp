#include "cluster/programs/load_state.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fmt/format.h>
#include <fstream>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace warp::programs {

op_result<load_state> load_state::read(const std::string& path, const std::string& file,
                                       std::uint64_t bytes) {
  load_state state{file, bytes, 0};
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    if (errno == ENOENT) return state;
    return op_status(op_code::io_error,
                     fmt::format("cannot read {}: {}", path, std::strerror(errno)));
  }
  const auto page = nlohmann::json::parse(in, nullptr, false);
  if (!page.is_object() || !page.contains("file") || !page["file"].is_string() ||
      !page.contains("bytes") || !page["bytes"].is_number_unsigned() || !page.contains("lines") ||
      !page["lines"].is_number_unsigned())
    return op_status(
        op_code::invalid_argument,
        fmt::format("{} is no state of a load: delete it, or name another file", path));
  if (page["file"] != file || page["bytes"] != bytes)
    return op_status(op_code::invalid_argument,
                     fmt::format("{} belongs to another load ({}, {} bytes; this is {}, {} bytes): "
                                 "delete it, or name another file",
                                 path, page["file"].get<std::string>(),
                                 page["bytes"].get<std::uint64_t>(), file, bytes));
  state.lines = page["lines"].get<std::uint64_t>();
  return state;
}

op_status load_state::write(const std::string& path) const {
  const nlohmann::ordered_json page = {{"file", file}, {"bytes", bytes}, {"lines", lines}};
  const auto text =
      page.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  const auto unfinished = path + ".new";
  std::FILE* out = std::fopen(unfinished.c_str(), "wb");
  bool good = out != nullptr && std::fwrite(text.data(), 1, text.size(), out) == text.size();
  // Synced, so that after a power cut it names no lines that the file it replaces did not.
  if (out != nullptr) good = std::fflush(out) == 0 && ::fsync(::fileno(out)) == 0 && good;
  if (out != nullptr) good = std::fclose(out) == 0 && good;
  if (good && std::rename(unfinished.c_str(), path.c_str()) == 0) return {};
  return {op_code::io_error, fmt::format("cannot write {}: {}", path, std::strerror(errno))};
}

} // namespace warp::programs
