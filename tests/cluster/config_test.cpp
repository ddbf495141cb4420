#include "cluster/config.hpp"

#include "cluster/config_knobs.hpp"
#include "cluster/config_report.hpp"
#include "cluster/config_units.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fstream>
#include <set>
#include <sstream>

using namespace warp;
using namespace warp::cluster;
using Catch::Matchers::ContainsSubstring;

namespace {

config_inputs from_file(std::string text) {
  return {.file_name = "warp.toml", .file_text = std::move(text)};
}

std::string mistakes_in(const config_inputs& inputs) {
  const auto loaded = load_config(inputs);
  REQUIRE_FALSE(loaded.ok());
  REQUIRE(loaded.code() == op_code::invalid_argument);
  return loaded.status().message();
}

const config_setting& setting(const loaded_config& config, std::string_view name) {
  return *std::ranges::find(config.settings, name, &config_setting::name);
}

} // namespace

TEST_CASE("without any input all defaults are in force", "[config]") {
  const auto loaded = load_config({});
  REQUIRE(loaded.ok());
  CHECK(loaded->values.rpc.listen == "127.0.0.1:7400");
  CHECK(loaded->values.http.listen == "127.0.0.1:7480");
  CHECK(loaded->values.engine_options().folder == "warp-data");
  CHECK(loaded->values.engine.segment_bytes == 64u << 20);
  CHECK(loaded->warnings.empty());
  for (const auto& s : loaded->settings) CHECK(s.origin == config_origin::built_in);
}

TEST_CASE("every default is within its own range and every row is complete", "[config]") {
  const server_config defaults;
  std::set<std::string> names;
  for (const auto& k : knobs()) {
    CAPTURE(k.name());
    CHECK(names.insert(k.name()).second);
    CHECK(check_knob(k, k.read(defaults)).ok());
    CHECK_FALSE(k.explanation.empty());
    CHECK_FALSE(k.explanation.ends_with('.'));
    CHECK_FALSE(section_explanation(k.section).empty());
    if (k.kind == knob_kind::count) CHECK_FALSE(k.unit.empty());
  }
}

TEST_CASE("what a knob writes is what it reads back", "[config]") {
  for (const auto& k : knobs()) {
    CAPTURE(k.name());
    server_config c;
    knob_value value = std::string("127.0.0.1:9");
    if (k.kind == knob_kind::yes_no) value = !std::get<bool>(k.read(c));
    if (k.kind == knob_kind::choice) value = std::string(k.choices.back());
    if (std::holds_alternative<std::uint64_t>(k.read(c))) value = k.min;
    k.write(c, value);
    CHECK(k.read(c) == value);
  }
}

TEST_CASE("flags win over environment, environment over file, file over defaults", "[config]") {
  auto inputs =
      from_file("[rpc]\nlisten = \"127.0.0.1:1\"\nthreads = 3\n\n[log]\nlevel = \"debug\"\n");
  inputs.environment = {
      {"WARP_RPC_LISTEN", "127.0.0.1:2"}, {"WARP_RPC_THREADS", "4"}, {"HOME", "/x"}};
  inputs.flags = {{"rpc.listen", "127.0.0.1:3"}};
  const auto loaded = load_config(inputs);
  REQUIRE(loaded.ok());
  CHECK(loaded->values.rpc.listen == "127.0.0.1:3");
  CHECK(loaded->values.rpc.threads == 4);
  CHECK(loaded->values.log.level == "debug");
  CHECK(setting(*loaded, "rpc.listen").where == "--rpc.listen");
  CHECK(setting(*loaded, "rpc.threads").where == "WARP_RPC_THREADS");
  CHECK(setting(*loaded, "log.level").where == "warp.toml:6");
  CHECK(setting(*loaded, "log.format").origin == config_origin::built_in);
}

TEST_CASE("sizes and durations carry units", "[config]") {
  const auto loaded =
      load_config(from_file("[storage]\nsegment_size = \"1MiB\"\nwal_max = 1048576000\n"
                            "flush_interval = \"20ms\"\ncheckpoint_interval = \"10min\"\n"));
  REQUIRE(loaded.ok());
  CHECK(loaded->values.engine.segment_bytes == 1u << 20);
  CHECK(loaded->values.engine.wal_max_bytes == 1'048'576'000u);
  CHECK(loaded->values.engine.flush_interval == std::chrono::milliseconds(20));
  CHECK(loaded->values.engine.checkpoint_interval == std::chrono::seconds(600));
}

TEST_CASE("a duration without a unit is refused with the way to write it", "[config]") {
  CHECK_THAT(mistakes_in(from_file("[storage]\nflush_interval = 50\n")),
             ContainsSubstring("warp.toml:2: ") && ContainsSubstring("50ms"));
}

TEST_CASE("an unknown key is an error with its line and the name that was meant", "[config]") {
  const auto text = mistakes_in(from_file("[storage]\nfolder = \"x\"\nsegment_sise = \"1MiB\"\n"));
  CHECK_THAT(text, ContainsSubstring("warp.toml:3: there is no setting \"segment_sise\" in section "
                                     "[storage]; did you mean segment_size?"));
  CHECK_THAT(mistakes_in(from_file("[storage]\nsegment_bytes = 1\n")),
             ContainsSubstring("did you mean segment_size?"));
  CHECK_THAT(mistakes_in(from_file("[storage]\nlisten = \"x\"\n")),
             ContainsSubstring("did you mean rpc.listen?"));
  CHECK_THAT(mistakes_in(from_file("\n[storge]\nfolder = \"x\"\n")),
             ContainsSubstring("warp.toml:2: ") && ContainsSubstring("did you mean [storage]?"));
  CHECK_THAT(mistakes_in(from_file("insecure = true\n")),
             ContainsSubstring("warp.toml:1: ") &&
                 ContainsSubstring("insecure in section [security]"));
  CHECK_THAT(mistakes_in(from_file("storage = 1\n")), ContainsSubstring("storage is a section"));
}

TEST_CASE("all mistakes are reported at once, each with its place", "[config]") {
  auto inputs =
      from_file("[storage]\nshards = \"many\"\nwal_streams = -1\n[log]\nlevel = \"inof\"\n");
  inputs.environment = {{"WARP_RPC_THREADS", "9999"}};
  inputs.flags = {{"http.lisen", "x"}};
  const auto text = mistakes_in(inputs);
  CHECK_THAT(text, ContainsSubstring("warp.toml:2: storage.shards is a text"));
  CHECK_THAT(text, ContainsSubstring("warp.toml:3: "));
  CHECK_THAT(text, ContainsSubstring("warp.toml:5: ") && ContainsSubstring("did you mean info?"));
  CHECK_THAT(text,
             ContainsSubstring(
                 "WARP_RPC_THREADS: rpc.threads = 9999 is too large: it must be 1 to 256 threads"));
  CHECK_THAT(
      text, ContainsSubstring("--http.lisen: there is no such setting; did you mean http.listen?"));
  CHECK(std::ranges::count(text, '\n') == 4);
}

TEST_CASE("TOML that cannot be parsed is an error with its line", "[config]") {
  CHECK_THAT(mistakes_in(from_file("[storage]\nfolder = \n")), ContainsSubstring("warp.toml:2: "));
  CHECK_THAT(mistakes_in(from_file("[rpc]\nthreads = 1\nthreads = 2\n")),
             ContainsSubstring("warp.toml:3: "));
}

TEST_CASE("contradictions are errors that name both places", "[config]") {
  CHECK_THAT(mistakes_in(from_file("[storage]\nshards = 48\n")),
             ContainsSubstring("warp.toml:2: ") && ContainsSubstring("use 32 or 64"));
  CHECK_THAT(mistakes_in(from_file("[storage]\nwal_cpus = \"1-\"\n")),
             ContainsSubstring("warp.toml:2: ") && ContainsSubstring("\"1-\" is no list of CPUs"));
  CHECK_THAT(mistakes_in(from_file("[storage]\ndirect_io = \"yes\"\n")),
             ContainsSubstring("warp.toml:2: ") && ContainsSubstring("auto, on, off"));
  CHECK_THAT(mistakes_in(from_file("[storage]\nshards = 2\nwal_streams = 4\n")),
             ContainsSubstring("warp.toml:3: ") && ContainsSubstring("warp.toml:2"));
  CHECK_THAT(mistakes_in(from_file("[storage]\nwal_max = \"64MiB\"\n")),
             ContainsSubstring("warp.toml:2: ") && ContainsSubstring("128MiB"));
  CHECK_THAT(mistakes_in(from_file("[storage]\nfolder = \"x\"\nmemory_only = true\n")),
             ContainsSubstring("warp.toml:3: ") && ContainsSubstring("warp.toml:2"));
  CHECK_THAT(mistakes_in(from_file("[storage]\nmemory_only = true\ndurability = \"sync\"\n")),
             ContainsSubstring("warp.toml:3: "));
  CHECK_THAT(mistakes_in(from_file("[http]\nlisten = \"127.0.0.1:7400\"\n")),
             ContainsSubstring("same port 7400"));
  CHECK_THAT(mistakes_in(from_file("[rpc]\ncpus = \"1-\"\n")),
             ContainsSubstring("warp.toml:2: ") && ContainsSubstring("\"1-\" is no list of CPUs"));
}

TEST_CASE("memory only needs no further word about durability", "[config]") {
  const auto loaded = load_config(from_file("[storage]\nmemory_only = true\n"));
  REQUIRE(loaded.ok());
  CHECK(loaded->values.engine_options().folder.empty());
  CHECK(loaded->values.engine_options().default_level == durability::memory);
}

TEST_CASE("a port that other machines can reach needs insecure", "[config]") {
  for (const auto* setting : {"rpc.listen", "resp.listen", "http.listen"}) {
    CAPTURE(setting);
    for (const auto* listen : {"0.0.0.0:7999", "*:7999", "192.168.1.5:7999", "[::]:7999",
                               "127.example.org:7999", "db.example.org:7999"}) {
      CAPTURE(listen);
      const config_inputs inputs{.flags = {{setting, listen}}};
      CHECK_THAT(mistakes_in(inputs), ContainsSubstring("--insecure"));
      auto accepted = inputs;
      accepted.flags.emplace_back("security.insecure", "true");
      CHECK(load_config(accepted).ok());
    }
    for (const auto* listen : {"127.0.0.1:0", "127.9.9.9:1", "[::1]:7999", "localhost:7999"}) {
      CAPTURE(listen);
      CHECK(load_config({.flags = {{setting, listen}}}).ok());
    }
  }
  CHECK_FALSE(load_config({.flags = {{"rpc.listen", "127.0.0.1"}}}).ok());
  CHECK_FALSE(load_config({.flags = {{"rpc.listen", "127.0.0.1:70000"}}}).ok());
}

TEST_CASE("a mistyped variable is a warning, a foreign one is silent", "[config]") {
  const auto loaded = load_config({.environment = {{"WARP_STORAGE_FOLDR", "x"},
                                                   {"WARP_SERVER", "y"},
                                                   {"WARP_RPC_PORT_7400_TCP_ADDR", "10.0.0.1"}}});
  REQUIRE(loaded.ok());
  REQUIRE(loaded->warnings.size() == 1);
  CHECK_THAT(loaded->warnings[0], ContainsSubstring("did you mean WARP_STORAGE_FOLDER?"));
}

TEST_CASE("units survive the way to text and back", "[config]") {
  for (const std::uint64_t n :
       {0ull, 1ull, 999ull, 1024ull, 65'536ull, 67'108'864ull, 1'000'000ull, 1ull << 40, ~0ull}) {
    CAPTURE(n);
    CHECK(parse_size(format_size(n)) == n);
    CHECK(parse_duration_ms(format_duration_ms(n)) == n);
  }
  CHECK(parse_size("10kB") == 10'000u);
  CHECK(parse_size("4 GiB") == 4ull << 30);
  for (const auto* bad : {"", "x", "-1", "1.5MiB", "64MB!", "99999999999TiB", "64m"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_size(bad));
    CHECK_FALSE(parse_duration_ms(bad));
  }
  CHECK_FALSE(parse_duration_ms("5"));
}

TEST_CASE("the reference in deploy is the one that the code generates", "[config]") {
  std::ifstream file(WARP_SOURCE_DIR "/deploy/warp.toml.reference", std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  INFO("write it anew with: warp check-config --reference > deploy/warp.toml.reference");
  CHECK(text.str() == config_reference());
}

TEST_CASE("the reference with its settings uncommented is a configuration of defaults",
          "[config]") {
  std::istringstream reference(config_reference());
  std::string text;
  for (std::string line; std::getline(reference, line);) {
    const bool is_setting = line.size() > 1 && line[0] == '#' && line[1] != ' ';
    if (is_setting) line.erase(0, 1);
    text += line + "\n";
  }
  // Saying a folder and memory_only = false is no contradiction.
  const auto loaded = load_config(from_file(text));
  CAPTURE(text);
  if (!loaded.ok()) FAIL(loaded.status().message());
  const server_config defaults;
  for (const auto& k : knobs()) {
    CAPTURE(k.name());
    CHECK(k.read(loaded->values) == k.read(defaults));
    CHECK(setting(*loaded, k.name()).origin == config_origin::file);
  }
}

TEST_CASE("a configuration file that is not there or is a folder is an error with the reason",
          "[config]") {
  CHECK(read_config_file("/nonexistent/warp.toml").code() == op_code::not_found);
  CHECK(read_config_file("/").code() == op_code::io_error);
  CHECK(read_config_file("").ok());
}

TEST_CASE("a path of any bytes is shown, and what a file can say comes back from what is shown",
          "[config]") {
  const auto loaded = load_config({.flags = {{"storage.folder", "\xff\xfe/data"}}});
  REQUIRE(loaded.ok());
  CHECK_THAT(show_config_json(*loaded), ContainsSubstring("/data"));
  const auto odd = load_config(from_file("[storage]\nfolder = \"a\\tb\\u0001\\\"c\\\\\"\n"));
  INFO(odd.status().to_string());
  REQUIRE(odd.ok());
  const auto again =
      load_config(from_file("[storage]\nfolder = " + setting(*odd, "storage.folder").value + "\n"));
  REQUIRE(again.ok());
  CHECK(again->values.engine.folder == "a\tb\x01\"c\\");
}

TEST_CASE("an address is a host and a port, with brackets around an IPv6 host and nowhere else",
          "[config]") {
  CHECK(parse_address("[::1]:7400")->host == "::1");
  CHECK(parse_address("localhost:7400")->port == 7400);
  for (const auto* bad : {"[[1]]:0", "[a]b]:1", "a]:1", "[::1:7400", "::1:7400", ":1", "a:", "a"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_address(bad));
  }
}
