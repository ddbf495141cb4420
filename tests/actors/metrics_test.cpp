#include "actors/universe.hpp"
#include "tests/actors/universe_fixture.hpp"

#include <catch2/catch_test_macros.hpp>

#include <map>
#include <regex>
#include <set>
#include <sstream>

using namespace warp;
using namespace warp::testing;

namespace {

struct family {
  std::string help, type;
  std::vector<std::string> samples; ///< whole lines
};

/// Reads the text format as strictly as a Prometheus server: HELP, then TYPE, then the samples of
/// that family only.
std::map<std::string, family> parse(const std::string& text) {
  static const std::regex help_line{"# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)"};
  static const std::regex type_line{"# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram)"};
  static const std::regex sample_line{
      R"re(([a-zA-Z_:][a-zA-Z0-9_:]*)(\{([a-z_]+="[^"]*",?)*\})? ([0-9.e+-]+|\+Inf|NaN))re"};
  REQUIRE(text.ends_with('\n'));
  std::map<std::string, family> families;
  std::string current;
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);) {
    INFO(line);
    std::smatch m;
    if (std::regex_match(line, m, help_line)) {
      current = m[1];
      REQUIRE_FALSE(families.contains(current)); // one family, one place
      families[current].help = m[2];
    } else if (std::regex_match(line, m, type_line)) {
      REQUIRE(m[1] == current);
      families[current].type = m[2];
    } else {
      REQUIRE(std::regex_match(line, m, sample_line));
      std::string name = m[1];
      if (families[current].type == "histogram")
        name = std::regex_replace(name, std::regex{"_(bucket|sum|count)$"}, "");
      REQUIRE(name == current);
      families[current].samples.push_back(line);
    }
  }
  return families;
}

double value_of(const std::map<std::string, family>& families, const std::string& series) {
  const auto name = series.substr(0, series.find('{'));
  for (auto& line : families.at(name).samples)
    if (line.starts_with(series + " ")) return std::stod(line.substr(series.size() + 1));
  FAIL("no " << series);
  return 0;
}

} // namespace

TEST_CASE_METHOD(universe_fixture, "metrics follow the rules of the format and of naming",
                 "[actors][metrics]") {
  auto u = open();
  REQUIRE(u->put("k", "v", {.level = durability::sync}).ok());
  const auto families = parse(u->metrics());
  CHECK(families.size() > 40);
  std::set<std::string> series;
  for (auto& [name, f] : families) {
    INFO(name);
    CHECK(std::regex_match(name, std::regex{"warp(_[a-z0-9]+)+"}));
    CHECK(f.help.ends_with('.'));
    CHECK(std::isupper(static_cast<unsigned char>(f.help[0])));
    CHECK_FALSE(f.type.empty());
    CHECK(name.ends_with("_total") == (f.type == "counter"));
    if (f.type == "histogram") CHECK(name.ends_with("_seconds"));
    // base units only, and last
    CHECK_FALSE(std::regex_search(name, std::regex{"_(ms|us|ns|milliseconds|kb|mb|percent)(_|$)"}));
    for (auto& line : f.samples) CHECK(series.insert(line.substr(0, line.rfind(' '))).second);
  }
}

TEST_CASE_METHOD(universe_fixture, "every part of the node has its metrics", "[actors][metrics]") {
  auto u = open();
  const auto families = parse(u->metrics());
  for (auto name : {"warp_build_info",
                    "warp_operations_total",
                    "warp_shard_ops_total",
                    "warp_operation_seconds",
                    "warp_read_bytes_total",
                    "warp_written_bytes_total",
                    "warp_keys",
                    "warp_expired_keys_total",
                    "warp_wal_records_total",
                    "warp_wal_written_bytes_total",
                    "warp_wal_syncs_total",
                    "warp_wal_sync_seconds",
                    "warp_wal_failed",
                    "warp_durable_lag_records",
                    "warp_durable_lag_seconds",
                    "warp_write_stalls_total",
                    "warp_checkpoints_total",
                    "warp_scrub_bytes_total",
                    "warp_scrub_files_total",
                    "warp_scrub_findings",
                    "warp_scrub_finished_timestamp_seconds",
                    "warp_checkpoint_age_seconds",
                    "warp_checkpoint_duration_seconds",
                    "warp_recovery_records",
                    "warp_recovery_duration_seconds",
                    "warp_actor_restarts_total",
                    "warp_actors"}) {
    INFO(name);
    REQUIRE(families.contains(name));
    CHECK_FALSE(families.at(name).samples.empty());
  }
}

TEST_CASE_METHOD(universe_fixture, "the numbers are those of what was done", "[actors][metrics]") {
  auto u = open();
  for (int i = 0; i < 10; ++i)
    REQUIRE(u->put("k" + std::to_string(i), "12345", {.level = durability::sync}).ok());
  for (int i = 0; i < 5; ++i) CHECK(u->get("k1").ok());
  CHECK_FALSE(u->get("absent").ok());
  CHECK(u->erase("k9").ok());
  CHECK(u->checkpoint().ok());
  const auto families = parse(u->metrics());
  CHECK(value_of(families, "warp_operations_total{operation=\"put\"}") == 10);
  CHECK(value_of(families, "warp_operations_total{operation=\"get\"}") == 6);
  CHECK(value_of(families, "warp_operations_total{operation=\"erase\"}") == 1);
  CHECK(value_of(families, "warp_get_hits_total") == 5);
  CHECK(value_of(families, "warp_keys") == 9);
  CHECK(value_of(families, "warp_wal_records_total") == 11);
  CHECK(value_of(families, "warp_wal_syncs_total{stream=\"0\"}") >= 1);
  CHECK(value_of(families, "warp_checkpoints_total") >= 1);
  CHECK(value_of(families, "warp_durable_lag_records") == 0);
  double shard_ops = 0;
  for (int i = 0; i < 4; ++i)
    shard_ops += value_of(families, "warp_shard_ops_total{shard=\"" + std::to_string(i) + "\"}");
  CHECK(shard_ops == 17);
}

TEST_CASE_METHOD(universe_fixture, "siblings of a kind share the label of their restarts",
                 "[actors][metrics]") {
  auto u = open();
  const auto families = parse(u->metrics());
  CHECK(value_of(families, "warp_actor_restarts_total{actor=\"universe/storage/shard\"}") == 0);
  CHECK(value_of(families, "warp_actor_restarts_total{actor=\"universe/storage/wal-writer\"}") ==
        0);
  CHECK(value_of(families, "warp_actors{state=\"running\"}") == 17);
}
