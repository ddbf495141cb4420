#include "tests/storage/backup_fixture.hpp"

#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace warp;
using namespace warp::storage;
using namespace warp::testing;

namespace {

/// A small repository with two backups, and what they hold.
struct small_repository {
  faulty_file_system files;
  std::unique_ptr<backup_store> store = open_backup_folder(files, "backups");
  std::uint64_t us = 0;
  std::string first, second;
  plain_contents in_first, in_second;
  int restores = 0;

  small_repository() {
    backup_source source{files, Catch::getSeed()};
    source.write(10);
    for (std::uint32_t i = 0; i < 2; ++i) REQUIRE((*source.db)->checkpoint(shard_id{i}).ok());
    in_first = source.contents();
    first = source.back_up(*store).name;
    source.write(3);
    in_second = source.contents();
    second = source.back_up(*store).name;
    us = source.time->now_us();
    source.stop();
  }

  std::vector<std::string> paths(const std::string& section) {
    std::vector<std::string> found;
    const auto objects = store->list(section);
    REQUIRE(objects.ok());
    for (const auto& object : *objects) found.push_back("backups/" + object.name);
    return found;
  }

  /// What a restore gives is right, or it fails and says why. True: it failed.
  bool fails_or_is_right(const std::string& name, const plain_contents& expected) {
    auto target = std::make_unique<faulty_file_system>();
    const auto got = restored(*store, *target, "restored", {.name = name}, us);
    ++restores;
    if (!got.ok()) {
      CHECK(got.status().message().size() > 20);
      CHECK((got.code() == op_code::corruption || got.code() == op_code::invalid_argument ||
             got.code() == op_code::version_mismatch));
      return true;
    }
    CHECK(live(*got) == live(expected));
    return false;
  }
  [[nodiscard]] plain_contents live(plain_contents all) const {
    std::erase_if(all, [&](const auto& entry) {
      return entry.second.expires_at_ms != 0 && entry.second.expires_at_ms <= us / 1'000;
    });
    return all;
  }
  [[nodiscard]] bool verify_finds_something() {
    const auto verified = verify_backups(*store, "");
    return !verified.ok() || !verified->problems.empty();
  }
};

} // namespace

TEST_CASE("a flipped byte anywhere in the manifest of a backup is an error",
          "[storage][backup][damage]") {
  small_repository r;
  for (const auto& path : r.paths("backups")) {
    const auto whole = r.files.memory().bytes(path);
    for (std::size_t i = 0; i < whole.size(); ++i) {
      auto damaged = whole;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << (i % 8)));
      r.files.memory().set_bytes(path, damaged);
      const auto name = path.substr(path.rfind('/') + 1);
      if (load_backup(*r.store, name).ok()) FAIL(path << " at " << i);
      if (i % 97 == 0) CHECK(r.verify_finds_something());
    }
    r.files.memory().set_bytes(path, whole);
  }
  CHECK_FALSE(r.verify_finds_something());
}

TEST_CASE("damaged objects of a backup are an error or give the right data",
          "[storage][backup][damage]") {
  small_repository r;
  std::mt19937_64 random{Catch::getSeed()};
  const auto check = [&](const std::string& what) {
    CAPTURE(what);
    CHECK(r.verify_finds_something());
    const bool one = r.fails_or_is_right(r.first, r.in_first);
    const bool other = r.fails_or_is_right(r.second, r.in_second);
    CHECK((one || other));
  };
  const auto paths = r.paths("objects");
  REQUIRE(paths.size() >= 4);
  for (const auto& path : paths) {
    const auto whole = r.files.memory().bytes(path);
    for (int i = 0; i < 12; ++i) {
      // The first and the last bytes above all: header, index and trailer.
      const auto at = i < 3   ? random() % std::min<std::size_t>(whole.size(), 96)
                      : i < 6 ? whole.size() - 1 - random() % 40
                              : random() % whole.size();
      auto damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << random() % 8));
      r.files.memory().set_bytes(path, damaged);
      check(path + " flipped at " + std::to_string(at));
    }
    r.files.memory().set_bytes(path, whole.substr(0, random() % whole.size()));
    check(path + " cut off");
    r.files.memory().set_bytes(path, whole + "x");
    check(path + " longer");
    r.files.memory().set_bytes(path, "");
    check(path + " empty");
    REQUIRE(r.files.remove(path).ok());
    check(path + " missing");
    r.files.memory().set_bytes(path, whole);
  }
  for (std::size_t i = 0; i + 1 < paths.size(); ++i) {
    const auto one = r.files.memory().bytes(paths[i]), other = r.files.memory().bytes(paths[i + 1]);
    r.files.memory().set_bytes(paths[i], other);
    r.files.memory().set_bytes(paths[i + 1], one);
    check(paths[i] + " and the next one swapped");
    r.files.memory().set_bytes(paths[i], one);
    r.files.memory().set_bytes(paths[i + 1], other);
  }
  CHECK_FALSE(r.verify_finds_something());
  CHECK_FALSE(r.fails_or_is_right(r.first, r.in_first));
  CHECK_FALSE(r.fails_or_is_right(r.second, r.in_second));
}

TEST_CASE("a damaged backup stands in nobody's way", "[storage][backup][damage]") {
  small_repository r;
  const auto path = "backups/backups/" + r.first;
  r.files.memory().flip_bit(path, 400);
  CHECK_FALSE(r.fails_or_is_right(r.second, r.in_second));
  // Nobody knows what it needs, so nothing that it may need is removed; with it, all is.
  CHECK(remove_backups(*r.store, {r.second}).code() == op_code::corruption);
  CHECK(r.store->list("backups")->size() == 2);
  REQUIRE(remove_backups(*r.store, {r.first}).ok());
  CHECK_FALSE(r.verify_finds_something());
}

TEST_CASE("a damaged checkpoint or log of the source ends a backup and is not stored",
          "[storage][backup][damage]") {
  faulty_file_system files;
  const auto store = open_backup_folder(files, "backups");
  backup_source source{files, Catch::getSeed()};
  source.write(20);
  for (std::uint32_t i = 0; i < 4; ++i) REQUIRE((*source.db)->checkpoint(shard_id{i}).ok());
  const auto path = (*source.db)->newest_checkpoint(shard_id{2});
  files.memory().flip_bit(path, 8 * 120);
  const auto made = (*source.db)->back_up(*store);
  CHECK(made.code() == op_code::corruption);
  CHECK(made.status().message().find(path) != std::string::npos);
  CHECK(store->list("backups")->empty());
  files.memory().flip_bit(path, 8 * 120);
  CHECK((*source.db)->back_up(*store).ok());
}
