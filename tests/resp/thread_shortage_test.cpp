// What becomes of a start that gets no thread. Replaces pthread_create for this test program.

#include "tests/resp/resp_fixture.hpp"

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <dlfcn.h>
#include <pthread.h>

using namespace warp;
using namespace warp::cluster;

namespace {

/// Threads that are still granted; below 0: all.
std::atomic<int> threads_left{-1};

} // namespace

extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                              void* (*routine)(void*), void* argument) {
  using function = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto real = reinterpret_cast<function>(::dlsym(RTLD_NEXT, "pthread_create"));
  if (threads_left == 0) return EAGAIN;
  if (threads_left > 0) --threads_left;
  return real(thread, attributes, routine, argument);
}

TEST_CASE("a server that gets too few threads says so and leaves its port free") {
  testing::temp_folder folder;
  testing::running_engine engine{testing::small_options(folder.path())};
  std::uint16_t port = 0;
  {
    auto first = resp_server::start({.listen = "127.0.0.1:0"}, *engine);
    REQUIRE(first.ok());
    port = (*first)->port();
  }
  const resp_server_options options{.listen = "127.0.0.1:" + std::to_string(port), .threads = 3};
  for (int granted = 0; granted < 3; ++granted) {
    CAPTURE(granted);
    threads_left = granted;
    const auto refused = resp_server::start(options, *engine);
    threads_left = -1;
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.status() == op_code::io_error);
    // The log, which has rounds all the time, must not call a thread that never was.
    operation put{
        .kind = op_kind::put, .level = durability::sync, .key = "k", .value = "v", .request = {}};
    storage::op_reply reply;
    storage::value_arena arena;
    engine->execute({&put, 1}, {&reply, 1}, arena);
    CHECK(reply.code == op_code::ok);
  }
  const auto server = resp_server::start(options, *engine);
  INFO(server.status().to_string());
  REQUIRE(server.ok());
  resp_client c{port};
  CHECK(c.ask({"WARP.DURABILITY", "sync"}) == "+OK\r\n");
  CHECK(c.ask({"SET", "k", "w"}) == "+OK\r\n");
}
