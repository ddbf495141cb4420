#include "tests/bench/resident.hpp"

#include <cstdio>
#include <fstream>
#include <malloc.h>
#include <string>
#include <unistd.h>

namespace warp::bench {

double resident_bytes() {
  ::malloc_trim(0);
  std::ifstream exact("/proc/self/smaps_rollup");
  for (std::string line; std::getline(exact, line);) {
    double kib = 0;
    if (std::sscanf(line.c_str(), "Rss: %lf kB", &kib) == 1) return kib * 1'024;
  }
  std::ifstream in("/proc/self/statm");
  double size = 0, resident = 0;
  in >> size >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

} // namespace warp::bench
