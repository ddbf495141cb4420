#include "storage/repair.hpp"

#include "storage/engine.hpp"
#include "storage/segment_scan.hpp"
#include "tests/support/damage_universe.hpp"
#include "tests/support/faulty_file_system.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <random>
#include <string>

using namespace warp;
using namespace warp::storage;
using namespace warp::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

using changes = damage_opener::changes;

constexpr std::uint64_t now_ms = 1'700'000'000'000;

op_result<universe_content> opened(file_system& files) {
  auto e = engine::open(damage_options(files, 0, 2));
  if (!e) return e.status();
  auto content = content_of(**e);
  if (auto s = (*e)->close(); !s.ok()) return s;
  return content;
}

std::string flipped(const damage_universe& u, const std::string& path, std::uint64_t bit) {
  auto bytes = u.files.at(path);
  bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
  return bytes;
}

std::uint64_t data_end_of(const damage_universe& u, const std::string& path) {
  memory_file_system files;
  files.set_bytes(path, u.files.at(path));
  const auto header = decode_segment_header(u.files.at(path));
  return scan_segment(files, path, header->universe)->info->data_end;
}

/// Damage of one to three files, any of them.
changes some_damage(const damage_universe& u, std::mt19937_64& random) {
  changes damage;
  for (auto n = 1 + random() % 3; n > 0; --n) {
    auto it = u.files.begin();
    std::advance(it, static_cast<std::ptrdiff_t>(random() % u.files.size()));
    const auto& [path, bytes] = *it;
    const auto end = path.find("/wal/") == path.npos ? bytes.size() : data_end_of(u, path);
    switch (random() % 4) {
    case 0:
      damage[path] = std::nullopt;
      break;
    case 1:
      damage[path] = bytes.substr(0, random() % bytes.size());
      break;
    case 2: {
      auto blank = bytes;
      const auto at = random() % end;
      std::fill_n(blank.begin() + static_cast<std::ptrdiff_t>(at),
                  std::min<std::uint64_t>(bytes.size() - at, 1 + random() % 3'000), '\0');
      damage[path] = std::move(blank);
      break;
    }
    default:
      damage[path] = flipped(u, path, random() % (end * 8));
    }
  }
  return damage;
}

/// A key has a value that it once had under that version.
bool was_written(const damage_universe& u, std::size_t shard, const std::string& key,
                 const held_value& held) {
  return std::any_of(u.journal.begin(), u.journal.end(), [&](const logged_change& c) {
    return c.shard == shard && c.version == held.version && c.key == key && c.value == held.value;
  });
}

} // namespace

TEST_CASE("after a repair a folder starts with what the shards held once, whatever was damaged",
          "[storage][repair]") {
  const auto seed = GENERATE(range(1u, 4u));
  const bool clean = GENERATE(true, false);
  CAPTURE(seed, clean);
  const damage_universe u{{.seed = seed, .clean = clean}};
  std::mt19937_64 random{seed};
  int repaired = 0, salvaged = 0;
  for (int round = 0; round < 120; ++round) {
    const auto damage = some_damage(u, random);
    std::string names;
    for (const auto& [path, bytes] : damage)
      names += path + (bytes ? " of " + std::to_string(bytes->size()) : " gone") + "; ";
    CAPTURE(round, names);
    memory_file_system files;
    lay_out(u, files, damage);
    const auto before = image_of(files, "data");
    auto found = repair(files, "data", {.now_ms = now_ms});
    INFO(found.status().to_string());
    REQUIRE(found.ok());
    REQUIRE(image_of(files, "data") == before);
    if (found->verdict == repair_verdict::starts) {
      CHECK(opened(files).ok());
      continue;
    }
    CHECK_FALSE(found->refusal.empty());
    repair_options how{.dry_run = false, .now_ms = now_ms};
    if (found->verdict == repair_verdict::needs_salvage) {
      CHECK(repair(files, "data", how).code() == op_code::not_supported);
      REQUIRE(image_of(files, "data") == before);
      how.salvage = true;
      ++salvaged;
    }
    ++repaired;
    const auto done = repair(files, "data", how);
    INFO(done.status().to_string());
    REQUIRE(done.ok());
    const auto content = opened(files);
    INFO(content.status().to_string());
    REQUIRE(content.ok());
    for (std::size_t s = 0; s < content->size(); ++s) {
      CAPTURE(s);
      if (!how.salvage) CHECK(was_there(u, s, (*content)[s]));
      for (const auto& [key, held] : (*content)[s])
        if (!was_written(u, s, key, held)) FAIL("key " << key << " has what it never had");
    }
    CHECK(opened(files).ok());
    // What was replaced is still there.
    for (const auto& [path, bytes] : before) {
      if (path.ends_with("/lock")) continue;
      const auto& aside = done->put_aside;
      const auto name = path.substr(std::string{"data/"}.size());
      const auto kept = files.exists(path);
      if (!*kept && name.find("spare-") == name.npos &&
          name.find("checkpoint/") != std::string::npos)
        CHECK((*files.exists(aside + "/" + name)));
    }
  }
  CHECK(repaired > 20);
  CHECK(salvaged > 0);
}

TEST_CASE("a manifest that is lost or damaged is made from the other files", "[storage][repair]") {
  const damage_universe u{{.clean = true}};
  const std::string path = "data/MANIFEST";
  for (const auto& damage :
       {changes{{path, std::nullopt}}, changes{{path, u.files.at(path).substr(0, 100)}},
        changes{{path, flipped(u, path, 999)}}, changes{{path, u.older.at(path)}}}) {
    memory_file_system files;
    lay_out(u, files, damage);
    const auto done = repair(files, "data", {.dry_run = false, .now_ms = now_ms});
    REQUIRE(done.ok());
    CHECK(done->verdict == repair_verdict::manifest_only);
    CHECK(done->put_aside == "data/damaged-20231114-221320");
    if (damage.at(path)) CHECK(files.bytes(done->put_aside + "/MANIFEST") == *damage.at(path));
    const auto content = opened(files);
    REQUIRE(content.ok());
    CHECK(*content == u.rounds.back());
  }
}

TEST_CASE("a hole in the log costs its shard what stands behind it, and says which keys",
          "[storage][repair]") {
  const damage_universe u{{.clean = true}};
  // The last segment of the first stream, in the frames of the last rounds.
  const std::string path = "data/wal/0000000003-0001-000000000001.wal";
  memory_file_system files;
  lay_out(u, files, {{path, flipped(u, path, data_end_of(u, path) * 6)}});
  const auto plan = repair(files, "data", {.now_ms = now_ms});
  REQUIRE(plan.ok());
  CHECK(plan->verdict == repair_verdict::rewrite);
  CHECK(plan->may_lose_durable);
  CHECK_THAT(plan->refusal, ContainsSubstring(path));
  const auto hit = std::find_if(plan->shards.begin(), plan->shards.end(),
                                [](const shard_repair& s) { return !s.missing.empty(); });
  REQUIRE(hit != plan->shards.end());
  CHECK(hit->exact);
  CHECK(hit->dropped_records > 0);
  CHECK_FALSE(hit->dropped_keys.empty());
  const auto shard = hit->shard.value;
  const auto missing = hit->missing.front();

  SECTION("by default the shard ends before the hole") {
    REQUIRE(repair(files, "data", {.dry_run = false, .now_ms = now_ms}).ok());
    const auto content = opened(files);
    REQUIRE(content.ok());
    CHECK(was_there(u, shard, (*content)[shard]));
    for (const auto& [key, held] : (*content)[shard]) CHECK(held.version < missing.first);
  }
  SECTION("with salvage all but the hole is there") {
    REQUIRE(repair(files, "data", {.dry_run = false, .salvage = true, .now_ms = now_ms}).ok());
    const auto content = opened(files);
    REQUIRE(content.ok());
    for (std::size_t s = 0; s < content->size(); ++s)
      for (const auto& [key, held] : u.rounds.back()[s])
        if (held.version < missing.first || held.version > missing.last)
          CHECK((*content)[s].at(key) == held);
  }
}

TEST_CASE("a flipped bit in the format version of a log segment is damage, and costs nothing",
          "[storage][repair]") {
  const damage_universe u{{.clean = true}};
  const std::string path = "data/wal/0000000003-0001-000000000001.wal";
  constexpr std::uint64_t version_at = 8;
  for (std::uint64_t bit = 3; bit < 32; ++bit) {
    CAPTURE(bit);
    memory_file_system files;
    lay_out(u, files, {{path, flipped(u, path, version_at * 8 + bit)}});
    CHECK_FALSE(opened(files).ok());
    const auto done = repair(files, "data", {.dry_run = false, .now_ms = now_ms});
    INFO(done.status().to_string());
    REQUIRE(done.ok());
    const auto content = opened(files);
    REQUIRE(content.ok());
    CHECK(*content == u.rounds.back());
  }
}

TEST_CASE("a power failure in a repair leaves a folder that is repaired by the next one",
          "[storage][repair][crash]") {
  const damage_universe u{{.clean = true}};
  const std::string path = "data/wal/0000000003-0001-000000000001.wal";
  const changes damage{{path, flipped(u, path, data_end_of(u, path) * 6)}};
  universe_content expected;
  for (std::uint64_t step = 0;; ++step) {
    CAPTURE(step);
    faulty_file_system machine;
    lay_out(u, machine.memory(), damage);
    machine.power_off_after(step);
    const auto done = repair(machine, "data", {.dry_run = false, .now_ms = now_ms}).ok();
    machine.crash(step % 2 == 0 ? crash_policy::random : crash_policy::drop_all, step);
    auto& files = machine.memory();
    const auto again = repair(files, "data", {.dry_run = false, .now_ms = now_ms + 60'000});
    INFO(again.status().to_string());
    REQUIRE(again.ok());
    const auto content = opened(files);
    INFO(content.status().to_string());
    REQUIRE(content.ok());
    if (step == 0) expected = *content;
    REQUIRE(*content == expected);
    if (done) break;
    REQUIRE(step < 1'000);
  }
}

TEST_CASE("a repair touches no folder that is in use, of a newer program, or of nobody",
          "[storage][repair]") {
  const damage_universe u{{.clean = true}};
  memory_file_system files;
  lay_out(u, files);
  {
    const auto held = files.lock("data");
    CHECK(repair(files, "data", {}).code() == op_code::unavailable);
  }
  REQUIRE(files.create_folder("empty").ok());
  CHECK(repair(files, "empty", {}).code() == op_code::invalid_argument);
  auto newer = *decode_segment_header(u.files.at("data/wal/0000000003-0001-000000000001.wal"));
  newer.version += 1;
  auto bytes = u.files.at("data/wal/0000000003-0001-000000000001.wal");
  encode(newer, bytes.data());
  files.set_bytes("data/wal/0000000003-0001-000000000001.wal", bytes);
  CHECK(repair(files, "data", {.dry_run = false}).code() == op_code::version_mismatch);
}
