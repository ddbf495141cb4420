#include "tests/bench/report.hpp"

#include "tests/support/temp_folder.hpp"

#include <catch2/catch_test_macros.hpp>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

using namespace warp::bench;

namespace {

/// A report with these options.
class made_report {
public:
  explicit made_report(std::vector<std::string> words) : words_(std::move(words)) {
    words_.insert(words_.begin(), "report_test");
    for (auto& word : words_) argv_.push_back(word.data());
  }
  report make() { return report{static_cast<int>(argv_.size()), argv_.data()}; }

private:
  std::vector<std::string> words_;
  std::vector<char*> argv_;
};

std::string text_of(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>{in}, {}};
}

} // namespace

TEST_CASE("the median is the middle, or the mean of the two in the middle", "[bench][report]") {
  CHECK(median({}) == 0);
  CHECK(median({3}) == 3);
  CHECK(median({9, 1, 4}) == 4);
  CHECK(median({9, 1, 4, 2}) == 3);
}

TEST_CASE("a figure is met by its median, at least or at most, or by the ratio to its peer",
          "[bench][report]") {
  const warp::testing::temp_folder folder;
  const auto path = folder / "figures.json";
  const auto met = [&](figure f) {
    f.name.push_back('f');
    made_report{{"--json", path}}.make().add(std::move(f));
    const auto text = text_of(path);
    REQUIRE(text.find("\"runs\": [") != text.npos);
    const bool yes = text.find("\"met\": true") != text.npos;
    REQUIRE(yes != (text.find("\"met\": false") != text.npos));
    return yes;
  };
  CHECK(met({.runs = {1, 5, 9}, .bar = 5}));
  CHECK_FALSE(met({.runs = {1, 4.9, 9}, .bar = 5}));
  CHECK(met({.runs = {5}, .bar = 5, .at_most = true}));
  CHECK_FALSE(met({.runs = {5.1}, .bar = 5, .at_most = true}));
  CHECK(met({.runs = {4}, .peer_runs = {1, 2, 3}, .ratio_bar = 2}));
  CHECK_FALSE(met({.runs = {3.9}, .peer_runs = {1, 2, 3}, .ratio_bar = 2}));
}

TEST_CASE("only figures and sections that --only matches are wanted", "[bench][report]") {
  made_report words{{"--only", "threads: get|^memory"}};
  auto out = words.make();
  out.section("2 threads");
  CHECK(out.wanted("get, single"));
  CHECK_FALSE(out.wanted("put, single"));
  CHECK(out.wanted_any({"put, single", "get, single"}));
  CHECK_FALSE(out.wanted_any({"put, single"}));
  CHECK_FALSE(out.wanted_section());
  out.section("memory at 10 M keys");
  CHECK(out.wanted_section());
}

TEST_CASE("options are taken as given", "[bench][report]") {
  made_report words{{"--quick", "--keys", "123", "--threads", "1,4,16", "--seconds", "0.5"}};
  auto out = words.make();
  CHECK(out.quick());
  CHECK(out.keys(7) == 123);
  CHECK(out.seconds(3) == 0.5);
  CHECK(out.options().threads == std::vector<unsigned>{1, 4, 16});
  CHECK(made_report{{}}.make().keys(7) == 7);
}
