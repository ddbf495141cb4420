#include "tests/bench/physics/trace.hpp"

#include <zstd.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <sstream>
#include <string_view>
#include <unordered_map>

namespace warp::bench::physics {

namespace {

constexpr std::string_view zstd_magic = "\x28\xb5\x2f\xfd";

/// All frames of the file, or nothing when they are damaged.
std::optional<std::string> decompress(const std::string& packed) {
  const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context{ZSTD_createDCtx(),
                                                                     &ZSTD_freeDCtx};
  std::string out, piece(ZSTD_DStreamOutSize(), '\0');
  ZSTD_inBuffer from{packed.data(), packed.size(), 0};
  std::size_t left = 0;
  do {
    ZSTD_outBuffer to{piece.data(), piece.size(), 0};
    const auto before = from.pos;
    left = ZSTD_decompressStream(context.get(), &to, &from);
    if (ZSTD_isError(left)) return std::nullopt;
    out.append(piece.data(), to.pos);
    if (to.pos == 0 && from.pos == before) break; // the file ends within a frame
  } while (from.pos < from.size || left != 0);
  if (left != 0) return std::nullopt;
  return out;
}

} // namespace

trace parse_trace(std::string name, const std::string& text) {
  trace t{std::move(name), {}, 0};
  std::unordered_map<std::string_view, std::uint32_t> numbers;
  for (std::string_view rest{text}; !rest.empty();) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.empty()) continue;
    t.accesses.push_back(
        numbers.try_emplace(line, static_cast<std::uint32_t>(numbers.size())).first->second);
  }
  t.keys = numbers.size();
  return t;
}

std::optional<trace> read_trace(const std::filesystem::path& file, std::string& error) {
  std::ifstream in{file, std::ios::binary};
  std::stringstream bytes;
  bytes << in.rdbuf();
  if (!in) {
    error = file.string() + ": can't be read";
    return std::nullopt;
  }
  auto text = std::move(bytes).str();
  if (text.starts_with(zstd_magic)) {
    auto plain = decompress(text);
    if (!plain) {
      error = file.string() + ": the compressed data is damaged or incomplete";
      return std::nullopt;
    }
    text = *std::move(plain);
  }
  const auto name = file.filename().string();
  auto t = parse_trace(name.substr(0, name.find('.')), text);
  if (t.accesses.empty()) {
    error = file.string() + ": no accesses";
    return std::nullopt;
  }
  return t;
}

std::vector<std::filesystem::path> shared_traces() {
  std::vector<std::filesystem::path> out;
  for (const auto* folder : {"../shared/data/traces", "shared/data/traces"}) {
    std::error_code missing;
    for (const auto& entry : std::filesystem::directory_iterator{folder, missing})
      if (entry.is_regular_file()) out.push_back(entry.path());
    if (!out.empty()) break;
  }
  std::ranges::sort(out);
  return out;
}

} // namespace warp::bench::physics
