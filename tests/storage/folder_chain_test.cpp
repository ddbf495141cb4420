#include "storage/folder_chain.hpp"
#include "tests/support/crash_states.hpp"
#include "tests/support/recording_file_system.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <random>

using namespace warp;
using namespace warp::storage;
using namespace warp::testing;

namespace {

/// Is the folder there in every state that a loss of power may leave now?
bool is_durable(recording_file_system& files, const std::string& folder) {
  const auto trace = files.take_trace();
  crash_states states{trace};
  std::mt19937_64 random{1};
  bool there = true;
  while (states.next_point()) {
    there = true; // asked again: the last point counts
    for (const auto& choice : states.choices(random))
      there = there && states.disk(choice).folders.contains(folder);
  }
  return there;
}

disk_image empty_disk() {
  disk_image disk;
  disk.folders.insert("disk");
  return disk;
}

} // namespace

TEST_CASE("a chain of folders that was synced survives a loss of power, and not before") {
  recording_file_system files{empty_disk()};
  auto chain = folder_chain::make(files, "disk/a/b");
  REQUIRE(chain);
  const bool synced = GENERATE(false, true);
  if (synced) REQUIRE(chain->sync().ok());
  CHECK(is_durable(files, "disk/a/b") == synced);
}

TEST_CASE("folders that a killed process made and did not sync are synced by the next one") {
  recording_file_system files{empty_disk()};
  REQUIRE(folder_chain::make(files, "disk/a/b"));
  files.kill_process();
  auto chain = folder_chain::make(files, "disk/a/b");
  REQUIRE(chain);
  REQUIRE(chain->sync().ok());
  CHECK(is_durable(files, "disk/a/b"));
}
