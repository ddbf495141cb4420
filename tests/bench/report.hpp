#pragma once

#include "tests/bench/arguments.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace warp::bench {

/// The middle of the values; of an even number the mean of the two in the middle; 0 of none.
double median(std::vector<double> values);

/// A figure with all its runs; what it is compared with is 0 or empty where there is nothing. The
/// bar is what must be reached, the goal what is aimed at: "at least", or "at most" if at_most says
/// so.
struct figure {
  std::string name;
  std::string unit;
  std::vector<double> runs;
  double bar = 0;
  double goal = 0;
  bool at_most = false;
  std::vector<double> peer_runs; ///< the peer's figures from the same run, taken in turns
  std::string peer;
  double ratio_bar = 0; ///< a bar for the ratio to the peer, instead of `bar`
};

/// Prints figures as they come, in one table whose last column says met, NOT MET or, where there is
/// no bar, "-"; and writes them with all runs, the settings and the hardware as JSON at the end
/// when
/// --json asks for it. One thread.
///
/// The first line names the hardware; begin() adds what is measured and how long it takes.
class report {
public:
  /// Takes the options that all benchmarks have (arguments.hpp). `usage`: the benchmark's own help,
  /// see there.
  report(int argc, char** argv, std::string_view usage = {});
  ~report();
  report(const report&) = delete;
  report& operator=(const report&) = delete;

  /// What is measured, here or in this part, and its time budget in seconds. A benchmark that asks
  /// wanted() before each figure ends within twice that, whatever the machine: what is left out is
  /// said.
  void begin(const std::string& title, double budget_seconds);
  /// A line of the head: "keys: 1000000 of 16 B".
  void setting(const std::string& name, const std::string& value);
  void section(const std::string& title);
  /// May this figure of the current section be taken: does --only match "section: name", and is
  /// there time left?
  bool wanted(const std::string& name);
  /// May any of these: is it worth preparing for them?
  bool wanted_any(const std::vector<std::string>& names);
  /// The same for a section whose figures are taken together: --only is matched with its title
  /// alone.
  bool wanted_section();
  void add(figure f);
  /// A line between the figures: why one is missing, what it means.
  void note(const std::string& text);

  [[nodiscard]] const arguments& options() const noexcept { return options_; }
  [[nodiscard]] bool quick() const noexcept { return options_.quick; }
  /// --keys N, or what the benchmark does without it.
  [[nodiscard]] std::uint64_t keys(std::uint64_t otherwise) const noexcept {
    return options_.keys ? options_.keys : otherwise;
  }
  /// --seconds S, or what the benchmark does without it.
  [[nodiscard]] double seconds(double otherwise) const noexcept {
    return options_.seconds > 0 ? options_.seconds : otherwise;
  }

private:
  struct entry {
    std::string section;
    figure f;
  };
  void print_title();
  bool matches(const std::string& text) const;
  bool in_time();
  void write_json() const;

  arguments options_;
  std::string title_, section_;
  bool section_printed_ = true, late_ = false;
  double budget_seconds_ = 0;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point part_began_ = began_; ///< the last begin()
  std::vector<std::pair<std::string, std::string>> settings_;
  std::vector<entry> entries_;
};

} // namespace warp::bench
