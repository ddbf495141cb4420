#include "tests/bench/child_process.hpp"

#include <cstdio>
#include <cstdlib>
#include <sys/wait.h>
#include <unistd.h>

namespace warp::bench {

std::vector<double> in_child(const std::function<std::vector<double>()>& work) {
  const auto refuse = [](const char* why) {
    std::fprintf(stderr, "benchmark: %s\n", why);
    std::exit(1);
  };
  int pipe_ends[2];
  if (::pipe(pipe_ends) != 0) refuse("no pipe to a child process");
  std::fflush(stdout);
  const auto child = ::fork();
  if (child < 0) refuse("no child process");
  if (child == 0) {
    ::close(pipe_ends[0]);
    for (const double value : work())
      if (::write(pipe_ends[1], &value, sizeof value) != sizeof value) ::_exit(1);
    std::fflush(stdout);
    ::_exit(0);
  }
  ::close(pipe_ends[1]);
  std::vector<double> values;
  for (double value = 0; ::read(pipe_ends[0], &value, sizeof value) == sizeof value;)
    values.push_back(value);
  ::close(pipe_ends[0]);
  int status = 0;
  if (::waitpid(child, &status, 0) != child || status != 0)
    refuse("a child process failed: see above, or the machine is out of memory");
  return values;
}

} // namespace warp::bench
