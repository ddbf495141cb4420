#include "storage/record.hpp"

#include "storage/record_store.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <string>
#include <vector>

using namespace warp;
using namespace warp::storage;

namespace {

struct fixture {
  table_stats stats;
  memory_range range;
  cell_pages pages{range};
  record_store records{pages, stats};

  record* make(std::string_view key, std::string_view value, record_meta meta = {.version = 1}) {
    return records.make(key, new_value{value, {}}, meta);
  }
};

std::string bytes_of(std::size_t size, char salt) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 31 + salt);
  return bytes;
}

bool equal(const record_meta& a, const record_meta& b) {
  return a.version == b.version && a.expires_at_ms == b.expires_at_ms && a.type == b.type &&
         a.rank == b.rank && a.pattern == b.pattern;
}

} // namespace

TEST_CASE("a record keeps key, value and meta of every size and form", "[storage][record]") {
  fixture f;
  const auto key_size = GENERATE(1u, 2u, 255u, 256u, 257u, 65'535u, 65'536u);
  const auto value_size = GENERATE(0u, 1u, 100u, 16'383u, (1u << 24) - 1, 1u << 24);
  const auto expires_at_ms = GENERATE(std::uint64_t{0}, std::uint64_t{1'700'000'000'000});
  const auto key = bytes_of(key_size, 3);
  const auto value = bytes_of(value_size, 7);
  const record_meta meta{.version = lsn_max - 5,
                         .expires_at_ms = expires_at_ms,
                         .rank = priority::background,
                         .pattern = access_pattern::cold};
  record* const r = f.make(key, value, meta);
  CHECK(r->key() == key);
  CHECK(r->value() == value);
  CHECK(r->large() == nullptr);
  CHECK(r->version() == lsn_max - 5);
  CHECK(r->expires_at_ms() == expires_at_ms);
  CHECK(equal(r->meta(), meta));
  CHECK(f.stats.keys == 1);
  CHECK(f.stats.key_bytes == key_size);
  CHECK(f.stats.value_bytes == value_size);
  CHECK(f.stats.expiring_keys == (expires_at_ms != 0));
  f.records.free(r);
  CHECK(f.stats.keys == 0);
  CHECK(f.stats.key_bytes + f.stats.value_bytes + f.stats.record_bytes == 0);
  CHECK(f.stats.expiring_keys == 0);
}

TEST_CASE("a small record costs 12 bytes over key and value, 20 with an expiry",
          "[storage][record]") {
  fixture f;
  record* const plain = f.make("0123456789abcdef", std::string(100, 'v'));
  // From malloc, as long as the size is rare: its header and rounding, and what it would not split
  // off a chunk that was used before.
  CHECK(f.stats.record_bytes <= 16 + 100 + 12 + 32);
  std::vector<record*> many;
  for (int i = 0; i < 1000; ++i) many.push_back(f.make("0123456789abcdef", std::string(100, 'v')));
  const auto before = f.stats.record_bytes;
  many.push_back(f.make("0123456789abcdef", std::string(100, 'v')));
  CHECK(f.stats.record_bytes - before == 16 + 100 + 12);
  for (int i = 0; i < 1000; ++i)
    many.push_back(f.make("0123456789abcdef", std::string(100, 'v'), {.expires_at_ms = 1}));
  const auto before_expiring = f.stats.record_bytes;
  many.push_back(f.make("0123456789abcdef", std::string(100, 'v'), {.expires_at_ms = 1}));
  CHECK(f.stats.record_bytes - before_expiring == 16 + 100 + 20);
  f.records.free(plain);
  for (auto* r : many) f.records.free(r);
}

TEST_CASE("a large value is shared with the record, not copied", "[storage][record]") {
  fixture f;
  const auto text = bytes_of(blob_size_min, 1);
  new_value value{{}, blob_ref::copy_of(text)};
  const auto* const bytes = value.large.view().data();
  record* const r = f.records.make("key", value, {.version = 4});
  value.large = {};
  CHECK(r->value().data() == bytes);
  CHECK(r->value() == text);
  CHECK(f.stats.value_bytes == text.size());
  CHECK(f.stats.record_bytes >= text.size());
  const auto reader = blob_ref::share(r->large());

  SECTION("freeing the record leaves it to its readers") {
    f.records.free(r);
  }
  SECTION("so does overwriting it with an inline value") {
    REQUIRE(f.records.overwrite(r, new_value{"eight by", {}}, {.version = 5}));
    CHECK(r->large() == nullptr);
    CHECK(r->value() == "eight by");
    CHECK(f.stats.value_bytes == 8);
    f.records.free(r);
  }
  SECTION("and overwriting it with a part of itself") {
    REQUIRE(f.records.overwrite(r, new_value{r->value().substr(5, 8), {}}, {.version = 5}));
    CHECK(r->value() == text.substr(5, 8));
    f.records.free(r);
  }
  CHECK(reader.view() == text);
  CHECK(f.stats.record_bytes == 0);
}

TEST_CASE("a record is overwritten in place where the memory suits it", "[storage][record]") {
  fixture f;
  record* const r = f.make("key", std::string(100, 'a'), {.version = 1, .rank = priority::high});
  const auto overwrite = [&](std::string_view value, record_meta meta) {
    return f.records.overwrite(r, new_value{value, {}}, meta);
  };
  CHECK(overwrite(std::string(100, 'b'), {.version = 2}));
  CHECK(r->key() == "key");
  CHECK(r->value() == std::string(100, 'b'));
  CHECK(r->meta().rank == priority::normal);

  CHECK_FALSE(overwrite(std::string(200, 'c'), {.version = 3})); // too long
  CHECK_FALSE(overwrite("c", {.version = 3}));                   // far too short
  CHECK_FALSE(
      overwrite(std::string(100, 'c'), {.version = 3, .expires_at_ms = 9})); // needs 8 B more
  CHECK(r->value() == std::string(100, 'b'));
  CHECK(r->version() == 2);
  f.records.free(r);
}

TEST_CASE("an empty value may be a null view", "[storage][record]") {
  fixture f;
  record* const r = f.records.make("key", new_value{}, {.version = 1});
  CHECK(r->value().empty());
  CHECK(f.records.overwrite(r, new_value{}, {.version = 2}));
  CHECK(r->value().empty());
  CHECK(r->key() == "key");
  f.records.free(r);
}

TEST_CASE("large memory is kept for a shorter value down to half of it", "[storage][record]") {
  fixture f;
  record* const r = f.make("key", std::string(10'000, 'a'));
  CHECK(f.records.overwrite(r, new_value{std::string(6'000, 'b'), {}}, {.version = 2}));
  CHECK_FALSE(f.records.overwrite(r, new_value{std::string(2'000, 'b'), {}}, {.version = 3}));
  CHECK(f.records.overwrite(r, new_value{std::string(10'000, 'c'), {}}, {.version = 4}));
  CHECK(r->value() == std::string(10'000, 'c'));
  f.records.free(r);
  CHECK(f.stats.record_bytes == 0);
}

TEST_CASE("the meta changes in place unless an expiry comes or goes", "[storage][record]") {
  fixture f;
  record* const r = f.make("key", "value", {.version = 1, .expires_at_ms = 5});
  r->set_heat(3);
  CHECK(f.records.overwrite_meta(r, {.version = 2, .expires_at_ms = 6, .rank = priority::low}));
  CHECK(r->expires_at_ms() == 6);
  CHECK(r->meta().rank == priority::low);
  CHECK(r->heat() == 3);
  CHECK(r->value() == "value");
  CHECK_FALSE(f.records.overwrite_meta(r, {.version = 3}));
  CHECK(r->version() == 2);
  f.records.free(r);
}

TEST_CASE("heat is kept beside the other flags and a put resets it", "[storage][record]") {
  fixture f;
  record* const r = f.make("key", "value", {.version = lsn_max, .rank = priority::background});
  CHECK(r->heat() == 0);
  for (const unsigned heat : {3u, 1u, 2u, 0u, 3u}) {
    r->set_heat(heat);
    CHECK(r->heat() == heat);
    CHECK(r->version() == lsn_max);
    CHECK(r->meta().rank == priority::background);
  }
  CHECK(f.records.overwrite(r, new_value{"other", {}}, {.version = 2}));
  CHECK(r->heat() == 0);
  f.records.free(r);
}
