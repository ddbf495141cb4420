// The database inside this process: opens a data folder, writes, reads, stops. No ports.
//   embedded FOLDER
#include <actors/universe.hpp>
#include <iostream>

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: embedded FOLDER\n";
    return 2;
  }
  auto opened = warp::universe::open({.engine = {.folder = argv[1]}});
  if (!opened) {
    std::cerr << "open: " << opened.status().to_string() << '\n';
    return 1;
  }
  warp::universe& universe = **opened;

  // On disk before put() returns.
  auto written = universe.put("greeting", "hello", {.level = warp::durability::sync});
  if (!written) {
    std::cerr << "put: " << written.status().to_string() << '\n';
    return 1;
  }

  auto read = universe.get("greeting");
  if (!read) {
    std::cerr << "get: " << read.status().to_string() << '\n';
    return 1;
  }
  std::cout << "greeting = " << read->value << ", version " << read->version << '\n';

  // Replaces the value only if nobody was faster.
  auto swapped = universe.compare_and_set("greeting", "good evening", read->version);
  std::cout << (swapped && swapped->stored ? "replaced" : "not replaced") << '\n';

  auto stopped = universe.stop();
  if (!stopped.ok()) std::cerr << "stop: " << stopped.to_string() << '\n';
  return stopped.ok() && read->value == "hello" ? 0 : 1;
}
