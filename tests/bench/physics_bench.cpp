// The physics: each idea beside its baselines, on real traces and seeded models. What a part
// measures is said in its file in tests/bench/physics/.

#include "tests/bench/physics/part.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace warp::bench;
using physics::part;

const std::array parts{
    &physics::demon_part,   &physics::entanglement_part, &physics::gravity_part,
    &physics::horizon_part, &physics::observer_part,     &physics::placement_part,
    &physics::routes_part,  &physics::tiers_part,
};

std::string usage() {
  std::string text = R"(physics_bench [NAME...] [OPTION...]
  NAME            parts to run, default all of them; see below
  --trace FILE    a trace to use instead of the shared ones, zstd or plain text, one key a line;
                  can be given more than once
  --only PATTERN  only figures whose "section: name" matches the regular expression
  --quick         smaller: does it run at all?
  --json FILE     all figures and runs for programs

parts:
)";
  for (const auto* p : parts) text += fmt::format("  {:<14}  {}\n", p->name, p->summary);
  return text;
}

} // namespace

int main(int argc, char** argv) {
  physics::part_options options;
  std::vector<const part*> chosen;
  std::vector<char*> rest{argv[0]};
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const auto named = std::ranges::find(parts, word, &part::name);
    const auto after_option = i > 1 && (std::string_view{argv[i - 1]} == "--only" ||
                                        std::string_view{argv[i - 1]} == "--json");
    if (word == "--trace" && i + 1 < argc) {
      options.traces.emplace_back(argv[++i]);
    } else if (named != parts.end() && !after_option) {
      chosen.push_back(*named);
    } else if (!word.starts_with("-") && !after_option) {
      std::fprintf(stderr, "%sphysics_bench: there is no part '%s'\n", usage().c_str(), argv[i]);
      return 2;
    } else {
      rest.push_back(argv[i]);
    }
  }
  if (chosen.empty()) chosen.assign(parts.begin(), parts.end());
  report out{static_cast<int>(rest.size()), rest.data(), usage()};
  for (const auto* p : chosen) p->run(out, options);
}
