#pragma once

#include "actors/universe.hpp"
#include "tests/support/engine_fixture.hpp"
#include "tests/support/memory_file_system.hpp"

#include <catch2/catch_test_macros.hpp>

#include <future>

#include <memory>
#include <string>

namespace warp::testing {

/// A universe on files in memory, which survive it: open, stop and open again as a process would.
struct universe_fixture {
  std::unique_ptr<universe> open(universe_options options = {}) {
    auto on_fatal = [this](const std::string& cause) { fatal.set_value(cause); };
    options.engine = small_options("data");
    options.engine.files = &files;
    if (time) options.engine.time = time;
    if (!options.on_fatal) options.on_fatal = on_fatal;
    auto opened = universe::open(std::move(options));
    INFO(opened.status().to_string());
    REQUIRE(opened.ok());
    return std::move(*opened);
  }

  memory_file_system files;
  std::shared_ptr<const storage::clock> time;
  std::promise<std::string> fatal; ///< what the root of the tree said when it gave up
};

inline actors::tree_node node_at(const universe& u, std::string_view path) {
  for (auto& node : u.tree())
    if (node.path == path) return node;
  return {};
}

} // namespace warp::testing
