// A turn of the loop gathers what all its connections ask.

#include "tests/resp/resp_fixture.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace warp;
using namespace warp::cluster;

namespace {

/// Keeps the one I/O thread busy for a while, so that what others send meanwhile is there at once.
class busy_thread {
public:
  explicit busy_thread(served& s) : client_(s.client()) {
    std::string stream;
    for (int i = 0; i < commands; ++i) stream += resp_client::command({"STRLEN", "nothing"});
    REQUIRE(client_.send(stream));
  }
  void await_end() {
    for (int i = 0; i < commands; ++i) REQUIRE(client_.reply() == ":0\r\n");
  }

private:
  static constexpr int commands = 2'000;
  resp_client client_;
};

std::vector<resp_client> many(served& s, std::size_t n) {
  std::vector<resp_client> all;
  all.reserve(n);
  for (std::size_t i = 0; i < n; ++i) {
    all.push_back(s.client());
    REQUIRE(all.back().ask({"PING"}) == "+PONG\r\n");
  }
  return all;
}

} // namespace

TEST_CASE("what many connections ask in one turn is answered to each") {
  served s;
  auto all = many(s, 60);
  for (int round = 0; round < 20; ++round) {
    busy_thread busy{s};
    for (std::size_t i = 0; i < all.size(); ++i) {
      const auto key = "key" + std::to_string(i), text = std::to_string(round);
      auto stream = resp_client::command({"SET", key, text}) + resp_client::command({"INCR", key});
      if (i % 3 == 0) stream += resp_client::command({"ECHO", key}); // is in no batch
      stream += resp_client::command({"GET", key});
      if (i % 4 == 0) stream += resp_client::command({"GET", std::string(3'000, 'x')});
      REQUIRE(all[i].send(stream));
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
      const auto next = std::to_string(round + 1);
      REQUIRE(all[i].reply() == "+OK\r\n");
      REQUIRE(all[i].reply() == ":" + next + "\r\n");
      if (i % 3 == 0) REQUIRE(all[i].reply() == bulk("key" + std::to_string(i)));
      REQUIRE(all[i].reply() == bulk(next));
      if (i % 4 == 0) REQUIRE(all[i].reply() == "$-1\r\n");
    }
    busy.await_end();
  }
}

TEST_CASE("a client that is killed in the turn in which it asked harms no other") {
  served s;
  for (int round = 0; round < 20; ++round) {
    auto all = many(s, 40);
    std::vector<std::string> ids;
    for (auto& c : all) {
      const auto id = c.ask({"CLIENT", "ID"});
      ids.push_back(id.substr(1, id.size() - 3));
    }
    busy_thread busy{s};
    // Every fourth one kills the one before it and the one behind it, when they have asked already.
    for (std::size_t i = 0; i < all.size(); ++i) {
      auto stream = resp_client::command({"SET", "k" + std::to_string(i), std::string(500, 'v')});
      if (i % 4 == 2)
        stream += resp_client::command({"CLIENT", "KILL", "ID", ids[i - 1]}) +
                  resp_client::command({"CLIENT", "KILL", "ID", ids[i + 1]});
      stream += resp_client::command({"STRLEN", "k" + std::to_string(i)});
      static_cast<void>(all[i].send(stream));
    }
    busy.await_end();
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (i % 4 == 1 || i % 4 == 3) {
        const auto said = all[i].rest();
        CHECK((said.empty() || said == "+OK\r\n" || said == "+OK\r\n:500\r\n"));
        continue;
      }
      REQUIRE(all[i].reply() == "+OK\r\n");
      if (i % 4 == 2) REQUIRE(all[i].reply() == ":1\r\n");
      if (i % 4 == 2) REQUIRE(all[i].reply() == ":1\r\n");
      REQUIRE(all[i].reply() == ":500\r\n");
    }
  }
}

TEST_CASE("writes at level sync that arrive together share a round of the log") {
  served s{{.level = durability::sync}};
  auto all = many(s, 50);
  const auto rounds = [&] { return s.engine().stats_of_stream(0).rounds; };
  const auto before = rounds();
  constexpr int times = 10;
  for (int round = 0; round < times; ++round) {
    busy_thread busy{s};
    for (std::size_t i = 0; i < all.size(); ++i)
      REQUIRE(all[i].send(resp_client::command({"SET", "key" + std::to_string(i), "value"})));
    for (auto& c : all) REQUIRE(c.reply() == "+OK\r\n");
    busy.await_end();
  }
  CHECK(rounds() - before < times * all.size() / 4);
}
