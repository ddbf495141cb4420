#include "tests/support/crash_states.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <random>
#include <set>
#include <string>

using namespace warp;
using namespace warp::storage;
using namespace warp::testing;

namespace {

std::string read_all(const disk_image& disk, const std::string& path) {
  const auto it = disk.files.find(path);
  if (it == disk.files.end()) return "(none)";
  std::string bytes(it->second.size(), '\0');
  it->second.read(0, bytes);
  return bytes;
}

/// One letter for each sector.
std::string sectors_of(const std::string& bytes) {
  std::string letters;
  for (std::size_t at = 0; at < bytes.size(); at += crash_states::sector_bytes)
    letters += bytes[at] == '\0' ? '.' : bytes[at];
  return letters;
}

/// What a file may hold, or "(none)", after a crash behind the last event.
std::set<std::string> outcomes(recording_file_system& files, const std::string& path) {
  const auto trace = files.take_trace();
  crash_states crash{trace};
  while (crash.next_point()) {
  }
  std::set<std::string> all;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    std::mt19937_64 random{seed};
    for (const auto& choice : crash.choices(random))
      all.insert(sectors_of(read_all(crash.disk(choice), path)));
  }
  return all;
}

std::string sectors(std::size_t n, char letter) {
  return std::string(n * crash_states::sector_bytes, letter);
}

/// "d" with the file d/f, both durable.
std::unique_ptr<file> durable_file(recording_file_system& files, std::string_view bytes) {
  REQUIRE(files.create_folder("d").ok());
  REQUIRE(files.sync_folder(".").ok());
  auto f = std::move(*files.open("d/f", open_mode::create));
  REQUIRE(f->write_at(0, bytes).ok());
  REQUIRE(f->sync().ok());
  REQUIRE(files.sync_folder("d").ok());
  return f;
}

} // namespace

TEST_CASE("copies of a file's bytes share what they have in common and nothing else",
          "[storage][files]") {
  std::mt19937_64 random{3};
  std::vector<std::pair<file_content, std::string>> all(1);
  for (int i = 0; i < 2'000; ++i) {
    auto& [content, bytes] = all[random() % all.size()];
    const auto offset = random() % 20'000, size = random() % 9'000;
    switch (random() % 4) {
    case 0:
      if (all.size() < 20) all.push_back(all[random() % all.size()]);
      break;
    case 1:
      content.resize(offset);
      bytes.resize(offset);
      break;
    case 2: {
      const auto& [from, from_bytes] = all[random() % all.size()];
      const auto end = std::min<std::uint64_t>(offset + size, from_bytes.size());
      if (offset < end) {
        if (bytes.size() < end) bytes.resize(end);
        bytes.replace(offset, end - offset, std::string{from_bytes.substr(offset, end - offset)});
      }
      content.take(file_content{from}, offset, offset + size);
      break;
    }
    default:
      content.write(offset, std::string(size, static_cast<char>(random() % 3)));
      if (bytes.size() < offset + size) bytes.resize(offset + size);
      bytes.replace(offset, size, size, bytes[0]);
      bytes.resize(content.size());
      content.read(0, bytes);
    }
    for (const auto& [c, b] : all) {
      std::string got(c.size(), 'x');
      c.read(0, got);
      REQUIRE(got == b);
    }
  }
  for (const auto& [a, x] : all)
    for (const auto& [b, y] : all) REQUIRE((a.hash() == b.hash()) == (x == y));
}

TEST_CASE("after a crash each sector is as it was synced or as a later write left it",
          "[storage][files][crash]") {
  recording_file_system files;
  const auto f = durable_file(files, sectors(3, 'a'));
  REQUIRE(f->write_at(0, sectors(2, 'b')).ok());
  REQUIRE(f->write_at(512, sectors(2, 'c')).ok());
  // Any of a and b in the first, a, b and c in the second, a and c in the third.
  CHECK(outcomes(files, "d/f") == std::set<std::string>{"aaa", "aac", "aba", "abc", "aca", "acc",
                                                        "baa", "bac", "bba", "bbc", "bca", "bcc"});
}

TEST_CASE("a sector never shows a write without the bytes that were in it before",
          "[storage][files][crash]") {
  recording_file_system files;
  const auto f = durable_file(files, sectors(1, 'a'));
  REQUIRE(f->write_at(0, "b").ok());
  REQUIRE(f->write_at(100, "c").ok());
  const auto trace = files.take_trace();
  crash_states crash{trace};
  while (crash.next_point()) {
  }
  std::mt19937_64 random{1};
  for (const auto& choice : crash.choices(random)) {
    const auto bytes = read_all(crash.disk(choice), "d/f");
    CHECK((bytes[100] == 'a' || bytes[0] == 'b'));
  }
}

TEST_CASE("what was synced is there after any crash, what grew may have grown without its bytes",
          "[storage][files][crash]") {
  SECTION("a sync covers all writes") {
    recording_file_system files;
    const auto f = durable_file(files, sectors(2, 'a'));
    REQUIRE(f->write_at(512, sectors(2, 'b')).ok());
    REQUIRE(f->sync().ok());
    CHECK(outcomes(files, "d/f") == std::set<std::string>{"abb"});
  }
  SECTION("a synced write covers itself alone") {
    recording_file_system files;
    const auto f = durable_file(files, sectors(3, 'a'));
    REQUIRE(f->write_at(0, sectors(2, 'b')).ok());
    const auto bytes = sectors(1, 'c');
    const std::string_view piece = bytes;
    REQUIRE(f->write_synced(512, {&piece, 1}).ok());
    CHECK(outcomes(files, "d/f") == std::set<std::string>{"aca", "bca"});
  }
  SECTION("a file that grew") {
    recording_file_system files;
    const auto f = durable_file(files, sectors(1, 'a'));
    REQUIRE(f->write_at(512, sectors(2, 'b')).ok());
    const auto all = outcomes(files, "d/f");
    CHECK(all == std::set<std::string>{"a", "ab", "abb", "a.b", "a.."});
  }
  SECTION("a file that was cut") {
    recording_file_system files;
    const auto f = durable_file(files, sectors(2, 'a'));
    REQUIRE(f->truncate(512).ok());
    CHECK(outcomes(files, "d/f") == std::set<std::string>{"a", "aa"});
  }
}

TEST_CASE("names arrive one by one until their folder is synced", "[storage][files][crash]") {
  recording_file_system files;
  const auto f = durable_file(files, sectors(1, 'a'));
  const auto names = [&] {
    const auto trace = files.take_trace();
    crash_states crash{trace};
    while (crash.next_point()) {
    }
    std::set<std::string> all;
    std::mt19937_64 random{1};
    for (const auto& choice : crash.choices(random)) {
      std::string seen;
      for (const auto& [path, content] : crash.disk(choice).files)
        seen += path + "=" + sectors_of(read_all(crash.disk(choice), path)) + " ";
      all.insert(seen);
    }
    return all;
  };
  SECTION("a renaming is atomic, whether the creation arrived or not") {
    auto g = std::move(*files.open("d/g.tmp", open_mode::create));
    REQUIRE(g->write_at(0, sectors(1, 'b')).ok());
    REQUIRE(g->sync().ok());
    REQUIRE(files.rename("d/g.tmp", "d/f").ok());
    CHECK(names() == std::set<std::string>{"d/f=a ", "d/f=a d/g.tmp=b ", "d/f=b "});
  }
  SECTION("a removal") {
    REQUIRE(files.remove("d/f").ok());
    CHECK(names() == std::set<std::string>{"", "d/f=a "});
  }
  SECTION("behind a sync") {
    REQUIRE(files.rename("d/f", "d/h").ok());
    REQUIRE(files.sync_folder("d").ok());
    CHECK(names() == std::set<std::string>{"d/h=a "});
  }
  SECTION("what is in a folder that never arrived is gone") {
    REQUIRE(files.create_folder("d/e").ok());
    REQUIRE(files.open("d/e/x", open_mode::create).ok());
    REQUIRE(files.sync_folder("d/e").ok());
    CHECK(names() == std::set<std::string>{"d/e/x= d/f=a ", "d/f=a "});
  }
}

TEST_CASE("a process that was killed leaves everything it wrote, and its handles are dead",
          "[storage][files]") {
  recording_file_system files;
  const auto f = durable_file(files, sectors(1, 'a'));
  auto lock = files.lock("d");
  REQUIRE(lock.ok());
  REQUIRE(f->write_at(512, sectors(1, 'b')).ok());
  files.kill_process();
  CHECK(f->write_at(0, "x") == op_code::io_error);
  CHECK(files.lock("d").ok());
  CHECK(sectors_of(read_all(files.now(), "d/f")) == "ab");
}
