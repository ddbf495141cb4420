// Is what clients heard from a cluster linearizable, key by key?
//
//     history_check FILE...
//
// The files are one history, as cluster_load records it (tests/support/history_file.hpp). Prints a
// line with the counts; exit code 1 and the calls that contradict each other when no order explains
// the answers, 3 when a key was not decided, 2 for what is no history.

#include "tests/support/history_file.hpp"

#include <cstdio>
#include <fstream>

int main(int argc, char** argv) {
  using namespace warp::testing;
  key_histories histories;
  for (int i = 1; i < argc; ++i) {
    std::ifstream file{argv[i]};
    if (!file) {
      std::fprintf(stderr, "history_check: cannot read %s\n", argv[i]);
      return 2;
    }
    if (const auto status = read_history(file, argv[i], histories); !status.ok()) {
      std::fprintf(stderr, "history_check: %s\n", status.message().c_str());
      return 2;
    }
  }
  std::size_t calls = 0, unknown = 0, refused = 0;
  for (const auto& [key, events] : histories)
    for (const auto& e : events) {
      ++calls;
      unknown += e.outcome == register_outcome::unknown;
      refused += e.outcome == register_outcome::refused;
    }
  const auto complaint = complaint_about(histories, 200'000'000);
  std::printf("%zu calls of %zu keys, %zu without an answer, %zu refused: %s\n", calls,
              histories.size(), unknown, refused, complaint.empty() ? "linearizable" : "NOT RIGHT");
  if (complaint.empty()) return 0;
  std::printf("%s\n", complaint.c_str());
  return complaint.starts_with("not decided") ? 3 : 1;
}
