#include "tests/bench/report.hpp"

#include "tests/bench/hardware.hpp"
#include "tests/bench/stopwatch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <regex>

namespace warp::bench {

namespace {

/// Three digits that matter, never an exponent: 0.0123, 1.23, 12.3, 1234.
std::string number(double value) {
  const auto size = std::abs(value);
  return fmt::format("{:.{}f}", value,
                     size == 0     ? 0
                     : size < 0.1  ? 4
                     : size < 100  ? 2
                     : size < 1000 ? 1
                                   : 0);
}

bool reaches(const figure& f, double mark) {
  return f.at_most ? median(f.runs) <= mark : median(f.runs) >= mark;
}

double ratio(const figure& f) {
  return median(f.runs) / median(f.peer_runs);
}

/// Is there a bar, and is it met?
bool has_bar(const figure& f) {
  return f.bar != 0 || f.ratio_bar != 0;
}
bool met(const figure& f) {
  return f.ratio_bar == 0 ? reaches(f, f.bar)
         : f.at_most      ? ratio(f) <= f.ratio_bar
                          : ratio(f) >= f.ratio_bar;
}

std::string json_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20)
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    else
      out += c;
  }
  return out + '"';
}

std::string json_list(const std::vector<double>& values) {
  std::string out = "[";
  for (const auto v : values) out += fmt::format("{}{:.6g}", out.size() > 1 ? ", " : "", v);
  return out + "]";
}

} // namespace

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto n = values.size();
  return n == 0 ? 0 : n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

report::report(int argc, char** argv, std::string_view usage)
    : options_(arguments::parse(argc, argv, usage)) {
  try {
    matches({});
  } catch (const std::regex_error& e) {
    std::fprintf(stderr, "--only '%s' is no regular expression: %s\n", options_.only.c_str(),
                 e.what());
    std::exit(2);
  }
  std::printf("hardware: %s\n", hardware_line().c_str());
  std::fflush(stdout);
}

report::~report() {
  if (budget_seconds_ > 0) std::printf("\ntook %.0f s\n", seconds_since(began_));
  if (!options_.json.empty()) write_json();
}

void report::begin(const std::string& title, double budget_seconds) {
  title_ = title;
  budget_seconds_ = budget_seconds;
  part_began_ = std::chrono::steady_clock::now();
  late_ = false;
  std::printf("%s\ntime budget: about %.0f s%s\n", title.c_str(), budget_seconds,
              options_.quick ? " (--quick: figures of short runs, not for comparison)" : "");
  std::fflush(stdout);
}

void report::setting(const std::string& name, const std::string& value) {
  std::printf("%s: %s\n", name.c_str(), value.c_str());
  std::fflush(stdout);
  settings_.emplace_back(name, value);
}

void report::section(const std::string& title) {
  section_ = title;
  section_printed_ = false;
}

void report::print_title() {
  if (section_printed_) return;
  section_printed_ = true;
  const bool fits = section_.size() <= 48;
  if (!fits) std::printf("\n%s", section_.c_str());
  std::printf("\n%-48s %9s %-9s %-21s %-24s %s\n", fits ? section_.c_str() : "", "median", "",
              "least .. most", "peer, ratio", "bar [goal]");
}

bool report::matches(const std::string& text) const {
  return options_.only.empty() || std::regex_search(text, std::regex{options_.only});
}

bool report::in_time() {
  if (budget_seconds_ == 0 || seconds_since(part_began_) < 2 * budget_seconds_) return true;
  if (!late_) note("twice the time budget is over: what is missing from here on was not measured");
  late_ = true;
  return false;
}

bool report::wanted(const std::string& name) {
  return matches(section_ + ": " + name) && in_time();
}

bool report::wanted_any(const std::vector<std::string>& names) {
  return std::any_of(names.begin(), names.end(),
                     [this](const auto& name) { return matches(section_ + ": " + name); }) &&
         in_time();
}

bool report::wanted_section() {
  return matches(section_) && in_time();
}

void report::add(figure f) {
  print_title();
  const auto [low, high] = std::minmax_element(f.runs.begin(), f.runs.end());
  const auto middle = median(f.runs);
  const auto spread =
      f.runs.size() < 2 ? std::string{} : fmt::format("[{} .. {}]", number(*low), number(*high));
  const auto peer = f.peer_runs.empty() ? std::string{}
                                        : fmt::format("{} {}, {:.2f}x", f.peer,
                                                      number(median(f.peer_runs)), ratio(f));
  const std::string_view sign = f.at_most ? "<= " : ">= ";
  const auto bar = f.ratio_bar != 0            ? fmt::format("{}{:g}x peer", sign, f.ratio_bar)
                   : f.bar == 0 && f.goal == 0 ? std::string{}
                   : f.goal == 0               ? fmt::format("{}{:g}", sign, f.bar)
                                               : fmt::format("{}{:g} [{:g}]", sign, f.bar, f.goal);
  std::printf("  %-46s %9s %-9s %-21s %-24s %-17s %s\n", f.name.c_str(), number(middle).c_str(),
              f.unit.c_str(), spread.c_str(), peer.c_str(), bar.c_str(),
              !has_bar(f) ? "-"
              : met(f)    ? "met"
                          : "NOT MET");
  std::fflush(stdout);
  entries_.push_back({section_, std::move(f)});
}

void report::note(const std::string& text) {
  print_title();
  std::printf("  %s\n", text.c_str());
  std::fflush(stdout);
}

void report::write_json() const {
  std::string out =
      fmt::format("{{\"benchmark\": {},\n \"hardware\": {},\n \"quick\": {},\n \"settings\": {{",
                  json_text(title_), json_text(hardware_line()), options_.quick);
  for (std::size_t i = 0; i < settings_.size(); ++i)
    out += fmt::format("{}{}: {}", i ? ", " : "", json_text(settings_[i].first),
                       json_text(settings_[i].second));
  out += "},\n \"figures\": [";
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const auto& f = entries_[i].f;
    out += fmt::format("{}\n  {{\"section\": {}, \"name\": {}, \"unit\": {}, \"median\": {:.6g}, "
                       "\"runs\": {}",
                       i ? "," : "", json_text(entries_[i].section), json_text(f.name),
                       json_text(f.unit), median(f.runs), json_list(f.runs));
    if (f.bar != 0)
      out += fmt::format(", \"bar\": {:g}, \"at_most\": {}, \"met\": {}", f.bar, f.at_most,
                         reaches(f, f.bar));
    if (f.ratio_bar != 0)
      out += fmt::format(", \"ratio_bar\": {:g}, \"met\": {}", f.ratio_bar, met(f));
    if (f.goal != 0)
      out += fmt::format(", \"goal\": {:g}, \"goal_met\": {}", f.goal, reaches(f, f.goal));
    if (!f.peer_runs.empty())
      out += fmt::format(", \"peer\": {}, \"peer_median\": {:.6g}, \"peer_runs\": {}",
                         json_text(f.peer), median(f.peer_runs), json_list(f.peer_runs));
    out += "}";
  }
  out += "\n ]}\n";
  std::ofstream file(options_.json);
  if (!(file << out).flush())
    std::fprintf(stderr, "cannot write the figures to %s\n", options_.json.c_str());
}

} // namespace warp::bench
