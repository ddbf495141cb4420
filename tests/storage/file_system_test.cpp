#include "storage/file_system.hpp"
#include "tests/support/faulty_file_system.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

using namespace warp;
using namespace warp::storage;
using namespace warp::testing;

namespace {

/// A folder of the operating system that goes away with the test.
struct temporary_folder {
  std::string path;
  temporary_folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "warp-test-XXXXXX").string();
    path = ::mkdtemp(pattern.data());
  }
  ~temporary_folder() { std::filesystem::remove_all(path); }
};

std::string read_all(file_system& files, const std::string& path) {
  auto f = files.open(path, open_mode::read);
  REQUIRE(f.ok());
  std::string bytes((*f)->size().value(), '\0');
  REQUIRE((*f)->read_at(0, bytes).value() == bytes.size());
  return bytes;
}

std::unique_ptr<file> create(file_system& files, const std::string& path,
                             std::string_view bytes = {}) {
  auto f = files.open(path, open_mode::create);
  REQUIRE(f.ok());
  REQUIRE((*f)->write_at(0, bytes).ok());
  return std::move(*f);
}

} // namespace

TEST_CASE("every file system keeps the contract of file_system.hpp", "[storage][files]") {
  temporary_folder real;
  memory_file_system memory;
  faulty_file_system wrapped{posix_file_system()};
  const auto which = GENERATE(0, 1, 2);
  file_system& files = which == 0   ? posix_file_system()
                       : which == 1 ? static_cast<file_system&>(memory)
                                    : wrapped;
  const auto folder = real.path + "/a/b";
  CAPTURE(which);

  REQUIRE(files.create_folder(folder).ok());
  REQUIRE(files.create_folder(folder).ok());
  CHECK(files.exists(folder).value());
  const auto path = folder + "/x";
  CHECK_FALSE(files.exists(path).value());
  CHECK(files.open(path, open_mode::read).code() == op_code::not_found);
  CHECK(files.open(path, open_mode::read).status().message().find(path) != std::string::npos);
  CHECK(files.open(path, open_mode::read_write).code() == op_code::not_found);

  auto f = create(files, path, "hello");
  CHECK(files.open(path, open_mode::create).code() == op_code::io_error);
  const std::vector<std::string_view> pieces{"a", "", "bc", "def"};
  REQUIRE(f->write_at(8, pieces).ok());
  CHECK(f->size().value() == 14);
  CHECK(read_all(files, path) == std::string_view("hello\0\0\0abcdef", 14));
  char buffer[10];
  CHECK(f->read_at(12, buffer).value() == 2);
  CHECK(f->read_at(99, buffer).value() == 0);
  REQUIRE(f->truncate(5).ok());
  REQUIRE(f->sync().ok());
  CHECK(read_all(files, path) == "hello");

  REQUIRE(files.rename(path, folder + "/y").ok());
  CHECK(files.rename(path, folder + "/z").code() == op_code::not_found);
  create(files, path, "other");
  CHECK(files.list(folder).value() == std::vector<std::string>{"x", "y"});
  REQUIRE(files.rename(path, folder + "/y").ok());
  CHECK(read_all(files, folder + "/y") == "other");
  REQUIRE(files.sync_folder(folder).ok());
  REQUIRE(files.remove(folder + "/y").ok());
  CHECK(files.remove(folder + "/y").code() == op_code::not_found);
  CHECK(files.list(folder).value().empty());
  CHECK(files.list(folder + "/none").code() == op_code::not_found);
  CHECK(files.free_bytes(folder).value() > 0);

  auto lock = files.lock(folder);
  REQUIRE(lock.ok());
  CHECK(files.lock(folder).code() == op_code::unavailable);
  lock.value().reset();
  CHECK(files.lock(folder).ok());
}

TEST_CASE("direct files take whole blocks, or say that there is no such thing",
          "[storage][files][direct]") {
  temporary_folder real;
  memory_file_system memory;
  REQUIRE(memory.create_folder(real.path).ok());
  file_system& files = GENERATE(false, true) ? posix_file_system() : memory;
  const auto path = real.path + "/x";
  const std::size_t block = direct_alignment;
  const std::unique_ptr<char, decltype(&std::free)> bytes{
      static_cast<char*>(std::aligned_alloc(block, 2 * block)), &std::free};
  std::fill_n(bytes.get(), 2 * block, 'a');

  auto made = files.open(path, open_mode::create_direct);
  if (made.code() == op_code::not_supported) SKIP("no direct I/O here");
  REQUIRE(made.ok());
  CHECK(files.open(path, open_mode::create_direct).code() == op_code::io_error);
  REQUIRE((*made)->write_at(0, {bytes.get(), 2 * block}).ok());
  CHECK_FALSE((*made)->write_at(1, {bytes.get(), block}).ok());
  REQUIRE((*made)->sync().ok());
  made->reset();

  CHECK(read_all(files, path) == std::string(2 * block, 'a'));
  auto reader = files.open(path, open_mode::read); // its pages are cached now
  auto writer = files.open(path, open_mode::direct);
  REQUIRE(writer.ok());
  for (const char c : {'b', 'c'}) {
    std::fill_n(bytes.get(), block, c);
    const std::string_view piece{bytes.get(), block};
    REQUIRE((*writer)->write_synced(block, {&piece, 1}).ok());
    char seen[2];
    REQUIRE((*reader)->read_at(block - 1, seen).value() == 2);
    CHECK(seen[0] == 'a');
    CHECK(seen[1] == c);
  }
  CHECK(files.open(path + "none", open_mode::direct).code() == op_code::not_found);
}

TEST_CASE("a synced write makes itself durable, and nothing that was written before it",
          "[storage][files][direct]") {
  memory_file_system files;
  REQUIRE(files.create_folder("d").ok());
  auto f = create(files, "d/x", "----------");
  REQUIRE(f->sync().ok());
  REQUIRE(files.sync_folder("d").ok());
  REQUIRE(f->write_at(0, "aaaaaa").ok());
  const std::string_view piece = "bbb";
  REQUIRE(f->write_synced(4, {&piece, 1}).ok());
  CHECK(read_all(files, "d/x") == "aaaabbb---");
  CHECK(read_all(*files.crashed_copy(crash_policy::keep_all), "d/x") == "aaaabbb---");
  CHECK(read_all(*files.crashed_copy(crash_policy::drop_all), "d/x") == "----bbb---");
  for (std::uint64_t seed = 0; seed < 20; ++seed)
    CHECK(read_all(*files.crashed_copy(crash_policy::random, seed), "d/x").substr(4) == "bbb---");
  REQUIRE(f->sync().ok());
  CHECK(read_all(*files.crashed_copy(crash_policy::drop_all), "d/x") == "aaaabbb---");
}

TEST_CASE("a file system without direct I/O can be played", "[storage][files][direct]") {
  memory_file_system files;
  REQUIRE(files.create_folder("d").ok());
  files.refuse_direct(direct_refusal::open);
  CHECK(files.open("d/x", open_mode::create_direct).code() == op_code::not_supported);
  CHECK_FALSE(files.exists("d/x").value());
  files.refuse_direct(direct_refusal::write);
  auto f = files.open("d/x", open_mode::create_direct);
  REQUIRE(f.ok());
  CHECK((*f)->write_at(0, std::string_view{}).code() == op_code::not_supported);
}

TEST_CASE("a locked folder names the process that holds it", "[storage][files]") {
  temporary_folder real;
  auto held = posix_file_system().lock(real.path);
  REQUIRE(held.ok());
  const auto refused = posix_file_system().lock(real.path);
  CHECK(refused.status().message().find(std::to_string(::getpid())) != std::string::npos);
}

TEST_CASE("a vectored write of thousands of pieces arrives whole", "[storage][files]") {
  temporary_folder real;
  std::vector<std::string> texts;
  std::string whole;
  for (int i = 0; i < 5'000; ++i) whole += texts.emplace_back(std::to_string(i * i));
  const std::vector<std::string_view> pieces(texts.begin(), texts.end());
  auto f = create(posix_file_system(), real.path + "/x");
  REQUIRE(f->write_at(3, pieces).ok());
  CHECK(read_all(posix_file_system(), real.path + "/x") == std::string(3, '\0') + whole);
}

TEST_CASE("a crash keeps what was synced and may take the rest", "[storage][files]") {
  memory_file_system files;
  REQUIRE(files.create_folder("d").ok());
  auto f = create(files, "d/x", "synced");
  REQUIRE(f->sync().ok());

  SECTION("a name that no folder sync covers may vanish with its synced bytes") {
    files.crash(crash_policy::drop_all);
    CHECK_FALSE(files.exists("d/x").value());
  }
  SECTION("unsynced bytes and size go, synced ones stay") {
    REQUIRE(files.sync_folder("d").ok());
    REQUIRE(f->write_at(6, " and more").ok());
    REQUIRE(f->write_at(0, "S").ok());
    CHECK(read_all(files, "d/x") == "Synced and more");
    files.crash(crash_policy::drop_all);
    CHECK(read_all(files, "d/x") == "synced");
    CHECK(f->sync().code() == op_code::io_error);
  }
  SECTION("an unsynced rename or removal may be undone") {
    REQUIRE(files.sync_folder("d").ok());
    REQUIRE(files.rename("d/x", "d/y").ok());
    CHECK(files.crashed_copy(crash_policy::drop_all)->exists("d/x").value());
    CHECK(files.crashed_copy(crash_policy::keep_all)->exists("d/y").value());
    REQUIRE(files.remove("d/y").ok());
    files.crash(crash_policy::drop_all);
    CHECK(read_all(files, "d/x") == "synced");
  }
  SECTION("sectors of one write come and go on their own") {
    REQUIRE(files.sync_folder("d").ok());
    REQUIRE(f->write_at(0, std::string(4 * 512, 'n')).ok());
    std::set<std::string> outcomes;
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
      auto copy = files.crashed_copy(crash_policy::random, seed);
      auto bytes = read_all(*copy, "d/x");
      std::string shape;
      for (std::size_t at = 0; at < bytes.size(); at += 512) {
        shape += bytes[at];
        const auto same = std::min<std::size_t>(512, bytes.size() - at);
        if (bytes[at] == 'n') CHECK(bytes.substr(at, same) == std::string(same, 'n'));
      }
      outcomes.insert(shape);
    }
    CHECK(outcomes.size() == 16);
  }
}

TEST_CASE("faults hit the calls they name", "[storage][files]") {
  faulty_file_system files;
  REQUIRE(files.create_folder("d").ok());
  auto x = create(files, "d/x"), y = create(files, "d/y");

  SECTION("the n-th write to a file, a number of times, leaving a part behind") {
    files.inject({.operation = file_operation::write,
                  .path_part = "/x",
                  .skip = 1,
                  .times = 1,
                  .code = op_code::no_space,
                  .bytes_written = 2});
    CHECK(x->write_at(0, "one").ok());
    CHECK(y->write_at(0, "one").ok());
    const std::vector<std::string_view> pieces{"t", "wo", "three"};
    CHECK(x->write_at(3, pieces).code() == op_code::no_space);
    CHECK(read_all(files, "d/x") == "onetw");
    CHECK(x->write_at(3, "two").ok());
  }
  SECTION("a failing sync keeps failing until the faults are cleared") {
    files.inject({.operation = file_operation::sync});
    CHECK(x->sync().code() == op_code::io_error);
    CHECK(x->sync().code() == op_code::io_error);
    files.clear_faults();
    CHECK(x->sync().ok());
  }
  SECTION("without power nothing works, and a crash brings it back") {
    REQUIRE(files.sync_folder("d").ok());
    files.power_off_after(1);
    CHECK(x->write_at(0, "a").ok());
    CHECK(x->write_at(1, "b").code() == op_code::io_error);
    CHECK(files.rename("d/x", "d/z").code() == op_code::io_error);
    files.crash(crash_policy::keep_all);
    CHECK(read_all(files, "d/x") == "a");
  }
  SECTION("a full disk refuses what grows, and takes it when there is space again") {
    REQUIRE(x->write_at(0, "12345").ok());
    files.memory().set_capacity(6);
    CHECK(x->write_at(0, "1234567").code() == op_code::no_space);
    CHECK(x->write_at(0, "54321").ok());
    CHECK(files.free_bytes("d").value() == 1);
    files.memory().set_capacity(100);
    CHECK(x->write_at(0, "1234567").ok());
  }
  SECTION("calls are counted") {
    const auto before = files.count(file_operation::sync);
    REQUIRE(x->sync().ok());
    CHECK(files.count(file_operation::sync) == before + 1);
  }
}
