// Runs one target without a fuzzer: every file that is named, as it is, then mutations of them that
// are the same at each run. So the suite keeps the fuzzers' code alive with any compiler.
//
//     NAME_replay [--mutations N] [--seed S] FILE_OR_FOLDER...

#include "tests/fuzz/fuzz_target.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

namespace {

std::string current; // what the target has: kept for whoever looks for the reason of an abort

void run(const std::string& input) {
  current = input;
  // A copy of exactly its size, so that the address sanitizer sees a read behind its end.
  const std::vector<std::uint8_t> bytes(input.begin(), input.end());
  static_cast<void>(LLVMFuzzerTestOneInput(bytes.data(), bytes.size()));
}

std::string mutated(const std::vector<std::string>& seeds, std::mt19937_64& random) {
  auto bytes = seeds[random() % seeds.size()];
  const auto below = [&](std::size_t n) { return n == 0 ? 0 : random() % n; };
  for (auto changes = 1 + random() % 4; changes != 0; --changes) {
    const auto at = below(bytes.size());
    switch (random() % 7) {
    case 0:
      if (!bytes.empty()) bytes[at] = static_cast<char>(bytes[at] ^ 1 << random() % 8);
      break;
    case 1:
      if (!bytes.empty()) bytes[at] = static_cast<char>(random());
      break;
    case 2: // a number that is often an edge
      for (std::size_t i = at, n = std::size_t{1} << random() % 4, v = random() % 3 - 1;
           i < std::min(bytes.size(), at + n); ++i)
        bytes[i] = static_cast<char>(v);
      break;
    case 3:
      bytes.erase(at, below(bytes.size() - at) + 1);
      break;
    case 4:
      bytes.insert(at, bytes.substr(below(bytes.size()), random() % 64));
      break;
    case 5: {
      const auto& other = seeds[random() % seeds.size()];
      bytes.replace(at, random() % 64, other.substr(below(other.size()), random() % 64));
      break;
    }
    default:
      bytes.resize(at);
    }
  }
  return bytes;
}

void keep_current(int) {
  const auto path = std::filesystem::temp_directory_path() / "warp-fuzz-finding";
  if (std::FILE* to = std::fopen(path.c_str(), "wb")) {
    std::fwrite(current.data(), 1, current.size(), to);
    std::fclose(to);
    std::fprintf(stderr, "the input is in %s\n", path.c_str());
  }
}

} // namespace

int main(int argc, char** argv) {
  std::uint64_t mutations = 0, seed = 1;
  std::vector<std::string> seeds;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--mutations" && i + 1 < argc) {
      mutations = std::stoull(argv[++i]);
    } else if (word == "--seed" && i + 1 < argc) {
      seed = std::stoull(argv[++i]);
    } else {
      std::vector<std::filesystem::path> files;
      if (std::filesystem::is_directory(word))
        for (const auto& entry : std::filesystem::directory_iterator{word})
          files.push_back(entry.path());
      else
        files.emplace_back(word);
      std::sort(files.begin(), files.end());
      for (const auto& path : files) {
        std::ifstream in{path, std::ios::binary};
        if (!in) {
          std::fprintf(stderr, "cannot read %s\n", path.c_str());
          return 2;
        }
        seeds.emplace_back(std::istreambuf_iterator<char>{in}, std::istreambuf_iterator<char>{});
      }
    }
  }
  if (seeds.empty()) {
    std::fprintf(stderr, "usage: %s [--mutations N] [--seed S] FILE_OR_FOLDER...\n", argv[0]);
    return 2;
  }
  std::signal(SIGABRT, keep_current);
  for (const auto& input : seeds) run(input);
  run({});
  std::mt19937_64 random{seed};
  for (std::uint64_t i = 0; i < mutations; ++i) run(mutated(seeds, random));
  std::printf("%zu inputs and %llu mutations (seed %llu)\n", seeds.size(),
              static_cast<unsigned long long>(mutations), static_cast<unsigned long long>(seed));
  return 0;
}
