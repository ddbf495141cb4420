#include "storage/cpu_list.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <sched.h>
#include <string>
#include <thread>

using namespace warp;
using namespace warp::storage;

namespace {

/// The CPUs that the calling thread may use.
std::vector<int> allowed_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  REQUIRE(::sched_getaffinity(0, sizeof set, &set) == 0);
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  return cpus;
}

} // namespace

TEST_CASE("a CPU list is numbers and ranges, sorted, each once", "[storage][cpu]") {
  const auto parsed = [](std::string_view text) {
    auto cpus = parse_cpu_list(text);
    REQUIRE(cpus.ok());
    return *cpus;
  };
  CHECK(parsed("") == std::vector<int>{});
  CHECK(parsed("  ") == std::vector<int>{});
  CHECK(parsed("2") == std::vector{2});
  CHECK(parsed("3,2") == std::vector{2, 3});
  CHECK(parsed("0-3") == std::vector{0, 1, 2, 3});
  CHECK(parsed(" 8 , 0 - 2, 1-2 ") == std::vector{0, 1, 2, 8});
  CHECK(parsed("1023") == std::vector{1023});
}

TEST_CASE("what is no CPU list is refused and named", "[storage][cpu]") {
  const std::string text = GENERATE("x", "1,", ",1", "1,,2", "3-1", "-1", "1-", "1-2-3", "1.5",
                                    "1024", "0-1024", "99999999999", "1 2", "0x1", "+1");
  CAPTURE(text);
  auto cpus = parse_cpu_list(text);
  REQUIRE_FALSE(cpus.ok());
  CHECK(cpus.code() == op_code::invalid_argument);
  CHECK(cpus.status().message().find('"' + text + '"') != std::string::npos);
}

TEST_CASE("a pinned thread runs on its CPUs only, and none leaves it as it was", "[storage][cpu]") {
  const auto all = allowed_cpus();
  const std::vector one{all.back()};
  std::vector<int> unpinned, pinned;
  op_status first, second;
  std::thread{[&] {
    first = pin_this_thread({});
    unpinned = allowed_cpus();
    second = pin_this_thread(one);
    pinned = allowed_cpus();
  }}.join();
  CHECK(first.ok());
  CHECK(unpinned == all);
  CHECK(second.ok());
  CHECK(pinned == one);
  CHECK(allowed_cpus() == all); // another thread's business
}

TEST_CASE("CPUs that nobody has cannot be pinned to", "[storage][cpu]") {
  const std::vector none{CPU_SETSIZE - 1};
  if (allowed_cpus().back() == none.front()) SKIP("this machine has every CPU there can be");
  op_status status;
  std::vector<int> after;
  std::thread{[&] {
    status = pin_this_thread(none);
    after = allowed_cpus();
  }}.join();
  CHECK(status == op_code::invalid_argument);
  CHECK(status.message().find("1023") != std::string::npos);
  CHECK(after == allowed_cpus());
}
