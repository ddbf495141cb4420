#include "storage/verify.hpp"

#include "storage/engine.hpp"
#include "storage/paced_file_system.hpp"
#include "storage/stream_threads.hpp"
#include "tests/support/damage_universe.hpp"
#include "tests/support/engine_fixture.hpp"

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <string>
#include <thread>

using namespace warp;
using namespace warp::storage;
using namespace warp::testing;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("a check of everything at rest finds a flipped bit in any file and changes none",
          "[storage][verify]") {
  const damage_universe u{{.clean = true}};
  memory_file_system files;
  lay_out(u, files);
  const auto whole = verify_folder(files, "data");
  REQUIRE(whole.ok());
  CHECK(whole->findings.empty());
  CHECK(whole->checkpoints > 0);
  CHECK(whole->segments > 3);
  CHECK(whole->bytes > 0);
  for (const auto& [path, bytes] : u.files) {
    if (path.find("spare-") != path.npos) continue;
    CAPTURE(path);
    const auto bit = std::min<std::uint64_t>(bytes.size() / 3, 100) * 8 + 3;
    files.flip_bit(path, bit);
    const auto found = verify_folder(files, "data");
    files.flip_bit(path, bit);
    REQUIRE(found.ok());
    REQUIRE(found->findings.size() == 1);
    CHECK_THAT(found->findings.front(), ContainsSubstring(path));
  }
  REQUIRE(files.remove("data/checkpoint/00000-0000000002").ok());
  const auto found = verify_folder(files, "data");
  REQUIRE(found.ok());
  REQUIRE(found->findings.size() == 1);
  CHECK_THAT(found->findings.front(), ContainsSubstring("00000-0000000002: it is missing"));
  CHECK(verify_folder(files, "nowhere").code() == op_code::not_found);
}

TEST_CASE("a check beside writers, checkpoints and recycling finds nothing", "[storage][verify]") {
  memory_file_system files;
  auto options = small_options("data");
  options.segment_bytes = 64 * 1024;
  options.wal_max_bytes = 1u << 20;
  options.log_buffer_bytes = 128 * 1024;
  options.files = &files;
  running_engine engine{options};
  std::atomic<bool> done{false};
  std::thread writer{[&] {
    value_arena arena;
    const std::string value(900, 'v');
    for (int i = 0; !done; ++i) {
      const auto key = std::to_string(i % 500);
      const operation op{.kind = op_kind::put, .key = key, .value = value};
      op_reply reply;
      arena.clear();
      engine->execute({&op, 1}, {&reply, 1}, arena);
    }
  }};
  std::thread checkpoints{[&] {
    while (!done)
      for (std::uint32_t s = 0; s < engine->shard_count() && !done; ++s)
        static_cast<void>(engine->checkpoint(shard_id{s}));
  }};
  std::uint64_t checked = 0;
  std::string findings;
  for (int i = 0; i < 60; ++i) {
    const auto found = verify_folder(files, "data");
    if (!found.ok()) findings += found.status().to_string() + "\n";
    if (!found.ok()) continue;
    for (const auto& finding : found->findings) findings += finding + "\n";
    checked += found->segments;
  }
  done = true;
  writer.join();
  checkpoints.join();
  CHECK(findings.empty());
  CAPTURE(findings);
  CHECK(checked > 0);
}

TEST_CASE("a paced check reads no more than its rate and ends when it is stopped",
          "[storage][verify]") {
  const damage_universe u{{.clean = true}};
  memory_file_system files;
  lay_out(u, files);
  paced_file_system unlimited{files, 0};
  REQUIRE(verify_folder(unlimited, "data").ok());
  CHECK(unlimited.bytes() > 300'000);
  CHECK(unlimited.remove("data/MANIFEST").code() == op_code::not_supported);

  paced_file_system slow{files, 10'000}; // half a minute for all of it
  std::thread other{[&] {
    while (slow.bytes() == 0) std::this_thread::yield();
    slow.stop();
  }};
  CHECK(verify_folder(slow, "data").code() == op_code::shutting_down);
  other.join();
  CHECK(slow.bytes() < unlimited.bytes());
}
