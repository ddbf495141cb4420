#include "storage/indexed_hash.hpp"

#include "storage/hash_builder.hpp"

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

using namespace warp;
using namespace warp::storage;

namespace {

using model = std::map<std::string, std::string>;

model contents(const hash_view& fields) {
  model all;
  fields.for_each([&](std::string_view name, std::string_view value) {
    CHECK(all.emplace(name, value).second);
  });
  CHECK(all.size() == fields.count());
  return all;
}

std::size_t bytes_of(const model& fields) {
  std::size_t bytes = varint_bytes(fields.size());
  for (const auto& [name, value] : fields) bytes += packed_pair_bytes(name.size(), value.size());
  return bytes;
}

struct random_fields {
  std::mt19937_64 random;
  unsigned names, value_bytes;

  std::string name() {
    const auto n = random() % names;
    return n == 0 ? std::string{} : "field" + std::to_string(n);
  }
  std::string value() {
    const auto size = random() % 200 == 0 ? 5'000 : random() % value_bytes;
    return std::string(size, static_cast<char>('a' + random() % 26));
  }
};

} // namespace

TEST_CASE("an indexed hash does what a map does, and so do its copies", "[storage][hash]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  random_fields make{std::mt19937_64{seed}, 3'000, 60};
  struct version {
    blob_ref head;
    model expected;
  };
  std::vector<version> all{{indexed_hash::make(), {}}};
  for (int i = 0; i < 60'000; ++i) {
    auto& at = all[make.random() % all.size()];
    auto& hash = *at.head.get()->hash();
    const auto name = make.name();
    const auto kind = make.random() % 1'000;
    if (kind == 0) {
      auto copy = version{indexed_hash::copy_of(hash), at.expected};
      if (all.size() < 4)
        all.push_back(std::move(copy));
      else
        all[make.random() % all.size()] = std::move(copy);
    } else if (kind < 650) {
      const auto value = make.value();
      CHECK(hash.set(name, value) == at.expected.insert_or_assign(name, value).second);
    } else {
      CHECK(hash.erase(name) == (at.expected.erase(name) != 0));
    }
  }
  for (const auto& at : all) {
    const auto& hash = *at.head.get()->hash();
    CHECK(contents({{}, &hash}) == at.expected);
    CHECK(hash.size() == bytes_of(at.expected));
    for (const auto& [name, value] : at.expected) CHECK(hash.find(name) == value);
    CHECK(!hash.find("no such field"));
    std::string packed(hash.size(), '\0');
    hash_view{{}, &hash}.pack(packed.data());
    CHECK(are_packed_pairs(packed));
    CHECK(contents({packed, nullptr}) == at.expected);
  }
  for (auto& at : all) {
    auto& hash = *at.head.get()->hash();
    for (const auto& [name, value] : at.expected) CHECK(hash.erase(name));
    CHECK(hash.count() == 0);
    CHECK(hash.size() == 1);
    CHECK(hash.memory() == indexed_hash::make().get()->hash()->memory());
  }
}

TEST_CASE("a walk over a hash that changes meets every field that stays", "[storage][hash]") {
  auto head = indexed_hash::make();
  auto& hash = *head.get()->hash();
  for (int i = 0; i < 2'000; ++i) hash.set("stays" + std::to_string(i), "value");
  std::map<std::string, int> met;
  std::uint64_t cursor = 0;
  int n = 0;
  do {
    cursor = hash.walk(cursor,
                       [&](std::string_view name, std::string_view) { ++met[std::string{name}]; });
    for (int i = 0; i < 20; ++i, ++n) {
      hash.set("comes" + std::to_string(n), std::string(n % 100, 'x'));
      if (n % 3 == 0) hash.erase("comes" + std::to_string(n / 2));
    }
  } while (cursor != 0);
  for (int i = 0; i < 2'000; ++i) CHECK(met["stays" + std::to_string(i)] != 0);
}

TEST_CASE("whoever holds a hash reads it as it was while its owner goes on", "[storage][hash]") {
  std::mutex lock; // the shard's
  blob_ref owned = indexed_hash::make();
  std::uint64_t round = 0; // all fields have it as their value
  constexpr int names = 400;
  std::atomic<bool> stop{false};
  std::vector<std::thread> readers;
  std::atomic<int> torn{0};
  for (int r = 0; r < 2; ++r)
    readers.emplace_back([&] {
      while (!stop) {
        blob_ref held;
        std::string expected;
        {
          std::lock_guard hold{lock};
          held = owned;
          expected = std::to_string(round);
        }
        std::uint32_t seen = 0;
        held.get()->hash()->for_each([&](std::string_view, std::string_view value) {
          ++seen;
          if (value != expected) ++torn;
        });
        if (seen != held.get()->hash()->count()) ++torn;
      }
    });
  for (int i = 1; i <= 60; ++i) {
    std::lock_guard hold{lock};
    round = static_cast<std::uint64_t>(i);
    if (!owned.get()->is_unshared()) owned = indexed_hash::copy_of(*owned.get()->hash());
    auto& hash = *owned.get()->hash();
    for (int n = 0; n < names; ++n) hash.set("field" + std::to_string(n), std::to_string(i));
    for (int n = i % 7; n < names; n += 7) hash.erase("field" + std::to_string(n));
  }
  stop = true;
  for (auto& reader : readers) reader.join();
  CHECK(torn == 0);
}

TEST_CASE("what a hash says of its memory is what its fields and nodes take", "[storage][hash]") {
  auto head = indexed_hash::make();
  auto& hash = *head.get()->hash();
  for (int i = 0; i < 100'000; ++i)
    hash.set("field:" + std::to_string(i), "value of some forty bytes, about as usual");
  CHECK(hash.memory() > hash.size());
  CHECK(hash.memory() < hash.size() * 5 / 4);
}

TEST_CASE("a builder packs what is small and indexes what is large", "[storage][hash]") {
  hash_builder builder;
  builder.begin({});
  for (unsigned i = 0; i < packed_hash_fields_max; ++i)
    CHECK(builder.set("f" + std::to_string(i), "v"));
  CHECK(!builder.value().large);
  CHECK(builder.value().bytes.substr(0, 6) == std::string_view("\x80\x01\x02"
                                                               "f0\x01",
                                                               6));
  CHECK(!builder.set("f5", "w"));
  CHECK(builder.fields().find("f5") == "w");
  CHECK(builder.set("one more", "v"));
  CHECK(builder.fields().indexed());
  CHECK(builder.fields().count() == packed_hash_fields_max + 1);
  CHECK(builder.value().large);
  for (unsigned i = packed_again_fields_max - 1; i < packed_hash_fields_max; ++i)
    CHECK(builder.erase("f" + std::to_string(i)));
  CHECK(!builder.value().large);
  CHECK(builder.fields().count() == packed_again_fields_max);

  builder.begin({});
  CHECK(builder.set("n", std::string(packed_hash_bytes_max - 6, 'x')));
  CHECK(builder.value().bytes.size() <= packed_hash_bytes_max);
  CHECK(!builder.value().large);
  CHECK(builder.set("m", "x"));
  CHECK(builder.value().large);
}
