#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

namespace warp::bench {

inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto n = values.size();
  return n == 0 ? 0 : n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/// A figure, with its bar (0: none) and its peer's figure from the same run (0: none). Bars are "at
/// least" unless at_most.
struct figure {
  std::string name;
  std::string unit;
  std::vector<double> runs;
  double bar = 0;
  bool at_most = false;
  std::vector<double> peer_runs;
  std::string peer;
};

/// Prints figures as they come, in one table, and writes them as JSON at the end when asked to.
class report {
public:
  report(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
      const std::string arg = argv[i];
      if (arg == "--quick") quick_ = true;
      if (arg == "--json" && i + 1 < argc) json_ = argv[++i];
      if (arg == "--keys" && i + 1 < argc) keys_ = std::stoull(argv[++i]);
    }
  }
  ~report() {
    if (json_.empty()) return;
    std::ofstream out(json_);
    out << "[";
    for (std::size_t i = 0; i < figures_.size(); ++i) {
      const auto& f = figures_[i];
      out << (i ? ",\n " : "\n ") << "{\"name\": \"" << f.name << "\", \"unit\": \"" << f.unit
          << "\", \"median\": " << median(f.runs);
      if (f.bar != 0) out << ", \"bar\": " << f.bar << ", \"met\": " << (met(f) ? "true" : "false");
      if (!f.peer_runs.empty())
        out << ", \"peer\": \"" << f.peer << "\", \"peer_median\": " << median(f.peer_runs);
      out << "}";
    }
    out << "\n]\n";
  }

  [[nodiscard]] bool quick() const noexcept { return quick_; }
  /// --keys N, or what the benchmark does without it.
  [[nodiscard]] std::uint64_t keys(std::uint64_t otherwise) const noexcept {
    return keys_ ? keys_ : otherwise;
  }

  void section(const std::string& title) {
    std::printf("\n%s\n", title.c_str());
    std::fflush(stdout);
  }

  void add(figure f) {
    const auto [low, high] = std::minmax_element(f.runs.begin(), f.runs.end());
    std::printf("  %-52s %10.2f %-9s [%.2f .. %.2f]", f.name.c_str(), median(f.runs),
                f.unit.c_str(), *low, *high);
    if (!f.peer_runs.empty())
      std::printf("  %s %.2f, ratio %.2f", f.peer.c_str(), median(f.peer_runs),
                  median(f.runs) / median(f.peer_runs));
    if (f.bar != 0)
      std::printf("  bar %s%.2f: %s", f.at_most ? "<= " : "", f.bar, met(f) ? "met" : "NOT MET");
    std::printf("\n");
    std::fflush(stdout);
    figures_.push_back(std::move(f));
  }

private:
  static bool met(const figure& f) {
    return f.at_most ? median(f.runs) <= f.bar : median(f.runs) >= f.bar;
  }

  bool quick_ = false;
  std::uint64_t keys_ = 0;
  std::string json_;
  std::vector<figure> figures_;
};

} // namespace warp::bench
