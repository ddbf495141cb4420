#include "storage/stream_threads.hpp"

#include "tests/support/engine_fixture.hpp"
#include "tests/support/memory_file_system.hpp"

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <sched.h>
#include <string>

using namespace warp;
using namespace warp::storage;
using namespace warp::testing;

namespace {

cpu_set_t cpus_of_this_thread() {
  cpu_set_t set;
  CPU_ZERO(&set);
  REQUIRE(::sched_getaffinity(0, sizeof set, &set) == 0);
  return set;
}

/// Where the thread runs that writes the log.
struct thread_watcher final : round_listener {
  void on_round() noexcept override {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (::sched_getaffinity(0, sizeof set, &set) != 0) return;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(cpu, &set)) last = cpu;
    cpus = CPU_COUNT(&set);
  }
  std::atomic<int> cpus{0}, last{-1};
};

int last_of(const cpu_set_t& set) {
  int last = -1;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &set)) last = cpu;
  return last;
}

} // namespace

TEST_CASE("the threads of log streams run on the CPUs they were given", "[storage][cpu]") {
  const auto all = cpus_of_this_thread();
  memory_file_system files;
  auto options = small_options("data");
  options.files = &files;
  const bool pinned = GENERATE(false, true);
  if (pinned) options.wal_cpus = std::to_string(last_of(all));
  thread_watcher seen;
  running_engine db{options};
  db->add_round_listener(seen);
  REQUIRE(db.put("k", "v", durability::sync).code == op_code::ok);
  while (seen.cpus == 0) std::this_thread::yield(); // told a moment after the write is durable
  db->remove_round_listener(seen);
  CHECK(seen.last == last_of(all));
  CHECK(seen.cpus == (pinned ? 1 : CPU_COUNT(&all)));
  const auto here = cpus_of_this_thread();
  CHECK(CPU_EQUAL(&here, &all) != 0);
}

TEST_CASE("a list of CPUs that is none is refused before the folder is touched", "[storage][cpu]") {
  memory_file_system files;
  auto options = small_options("data");
  options.files = &files;
  options.wal_cpus = "1-";
  const auto opened = engine::open(options);
  CHECK(opened.code() == op_code::invalid_argument);
  CHECK_FALSE(files.exists("data").value());
}

TEST_CASE("CPUs that are not to be had do not keep the log from being written", "[storage][cpu]") {
  const auto all = cpus_of_this_thread();
  if (last_of(all) == CPU_SETSIZE - 1) SKIP("this machine has every CPU there can be");
  memory_file_system files;
  auto options = small_options("data");
  options.files = &files;
  options.wal_cpus = std::to_string(CPU_SETSIZE - 1);
  running_engine db{options};
  CHECK(db->pin_stream_thread() == op_code::invalid_argument);
  CHECK(db.put("k", "v", durability::sync).code == op_code::ok);
}
