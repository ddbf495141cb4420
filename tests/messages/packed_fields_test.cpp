#include "messages/packed_fields.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

using namespace warp;

TEST_CASE("packed fields are read as they were written", "[messages]") {
  field_packer packer;
  const std::string long_name(300, 'n'), long_value(70'000, 'v');
  packer.add_pair("a", "1");
  packer.add_pair("", "");
  packer.add_pair(long_name, long_value);
  const std::string pairs{packer.packed()};
  CHECK(pairs.substr(0, 5) == std::string_view{"\x03\x01"
                                               "a\x01"
                                               "1",
                                               5});
  CHECK(pairs.size() ==
        1 + packed_pair_bytes(1, 1) + packed_pair_bytes(0, 0) + packed_pair_bytes(300, 70'000));
  REQUIRE(are_packed_pairs(pairs));
  CHECK(packed_count(pairs) == 3);
  std::vector<std::pair<std::string, std::string>> read;
  for_each_pair(pairs, [&](auto name, auto value) { read.emplace_back(name, value); });
  CHECK(read == std::vector<std::pair<std::string, std::string>>{
                    {"a", "1"}, {"", ""}, {long_name, long_value}});

  packer.clear();
  for (int i = 0; i < 200; ++i) packer.add_name(std::to_string(i));
  const std::string names{packer.packed()};
  REQUIRE(are_packed_names(names));
  int next = 0;
  for_each_name(names, [&](auto name) { CHECK(name == std::to_string(next++)); });
  CHECK(next == 200);

  packer.clear();
  packer.add_answer("x");
  packer.add_answer(std::nullopt);
  packer.add_answer("");
  const std::string answers{packer.packed()};
  REQUIRE(are_packed_answers(answers));
  std::string text;
  for_each_answer(answers,
                  [&](auto value) { text += value ? "[" + std::string{*value} + "]" : "-"; });
  CHECK(text == "[x]-[]");
}

TEST_CASE("packed fields that are cut short, or go on, are malformed", "[messages]") {
  field_packer packer;
  packer.add_pair("name", "value");
  packer.add_pair("other", std::string(200, 'x'));
  const std::string pairs{packer.packed()};
  for (std::size_t size = 0; size < pairs.size(); ++size)
    CHECK(!are_packed_pairs(std::string_view{pairs}.substr(0, size)));
  CHECK(!are_packed_pairs(pairs + '\0'));
  CHECK(!are_packed_pairs(std::string_view{"\0", 1}));      // no fields
  CHECK(!are_packed_pairs("\x81\x80\x80\x80\x80\x80\x01")); // no number of 32 bits
  CHECK(!are_packed_pairs(std::string_view{"\x81\0\x01"
                                           "a\x01"
                                           "b",
                                           7})); // a number in too many bytes
  packer.clear();
  packer.add_pair(std::string(field_name_size_max, 'n'), "v");
  CHECK(are_packed_pairs(packer.packed()));
  packer.clear();
  packer.add_pair(std::string(field_name_size_max + 1, 'n'), "v");
  CHECK(!are_packed_pairs(packer.packed()));
}
