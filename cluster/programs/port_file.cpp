#include "cluster/programs/port_file.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fmt/format.h>
#include <unistd.h>

namespace warp::programs {

op_status write_port_file(const std::string& path, std::uint16_t rpc, std::uint16_t resp,
                          std::uint16_t http) {
  const auto named = [](const char* name, std::uint16_t port) {
    return port == 0 ? std::string{} : fmt::format(", \"{}\": {}", name, port);
  };
  const auto text = fmt::format("{{\"rpc\": {}{}{}, \"pid\": {}}}\n", rpc, named("resp", resp),
                                named("http", http), ::getpid());
  const auto unfinished = path + ".new";
  std::FILE* out = std::fopen(unfinished.c_str(), "wb");
  bool good = out != nullptr && std::fwrite(text.data(), 1, text.size(), out) == text.size();
  if (out != nullptr) good = std::fclose(out) == 0 && good;
  if (good && std::rename(unfinished.c_str(), path.c_str()) == 0) return {};
  return {op_code::io_error,
          fmt::format("cannot write the port file {}: {}", path, std::strerror(errno))};
}

} // namespace warp::programs
