#include "cluster/ndjson.hpp"

#include "messages/limits.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_adapters.hpp>
#include <catch2/generators/catch_generators_random.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <random>

using namespace warp;
using namespace warp::cluster;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;

namespace {

struct parsed {
  op_status status;
  std::string key, value;
  std::uint64_t ttl_ms = 0, expires_at_ms = 0;
};

parsed parse(std::string_view line) {
  static ndjson_parser parser;
  ndjson_record record;
  auto status = parser.parse(line, record);
  if (!status.ok()) return {.status = std::move(status)};
  return {
      {}, std::string(record.key), std::string(record.value), record.ttl_ms, record.expires_at_ms};
}

std::string refusal(std::string_view line) {
  const auto p = parse(line);
  CAPTURE(line);
  CHECK(p.status.code() == op_code::invalid_argument);
  return p.status.message();
}

std::string value_of(std::string_view line) {
  const auto p = parse(line);
  CAPTURE(line, p.status.to_string());
  REQUIRE(p.status.ok());
  return p.value;
}

} // namespace

TEST_CASE("a value that is no string is stored as its own text, byte for byte", "[ndjson]") {
  CHECK(value_of(R"({"key": "k", "value": {"a":  1.50, "b": [1, 2 ,3], "c": "}"}})") ==
        R"({"a":  1.50, "b": [1, 2 ,3], "c": "}"})");
  CHECK(value_of(R"({"key":"k","value":[]})") == "[]");
  CHECK(value_of(R"({"key":"k","value":{}})") == "{}");
  CHECK(value_of(R"({"key":"k","value": -1.0e5 })") == "-1.0e5");
  CHECK(value_of(R"({"value":true,"key":"k"})") == "true");
  CHECK(value_of(R"({"value":null ,"key":"k"})") == "null");
  CHECK(value_of(R"({"key":"k","value":123456789012345678901234567890})") ==
        "123456789012345678901234567890");
  CHECK(value_of(R"({"key":"k","value":["a\"]", "\\"]})") == R"(["a\"]", "\\"])");
  CHECK(value_of(R"({"key": "k", "value": {"name": "Sant Julià de Lòria"}})") ==
        R"({"name": "Sant Julià de Lòria"})");
}

TEST_CASE("a string stands for its own bytes", "[ndjson]") {
  CHECK(value_of(R"({"key":"k","value":""})").empty());
  CHECK(value_of(R"({"key":"k","value":"plain"})") == "plain");
  CHECK(value_of(R"({"key":"k","value":"\"\\\/\b\f\n\r\t"})") == "\"\\/\b\f\n\r\t");
  CHECK(value_of(R"({"key":"k","value":"\u00e9\u20ac\ud83d\ude00!"})") == "é€😀!");
  CHECK(value_of(R"({"key":"k","value":"a\u0000b"})") == std::string("a\0b", 3));
  CHECK(value_of("{\"key\":\"k\",\"value\":\"\xc3\xa9\"}") == "é");
}

TEST_CASE("keys are decoded like strings, and field names too", "[ndjson]") {
  CHECK(parse(R"({"key":"a\tb","value":1})").key == "a\tb");
  CHECK(parse(R"({"\u006bey":"a","v\u0061lue":1})").key == "a");
  CHECK(parse(R"({"key_base64":"/wA=","value_base64":"gA=="})").key == std::string("\xff\0", 2));
  CHECK(value_of(R"({"key_base64":"/wA=","value_base64":"gA=="})") == "\x80");
}

TEST_CASE("a time to live comes with the line", "[ndjson]") {
  CHECK(parse(R"({"key":"k","value":1,"ttl_ms":1500})").ttl_ms == 1500);
  CHECK(parse(R"({"key":"k","value":1,"expires_at_ms":1700000000000})").expires_at_ms ==
        1'700'000'000'000u);
  for (const auto* bad : {"0", "-1", "1.5", "\"1\"", "null", "99999999999999999999"})
    CHECK_THAT(refusal(R"({"key":"k","value":1,"ttl_ms":)" + std::string(bad) + "}"),
               ContainsSubstring("whole number of milliseconds"));
  CHECK_THAT(refusal(R"({"key":"k","value":1,"ttl_ms":1,"expires_at_ms":2})"),
             ContainsSubstring("twice"));
}

TEST_CASE("white space and a carriage return around a line are ignored", "[ndjson]") {
  CHECK(value_of("  { \"key\" : \"k\" ,\t\"value\" : 1 } \r") == "1");
}

TEST_CASE("a field that comes twice or is not known is refused", "[ndjson]") {
  CHECK_THAT(refusal(R"({"key":"a","key":"b","value":1})"),
             StartsWith("column 12: ") && ContainsSubstring("key is given twice"));
  CHECK_THAT(refusal(R"({"key":"a","value":1,"value":2})"),
             ContainsSubstring("value is given twice"));
  CHECK_THAT(refusal(R"({"key":"a","value":1,"value_base64":""})"),
             ContainsSubstring("value is given twice"));
  CHECK_THAT(refusal(R"({"key":"a","value":1,"vlaue":2})"),
             ContainsSubstring("\"vlaue\" is not known"));
}

TEST_CASE("a line that lacks something is refused with what it lacks", "[ndjson]") {
  CHECK_THAT(refusal(R"({"value":1})"), ContainsSubstring("\"key\" is missing"));
  CHECK_THAT(refusal(R"({"key":"k"})"), ContainsSubstring("\"value\" is missing"));
  CHECK_THAT(refusal("{}"), ContainsSubstring("missing"));
  CHECK_THAT(refusal(R"({"key":"","value":1})"), ContainsSubstring("empty"));
  CHECK_THAT(refusal(R"({"key":5,"value":1})"), ContainsSubstring("must be a string"));
  CHECK_THAT(refusal(R"({"key":"k","value_base64":5})"), ContainsSubstring("must be a string"));
  CHECK_THAT(refusal(R"({"key":"k","value_base64":"%%%%"})"), ContainsSubstring("no base64"));
  CHECK(parse(R"({"key":")" + std::string(key_size_max, 'k') + R"(","value":1})").status.ok());
  CHECK_THAT(refusal(R"({"key":")" + std::string(key_size_max + 1, 'k') + R"(","value":1})"),
             ContainsSubstring("65537"));
}

TEST_CASE("what is no JSON is refused with its column", "[ndjson]") {
  CHECK_THAT(refusal(R"({"key": nope})"), StartsWith("column ") && ContainsSubstring("no JSON"));
  for (const auto* bad :
       {"", "   ", "{", "{\"key\":\"k\",\"value\":1", "{\"key\":\"k\",\"value\":1}}",
        "{\"key\":\"k\",\"value\":1} x", "[1,2]", "\"text\"", "5", "{\"key\":\"k\",\"value\":tru}",
        "{\"key\":\"k\",\"value\":01}", "{\"key\":\"k\",\"value\":\"\\ud800\"}",
        "{\"key\":\"k\",\"value\":\"\\x\"}", "{\"key\":\"k\",\"value\":\"\xff\"}",
        "{\"key\":\"k\",\"value\":\"\t\"}", "{'key':'k','value':1}",
        "{\"key\":\"k\",\"value\":1,}"})
    CHECK_THAT(refusal(bad), StartsWith("column "));
}

TEST_CASE("a value nested ten thousand deep costs no stack", "[ndjson]") {
  const std::string deep = std::string(10'000, '[') + std::string(10'000, ']');
  CHECK(value_of(R"({"key":"k","value":)" + deep + "}") == deep);
}

TEST_CASE("every record written is read back to the same bytes", "[ndjson]") {
  const auto seed = GENERATE(take(1, random(1u, 1'000'000'000u)));
  CAPTURE(seed);
  std::mt19937 random(seed);
  std::vector<std::string> values = {"",
                                     "text",
                                     "123",
                                     "-0",
                                     "1e5",
                                     "01",
                                     "{\"a\": 1}",
                                     " {\"a\": 1}",
                                     "{\"a\": 1}\n",
                                     "{\"a\":\n1}",
                                     "\"quoted\"",
                                     "[1,2",
                                     "[1, 2]",
                                     "true",
                                     "trueish",
                                     "null",
                                     "\xff\xfe",
                                     "é",
                                     "\xc0\x80",
                                     "\xed\xa0\x80",
                                     std::string(3, '\0'),
                                     "a\r\nb",
                                     "{\"a\": \"\xff\"}"};
  for (int i = 0; i < 300; ++i) {
    std::string bytes(random() % 40, '\0');
    // Half of them of the characters that JSON is made of, so that some are JSON by chance.
    for (auto& c : bytes)
      c = i % 2 ? "{}[]\",:0123456789.eE-+ \\\n"[random() % 25] : static_cast<char>(random());
    values.push_back(bytes);
  }
  for (const auto& value : values) {
    const std::string key = value.empty() ? "k" : value;
    std::string line;
    append_ndjson(line, key, value, random() % 2 ? random() + 1ull : 0);
    CAPTURE(line);
    CHECK(line.find('\n') == std::string::npos);
    const auto p = parse(line);
    REQUIRE(p.status.ok());
    CHECK(p.key == key);
    CHECK(p.value == value);
  }
}

TEST_CASE("a hash is written and read back with all its fields", "[ndjson]") {
  ndjson_parser parser;
  ndjson_record record;
  const auto there_and_back = [&](std::string_view pairs) {
    std::string line;
    append_hash_ndjson(line, "k", pairs, 5);
    CAPTURE(line);
    REQUIRE(parser.parse(line, record).ok());
    CHECK(record.type == value_type::hash);
    CHECK(record.value == pairs);
    CHECK(record.expires_at_ms == 5);
    return line;
  };
  field_packer packer;
  packer.add_pair("name", "An\"a");
  packer.add_pair("", "{\"x\": 1}");
  CHECK(there_and_back(packer.packed()) ==
        R"({"key": "k", "fields": {"name": "An\"a", "": "{\"x\": 1}"}, "expires_at_ms": 5})");
  packer.add_pair("\xff", "v");
  CHECK(there_and_back(packer.packed()).find("fields_base64") != std::string::npos);

  REQUIRE(parser.parse(R"({"fields" : { "a" : "b" , "c":"\u00e9"}, "key":"k"})", record).ok());
  packer.clear();
  packer.add_pair("a", "b");
  packer.add_pair("c", "\u00e9");
  CHECK(record.value == packer.packed());
  REQUIRE(parser.parse(R"({"key": "k", "value": "text"})", record).ok());
  CHECK(record.type == value_type::bytes);

  CHECK_THAT(refusal(R"({"key": "k", "fields": {}})"), ContainsSubstring("at least one field"));
  CHECK_THAT(refusal(R"({"key": "k", "fields": {"a": 1}})"), ContainsSubstring("must be a string"));
  CHECK_THAT(refusal(R"({"key": "k", "fields": "a"})"), ContainsSubstring("must be an object"));
  CHECK_THAT(refusal(R"({"key": "k", "fields": {"a": "b"}, "value": 1})"),
             ContainsSubstring("twice"));
  CHECK_THAT(refusal(R"({"key": "k", "fields_base64": "AAAA"})"),
             ContainsSubstring("no packed fields"));
}

TEST_CASE("a zero byte ends no text: not a value that begins like JSON, not a line", "[ndjson]") {
  const std::string value{"1\0 and more", 12};
  std::string line;
  append_ndjson(line, "k", value);
  const auto back = parse(line);
  REQUIRE(back.status.ok());
  CHECK(back.value == value);
  for (const std::string cut : {"{}", "{\"key\": \"k\", \"value\": 1}"}) {
    const auto p = parse(cut + std::string{"\0 }", 3});
    CHECK(p.status.code() == op_code::invalid_argument);
    CHECK(p.status.message().find("zero byte") != std::string::npos);
  }
}
