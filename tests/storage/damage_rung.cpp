// Every kind of damage to the files of small universes. Whatever it is, a start is refused with a
// sentence that names a file, or finds exactly what was there; where the last rounds of a log were
// hit that nobody had stopped cleanly, what was there before them. tests/run damage runs it.

#include "storage/byte_order.hpp"
#include "storage/checkpoint_reader.hpp"
#include "storage/checkpoint_writer.hpp"
#include "storage/crc32c.hpp"
#include "storage/manifest.hpp"
#include "storage/segment_scan.hpp"
#include "storage/wal_format.hpp"
#include "tests/support/damage_universe.hpp"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fmt/format.h>
#include <functional>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

using namespace warp;
using namespace warp::storage;
using namespace warp::testing;

namespace {

/// How much is tried.
struct effort {
  unsigned bits = 2;        ///< of each byte
  std::size_t cut_step = 1; ///< bytes between two lengths that a file is cut to
  std::size_t byte_step =
      1; ///< bytes between two that are flipped, in the bodies of frames and blocks
  std::size_t mixtures = 2'000;
  std::uint64_t seed = 1;
};

/// One thing that happens to a folder.
struct damage_case {
  std::string name;
  damage_opener::changes changes;
  std::string file;        ///< the only one that was changed: an error has to name it
  std::uint64_t begin = 0; ///< of the bytes in it that were changed
  std::uint64_t end = ~std::uint64_t{0};
  bool cut = false; ///< the file became shorter
};

/// Cases of one kind, made when their turn comes.
struct family {
  std::string name;
  std::size_t count = 0;
  std::function<damage_case(std::size_t)> make;
};

struct counts {
  std::atomic<std::uint64_t> cases{0}, refused{0}, right{0}, prefix{0}, wrong{0};
};

const std::string manifest_path = std::string{damage_universe::folder} + "/MANIFEST";

bool is_segment(const std::string& path) {
  return path.find("/wal/") != std::string::npos;
}
bool is_checkpoint(const std::string& path) {
  return path.find("/checkpoint/") != std::string::npos;
}

/// Where frames begin in a segment, and where the last one ends.
std::vector<std::uint64_t> frames_of(std::string_view bytes) {
  std::vector<std::uint64_t> begins;
  const auto header = decode_segment_header(bytes.substr(0, segment_header_bytes));
  if (!header) return begins;
  std::uint64_t at = segment_header_bytes;
  while (at < bytes.size()) {
    const auto frame = check_frame(bytes.substr(at), header->id, at);
    if (!frame) break;
    begins.push_back(at);
    at += padded(frame->length);
  }
  begins.push_back(at);
  return begins;
}

/// The oracle.
class judge {
public:
  judge(const damage_universe& of, const damage_universe& other) : of_(of), other_(other) {
    for (const auto& [path, bytes] : of.files)
      if (is_segment(path)) frames_[path] = frames_of(bytes);
  }

  /// Empty: as it should be.
  std::string verdict(const damage_case& c, const op_result<universe_content>& found,
                      counts& so_far) const {
    if (!found.ok()) {
      const auto code = found.code();
      if (code != op_code::corruption && code != op_code::version_mismatch &&
          code != op_code::invalid_argument)
        return "refused with an unexpected code: " + found.status().to_string();
      const auto& said = found.status().message();
      if (said.find(c.file.empty() ? damage_universe::folder : c.file) == std::string::npos)
        return "the message does not name the file: " + said;
      ++so_far.refused;
      return {};
    }
    if (*found == of_.rounds.back()) {
      ++so_far.right;
      return {};
    }
    // A folder whose files are all of one universe, or of one time, is that.
    if (const auto it = c.changes.find(manifest_path); it != c.changes.end()) {
      if (it->second == other_.files.at(manifest_path) && *found == other_.rounds.back()) {
        ++so_far.right;
        return {};
      }
      if (it->second == of_.older.at(manifest_path) && *found == of_.older_content) {
        ++so_far.right;
        return {};
      }
    }
    if (of_.how.clean) return "started with wrong data after a clean stop" + difference(*found);
    if (c.cut) return "started with less from a log that was cut" + difference(*found);
    const auto from = first_legal_round(c);
    for (std::size_t shard = 0; shard < found->size(); ++shard) {
      if (!was_there((*found)[shard], of_.rounds[from][shard], shard))
        return fmt::format("shard {} holds what was never there", shard);
    }
    if (!transactions_whole(*found)) return "half a transaction";
    ++so_far.prefix;
    return {};
  }

private:
  /// Damage in the last round is a torn tail; so are the last rounds when all of them are gone.
  [[nodiscard]] std::size_t first_legal_round(const damage_case& c) const {
    const auto last = of_.rounds.size() - 1;
    if (!is_segment(c.file)) return last;
    const auto& frames = frames_.at(c.file);
    const bool to_the_end = c.end >= frames[frames.size() - 2];
    for (auto r = last; r-- > 0;) {
      const auto& begins = of_.round_begins[r];
      const auto it = begins.find(c.file);
      if (it == begins.end()) return last;
      if (c.begin >= it->second) return to_the_end || r + 1 == last ? r : last;
    }
    return last;
  }

  /// Is it what the shard held at that time, or later, after any of its changes?
  [[nodiscard]] bool was_there(const std::map<std::string, held_value>& found,
                               std::map<std::string, held_value> at, std::size_t shard) const {
    if (found == at) return true;
    lsn_t reached = 0;
    for (const auto& [key, held] : at) reached = std::max(reached, held.version);
    for (const auto& change : of_.journal) {
      if (change.shard != shard || change.version <= reached) continue;
      if (change.value)
        at[change.key] = {*change.value, change.version};
      else
        at.erase(change.key);
      if (found == at) return true;
    }
    return false;
  }

  [[nodiscard]] static bool transactions_whole(const universe_content& content) {
    std::vector<std::string> seen;
    for (const auto& shard : content)
      for (const auto& [key, held] : shard)
        if (key.starts_with("all-")) seen.push_back(held.value);
    return std::all_of(seen.begin(), seen.end(), [&](auto& v) { return v == seen.front(); });
  }

  [[nodiscard]] std::string difference(const universe_content& found) const {
    const auto& expected = of_.rounds.back();
    if (found.size() != expected.size()) return fmt::format(": {} shards", found.size());
    std::size_t missing = 0, other = 0, more = 0;
    for (std::size_t s = 0; s < found.size(); ++s) {
      for (const auto& [key, held] : expected[s]) {
        const auto it = found[s].find(key);
        if (it == found[s].end())
          ++missing;
        else if (!(it->second == held))
          ++other;
      }
      for (const auto& [key, held] : found[s]) more += expected[s].contains(key) ? 0 : 1;
    }
    return fmt::format(": {} keys are missing, {} have another value or version, {} should be gone",
                       missing, other, more);
  }

  const damage_universe &of_, &other_;
  std::map<std::string, std::vector<std::uint64_t>> frames_;
};

// -- the cases
// -----------------------------------------------------------------------------------------------------------

std::string flipped(std::string bytes, std::uint64_t bit) {
  bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
  return bytes;
}

damage_case one_file(std::string name, const std::string& path, std::optional<std::string> bytes) {
  damage_case c;
  c.name = std::move(name);
  c.file = path;
  c.changes[path] = std::move(bytes);
  return c;
}

/// Bytes of a file that are worth every effort: all but zeros behind a log, and where the bodies
/// of frames and blocks are passed over, those.
std::vector<std::uint64_t> bytes_to_flip(const std::string& path, const std::string& bytes,
                                         const effort& how) {
  std::vector<std::uint64_t> chosen;
  if (!is_segment(path)) {
    for (std::uint64_t at = 0; at < bytes.size(); ++at)
      if (at < 400 || bytes.size() - at < 200 || at % how.byte_step == 0 ||
          path.ends_with("MANIFEST"))
        chosen.push_back(at);
    return chosen;
  }
  const auto frames = frames_of(bytes);
  for (std::uint64_t at = 0; at < std::min<std::uint64_t>(segment_header_bytes, bytes.size()); ++at)
    chosen.push_back(at);
  for (std::size_t f = 0; f + 1 < frames.size(); ++f)
    for (auto at = frames[f]; at < frames[f + 1]; ++at)
      if (at - frames[f] < frame_header_bytes + 40 || at % how.byte_step == 0) chosen.push_back(at);
  for (auto at = frames.empty() ? 0 : frames.back(); at < bytes.size(); at += 1'021)
    chosen.push_back(at);
  return chosen;
}

/// All cases of one universe; `other` is another one, made in the same way.
std::vector<family> families(const damage_universe& u, const damage_universe& other,
                             const effort& how) {
  std::vector<family> all;
  const auto add = [&](std::string name, std::size_t count,
                       std::function<damage_case(std::size_t)> make) {
    if (count > 0) all.push_back({std::move(name), count, std::move(make)});
  };
  std::vector<std::string> paths;
  for (const auto& [path, bytes] : u.files) paths.push_back(path);

  for (const auto& path : paths) {
    const auto& bytes = u.files.at(path);
    const auto flips = bytes_to_flip(path, bytes, how);
    add("flipped bit", flips.size() * how.bits, [&bytes, flips, path, how](std::size_t i) {
      const auto at = flips[i / how.bits];
      const auto n = i % how.bits;
      const auto bit = how.bits == 8 ? n : (at * 3 + n * 5 + how.seed) % 8;
      auto c = one_file(fmt::format("{}: bit {} of byte {}", path, bit, at), path,
                        flipped(bytes, at * 8 + bit));
      c.begin = at;
      c.end = at + 1;
      return c;
    });
    const auto frames = is_segment(path) ? frames_of(bytes) : std::vector<std::uint64_t>{};
    const auto interesting = frames.empty() ? bytes.size() : frames.back() + 16;
    add("cut", std::min(interesting, bytes.size()) / how.cut_step + 1,
        [&bytes, path, how](std::size_t i) {
          const auto size = std::min(i * how.cut_step, bytes.size() - 1);
          auto c = one_file(fmt::format("{}: cut to {}", path, size), path, bytes.substr(0, size));
          c.begin = size;
          c.cut = true;
          return c;
        });
    for (const std::size_t block : {512, 4'096}) {
      const auto blocks = interesting / block + 1;
      add("zeroed block", blocks, [&bytes, path, block](std::size_t i) {
        auto damaged = bytes;
        const auto at = std::min(i * block, bytes.size());
        const auto size = std::min(block, bytes.size() - at);
        std::fill_n(damaged.begin() + static_cast<std::ptrdiff_t>(at), size, '\0');
        auto c = one_file(fmt::format("{}: {} zeros at {}", path, size, at), path, damaged);
        c.begin = at;
        c.end = at + size;
        return c;
      });
      add("doubled block", blocks * 2, [&bytes, path, block](std::size_t i) {
        const auto from = std::min(i / 2 * block, bytes.size());
        const auto piece = bytes.substr(from, block);
        auto damaged = bytes;
        const auto to = std::min(from + block, bytes.size());
        if (i % 2 == 0)
          damaged.insert(to, piece);
        else
          damaged.replace(to, std::min(piece.size(), damaged.size() - to), piece);
        auto c = one_file(fmt::format("{}: the {} bytes at {} {} at {}", path, block, from,
                                      i % 2 == 0 ? "inserted" : "again", to),
                          path, damaged);
        c.begin = to;
        c.end = i % 2 == 0 ? bytes.size() : to + piece.size();
        return c;
      });
      add("swapped blocks", blocks, [&bytes, path, block, blocks, how](std::size_t i) {
        std::mt19937_64 random{how.seed * 1'000'003 + i};
        auto a = i, b = random() % blocks;
        if (a > b) std::swap(a, b);
        auto damaged = bytes;
        for (std::size_t k = 0; k < block; ++k)
          if (b * block + k < damaged.size())
            std::swap(damaged[a * block + k], damaged[b * block + k]);
        auto c = one_file(fmt::format("{}: blocks {} and {} of {} swapped", path, a, b, block),
                          path, damaged);
        c.begin = a * block;
        c.end = (b + 1) * block;
        return c;
      });
      add("block of another file", blocks, [&u, &bytes, path, paths, block, how](std::size_t i) {
        std::mt19937_64 random{how.seed * 7'000'003 + i};
        const auto& from = paths[random() % paths.size()];
        const auto& source = u.files.at(from);
        const auto source_at = random() % (source.size() / block + 1) * block;
        const auto piece = source.substr(std::min<std::size_t>(source_at, source.size()), block);
        auto damaged = bytes;
        const auto at = std::min(i * block, bytes.size());
        damaged.replace(at, std::min(piece.size(), damaged.size() - at), piece);
        auto c =
            one_file(fmt::format("{}: {} bytes of {} at {}", path, block, from, at), path, damaged);
        c.begin = at;
        c.end = at + block;
        return c;
      });
    }
  }

  // Whole files.
  const auto others = [](const damage_universe& from) {
    std::vector<std::pair<std::string, std::string>> list(from.files.begin(), from.files.end());
    return list;
  };
  const auto n = paths.size();
  add("missing file", n, [paths](std::size_t i) {
    auto c = one_file(paths[i] + " is gone", paths[i], {});
    c.file.clear();
    c.cut = true;
    return c;
  });
  add("empty file", n, [paths](std::size_t i) {
    auto c = one_file(paths[i] + " is empty", paths[i], std::string{});
    c.cut = true;
    return c;
  });
  add("two missing files", n * n, [paths, n](std::size_t i) {
    damage_case c;
    c.name = paths[i / n] + " and " + paths[i % n] + " are gone";
    c.changes[paths[i / n]] = std::nullopt;
    c.changes[paths[i % n]] = std::nullopt;
    c.cut = true;
    return c;
  });
  add("file under another name", n * n, [&u, paths, n](std::size_t i) {
    damage_case c;
    const auto &a = paths[i / n], &b = paths[i % n];
    c.name = a + " and " + b + " have changed names";
    c.changes[a] = u.files.at(b);
    c.changes[b] = u.files.at(a);
    c.cut = true;
    return c;
  });
  add("missing folder", 2, [paths](std::size_t i) {
    damage_case c;
    c.name = i == 0 ? "no log" : "no checkpoints";
    for (const auto& path : paths)
      if (i == 0 ? is_segment(path) : is_checkpoint(path)) c.changes[path] = std::nullopt;
    c.cut = true;
    return c;
  });

  // Files of another universe, and of the same one at an earlier time.
  std::vector<std::pair<std::string, const folder_image*>> strangers{
      {"another universe", &other.files}, {"an earlier time", &u.older}};
  for (const auto& [whose, image] : strangers) {
    std::vector<std::string> their_paths;
    for (const auto& [path, bytes] : *image) their_paths.push_back(path);
    add("file of " + whose, their_paths.size(), [image, their_paths, whose](std::size_t i) {
      auto c =
          one_file(their_paths[i] + " is from " + whose, their_paths[i], image->at(their_paths[i]));
      c.file.clear();
      c.cut = true;
      return c;
    });
    add("kind of files of " + whose, 6, [image, paths, whose](std::size_t i) {
      damage_case c;
      c.name = fmt::format("files of kind {} are from {}", i, whose);
      c.cut = true;
      const auto kind = [&](const std::string& path) {
        return i % 3 == 0 ? is_segment(path) : i % 3 == 1 ? is_checkpoint(path) : !is_segment(path);
      };
      if (i < 3) // in the place of ours
        for (const auto& path : paths)
          if (kind(path)) c.changes[path] = std::nullopt;
      for (const auto& [path, bytes] : *image)
        if (kind(path) && (i < 3 || !path.ends_with("MANIFEST"))) c.changes[path] = bytes;
      return c;
    });
    add("mixture with " + whose, how.mixtures, [image, paths, whose, how](std::size_t i) {
      std::mt19937_64 random{how.seed * 11'000'003 + i};
      damage_case c;
      c.name = fmt::format("mixture {} with {}", i, whose);
      c.cut = true;
      const auto of_100 = 5 + random() % 90;
      for (const auto& path : paths)
        if (random() % 100 < of_100) c.changes[path] = std::nullopt;
      for (const auto& [path, bytes] : *image)
        if (random() % 100 < of_100) c.changes[path] = bytes;
      return c;
    });
  }

  // Other generations and formats, with checksums that are right.
  std::vector<damage_case> forged;
  for (const auto& [path, bytes] : others(u)) {
    if (is_segment(path)) {
      const auto with_header = [&](const segment_header& header) {
        auto changed = bytes;
        encode(header, changed.data());
        return changed;
      };
      const auto header = decode_segment_header(bytes);
      if (!header) continue;
      auto changed = *header;
      changed.generation ^= 1;
      forged.push_back(one_file(path + " of another generation", path, with_header(changed)));
      changed = *header;
      changed.universe.bytes[0] ^= 1;
      forged.push_back(one_file(path + " of another universe", path, with_header(changed)));
      for (const auto version : {0u, wal_format_version + 1, 77u}) {
        changed = *header;
        changed.version = version;
        forged.push_back(
            one_file(fmt::format("{} of format {}", path, version), path, with_header(changed)));
      }
      changed = *header;
      changed.start += 1;
      forged.push_back(one_file(path + " of another start", path, with_header(changed)));
    } else if (is_checkpoint(path)) {
      for (const auto version : {0u, checkpoint_format_version + 1, 77u}) {
        auto changed = bytes;
        store_le<std::uint32_t>(changed.data() + 8, version);
        store_le<std::uint32_t>(changed.data() + 68,
                                checkpoint_header_crc({changed.data(), checkpoint_header_bytes}));
        forged.push_back(one_file(fmt::format("{} of format {}", path, version), path, changed));
      }
      for (const bool generation : {true, false}) {
        memory_file_system scratch;
        scratch.set_bytes("a", bytes);
        auto reader = checkpoint_reader::open(scratch, "a");
        auto header = reader->header();
        generation ? header.generation ^= 1 : header.universe.bytes[3] ^= 1;
        auto writer = checkpoint_writer::create(scratch, "b", header, {});
        static_cast<void>(reader->read_records(
            [&](const checkpoint_record& r) { (*writer)->add(r.key, "forged", r.meta); }));
        static_cast<void>((*writer)->finish(reader->end()));
        forged.push_back(
            one_file(fmt::format("{} of another {}", path, generation ? "generation" : "universe"),
                     path, scratch.bytes("b")));
      }
    } else {
      const auto known = *decode_manifest(bytes, path);
      const auto encoded = encode_manifest(known);
      for (const int version : {0, 3, 77}) {
        auto body = encoded.substr(0, encoded.rfind("crc32c "));
        body = fmt::format("warpengine-manifest {}{}", version, body.substr(body.find('\n')));
        forged.push_back(one_file(fmt::format("{} of format {}", path, version), path,
                                  fmt::format("{}crc32c {:08x}\n", body, crc32c(body))));
      }
      auto changed = known;
      changed.generation ^= 1;
      forged.push_back(
          one_file("a manifest of another generation", path, encode_manifest(changed)));
      changed = known;
      changed.universe.bytes[0] ^= 1;
      forged.push_back(one_file("a manifest of another universe", path, encode_manifest(changed)));
      changed = known;
      changed.checkpoints.resize(known.checkpoints.size() * 2);
      forged.push_back(one_file("a manifest with more shards", path, encode_manifest(changed)));
      changed = known;
      changed.checkpoints.resize(known.checkpoints.size() / 2);
      forged.push_back(one_file("a manifest with fewer shards", path, encode_manifest(changed)));
      for (auto& c : forged)
        if (c.name.starts_with("a manifest")) c.file.clear();
    }
  }
  for (auto& c : forged) c.cut = true; // nothing may be missing
  const auto count = forged.size();
  add("other generation or format", count,
      [forged = std::make_shared<std::vector<damage_case>>(std::move(forged))](std::size_t i) {
        return (*forged)[i];
      });
  return all;
}

// -- running them
// --------------------------------------------------------------------------------------------------------

struct outcome {
  counts total;
  std::mutex mutex;
  std::map<std::string, std::uint64_t> by_family;
  std::map<std::string, std::vector<std::string>> wrong; ///< by family
};

void run_all(const damage_universe& u, const damage_universe& other, const std::vector<family>& all,
             outcome& result, unsigned threads) {
  const judge oracle{u, other};
  std::vector<std::pair<std::size_t, std::size_t>> work; // family, first
  constexpr std::size_t chunk = 64;
  for (std::size_t f = 0; f < all.size(); ++f)
    for (std::size_t i = 0; i < all[f].count; i += chunk) work.emplace_back(f, i);
  std::atomic<std::size_t> next{0};
  std::vector<std::jthread> workers;
  for (unsigned t = 0; t < threads; ++t)
    workers.emplace_back([&] {
      damage_opener opener{u};
      for (auto w = next.fetch_add(1); w < work.size(); w = next.fetch_add(1)) {
        const auto& [f, first] = work[w];
        const auto& kind = all[f];
        for (auto i = first; i < std::min(first + chunk, kind.count); ++i) {
          const auto c = kind.make(i);
          // Mostly up to where a start begins to write; now and then all of it.
          const bool whole = i % 61 == 0;
          auto found = whole ? opener.open_whole(c.changes) : opener.open(c.changes);
          ++result.total.cases;
          auto why = oracle.verdict(c, found, result.total);
          std::lock_guard hold{result.mutex};
          ++result.by_family[kind.name];
          if (why.empty()) continue;
          ++result.total.wrong;
          auto& list = result.wrong[kind.name];
          if (list.size() < 12) list.push_back(c.name + ": " + why);
        }
      }
    });
}

} // namespace

int main(int argc, char** argv) {
  effort how;
  bool verbose = false;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--part") {
      how.bits = 1;
      how.cut_step = 7;
      how.byte_step = 5;
      how.mixtures = 400;
    } else if (word == "--long") {
      how.bits = 8;
      how.mixtures = 50'000;
    } else if (word == "--verbose") {
      verbose = true;
    } else if (word == "--seed" && i + 1 < argc) {
      how.seed = std::stoull(argv[++i]);
    } else {
      std::fprintf(stderr, "damage_rung: unknown option %s\n", word.c_str());
      return 2;
    }
  }
  const auto began = std::chrono::steady_clock::now();
  outcome result;
  const auto threads = std::max(1u, std::thread::hardware_concurrency());
  std::size_t files = 0;
  std::uint64_t bytes = 0;
  for (const bool clean : {true, false}) {
    const damage_universe u{{.seed = how.seed, .clean = clean}},
        other{{.seed = how.seed + 50, .clean = clean}};
    files += u.files.size();
    for (const auto& [path, content] : u.files) bytes += content.size();
    damage_opener opener{u};
    if (const auto found = opener.open_whole({}); !found || *found != u.rounds.back()) {
      std::fprintf(stderr, "damage_rung: the folder does not start undamaged: %s\n",
                   found.status().to_string().c_str());
      return 1;
    }
    run_all(u, other, families(u, other, how), result, threads);
  }
  const auto seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  if (verbose)
    for (const auto& [name, count] : result.by_family) fmt::print("{:>9}  {}\n", count, name);
  for (const auto& [name, list] : result.wrong)
    for (const auto& line : list) fmt::print("WRONG ({}) {}\n", name, line);
  fmt::print(
      "damage: {} cases on {} files of {} bytes (seed {}): {} refused with the file's name, {} "
      "found everything, {} a legal prefix of a log without a stop, {} wrong; {:.0f} s, {:.0f} a "
      "second\n",
      result.total.cases.load(), files, bytes, how.seed, result.total.refused.load(),
      result.total.right.load(), result.total.prefix.load(), result.total.wrong.load(), seconds,
      static_cast<double>(result.total.cases) / seconds);
  return result.total.wrong == 0 ? 0 : 1;
}
