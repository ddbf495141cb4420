#include "cluster/resp_server.hpp"

#include "tests/resp/resp_fixture.hpp"

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <fstream>
#include <random>
#include <set>
#include <sstream>
#include <thread>

using namespace warp;
using namespace warp::cluster;

TEST_CASE("the table of commands is the one of the code") {
  std::ifstream file{WARP_SOURCE_DIR "/cluster/RESP.md", std::ios::binary};
  std::stringstream text;
  text << file.rdbuf();
  INFO("write it anew with: warpd --resp-commands > cluster/RESP.md");
  CHECK(text.str() == resp_command_table());
}

TEST_CASE("commands that arrive byte by byte are answered as if they came at once") {
  served s;
  const auto stream =
      resp_client::command({"SET", "a", "1"}) + resp_client::command({"INCR", "a"}) + "get a\r\n" +
      resp_client::command({"APPEND", "a", "xy"}) + resp_client::command({"MGET", "a", "b"}) +
      "set \"q r\" 'it\\'s'\r\nget \"q r\"\r\n" + resp_client::command({"QUIT"});
  auto at_once = s.client();
  REQUIRE(at_once.send(stream));
  const auto expected = at_once.rest();
  CHECK(expected ==
        "+OK\r\n:2\r\n$1\r\n2\r\n:3\r\n*2\r\n$3\r\n2xy\r\n$-1\r\n+OK\r\n$4\r\nit's\r\n+OK\r\n");
  auto slow = s.client();
  for (const char byte : stream) REQUIRE(slow.send({&byte, 1}));
  CHECK(slow.rest() == expected);
}

TEST_CASE("the replies of a long pipeline come in the order of its commands") {
  served s;
  std::mt19937_64 random{7};
  std::string stream, expected;
  std::int64_t counter = 0;
  for (int i = 0; i < 5'000; ++i) {
    const auto n = std::to_string(i);
    switch (random() % 5) {
    case 0:
      stream += resp_client::command({"SET", "k" + std::to_string(i % 50), n});
      expected += "+OK\r\n";
      break;
    case 1:
      stream += resp_client::command({"INCR", "counter"});
      expected += ":" + std::to_string(++counter) + "\r\n";
      break;
    case 2:
      stream += resp_client::command({"ECHO", n});
      expected += bulk(n);
      break;
    case 3:
      stream += resp_client::command({"STRLEN", "counter"});
      expected += ":" + std::to_string(counter == 0 ? 0 : std::to_string(counter).size()) + "\r\n";
      break;
    default:
      stream += resp_client::command({"GET", "counter"});
      expected += counter == 0 ? "$-1\r\n" : bulk(std::to_string(counter));
    }
  }
  auto c = s.client();
  std::thread sender{[&] { c.send(stream + "QUIT\r\n"); }};
  const auto heard = c.rest();
  sender.join();
  CHECK(heard == expected + "+OK\r\n");
}

TEST_CASE("of a pipeline each command has an entry of its own where short ones are asked for") {
  served s;
  auto c = s.client();
  CHECK(c.ask({"CONFIG", "SET", "slowlog-log-slower-than", "0"}) == "+OK\r\n");
  REQUIRE(c.send(resp_client::command({"SET", "a", "1"}) + resp_client::command({"GET", "a"}) +
                 resp_client::command({"HSET", "h", "f", "v"}) +
                 resp_client::command({"SLOWLOG", "GET", "-1"})));
  for (int i = 0; i < 3; ++i) c.reply();
  const auto log = c.reply();
  for (const auto* words :
       {"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n", "*2\r\n$3\r\nGET\r\n$1\r\na\r\n",
        "*4\r\n$4\r\nHSET\r\n$1\r\nh\r\n$1\r\nf\r\n$1\r\nv\r\n"})
    CHECK(log.find(words) != std::string::npos);
}

TEST_CASE("a pipeline that had to wait is one entry with the name and key of its first command") {
  testing::temp_folder folder;
  auto options = testing::small_options(folder.path());
  options.log_buffer_bytes = 64 * 1024;
  options.write_stall_max = std::chrono::milliseconds{100};
  auto opened = storage::engine::open(options); // nobody writes its log: it has no room soon
  REQUIRE(opened.ok());
  auto server = resp_server::start({.listen = "127.0.0.1:0"}, **opened);
  REQUIRE(server.ok());
  resp_client c{(*server)->port()};
  CHECK(c.ask({"CONFIG", "SET", "slowlog-log-slower-than", "50000"}) == "+OK\r\n");
  std::string stream;
  for (int i = 0; i < 20; ++i)
    stream += resp_client::command({"SET", "{same}" + std::to_string(i), std::string(8'000, 'v')});
  REQUIRE(c.send(stream));
  int refused = 0;
  for (int i = 0; i < 20; ++i) refused += c.reply().starts_with("-BUSY ");
  CHECK(refused > 0);
  CHECK(c.ask({"SLOWLOG", "LEN"}) != ":0\r\n");
  CHECK(c.ask({"SLOWLOG", "GET", "1"}).find("*2\r\n$3\r\nset\r\n") != std::string::npos);
  (*server)->stop();
}

TEST_CASE("any fields of a hash are drawn, small or large, and of a positive count none twice") {
  served s;
  auto c = s.client();
  const auto field = [](int i) { return "field:" + std::to_string(i); };
  for (const int fields : {40, 3'000}) {
    const auto key = "hash of " + std::to_string(fields);
    std::vector<std::string> words{"HSET", key};
    for (int i = 0; i < fields; ++i) words.insert(words.end(), {field(i), std::to_string(i)});
    CHECK(c.ask(words) == ":" + std::to_string(fields) + "\r\n");
    const auto draw = [&](int count) {
      std::istringstream lines{c.ask({"HRANDFIELD", key, std::to_string(count)})};
      std::vector<std::string> names;
      for (std::string line; std::getline(lines, line);)
        if (line.starts_with("field:")) names.push_back(line.substr(0, line.size() - 1));
      return names;
    };
    for (const int count : {1, 5, 30, fields / 2, fields}) {
      const auto names = draw(count);
      CHECK(names.size() == static_cast<std::size_t>(count));
      CHECK(std::set(names.begin(), names.end()).size() == names.size());
    }
    CHECK(draw(fields + 1).size() == static_cast<std::size_t>(fields));
    // So many draws that a field which can come has come, but for a chance below one in a million.
    std::set<std::string> seen;
    for (int round = 0; round < fields; ++round)
      for (auto& name : draw(round % 2 ? -90 : 1)) seen.insert(std::move(name));
    CHECK(seen.size() == static_cast<std::size_t>(fields));
    CHECK(draw(-3 * fields).size() == static_cast<std::size_t>(3 * fields));
  }
  CHECK(c.ask({"HRANDFIELD", "hash of 40", "-1000001"}).starts_with("-ERR "));
}

TEST_CASE("values of any size go in and out") {
  served s;
  auto c = s.client();
  for (const std::size_t size : {0u, 1u, 1'000u, 70'000u, 5'000'000u}) {
    const std::string value(size, 'v');
    CHECK(c.ask({"SET", "k", value}) == "+OK\r\n");
    CHECK(c.ask({"GET", "k"}) == bulk(value));
  }
}

TEST_CASE("an answer at level sync leaves when the disk has the write, and those behind it wait") {
  testing::temp_folder folder;
  auto opened = storage::engine::open(testing::small_options(folder.path()));
  REQUIRE(opened.ok());
  auto& engine = **opened; // nobody writes its log yet
  auto server = resp_server::start({.listen = "127.0.0.1:0"}, engine);
  REQUIRE(server.ok());
  resp_client waits{(*server)->port()}, other{(*server)->port()};
  CHECK(waits.ask({"WARP.DURABILITY", "sync"}) == "+OK\r\n");
  REQUIRE(waits.send(resp_client::command({"PING"}) + resp_client::command({"SET", "a", "1"}) +
                     resp_client::command({"APPEND", "a", "2"}) +
                     resp_client::command({"PING", "behind"})));
  CHECK(waits.reply() == "+PONG\r\n");
  await(other, [&] { return (*server)->counters().waiting_durable == 2; });
  CHECK(other.ask({"GET", "a"}) == bulk("12"));
  CHECK_FALSE(waits.has_more());
  storage::stream_threads streams{engine};
  CHECK(waits.reply() == "+OK\r\n");
  CHECK(waits.reply() == ":2\r\n");
  CHECK(waits.reply() == bulk("behind"));
  CHECK((*server)->counters().waiting_durable == 0);
  CHECK(other.ask({"SET", "b", "1"}) == "+OK\r\n");
  CHECK(other.ask({"WAITAOF", "1", "0", "0"}) == "*2\r\n:1\r\n:0\r\n");
  (*server)->stop();
}

TEST_CASE("what the disk does not confirm in time is answered with an error in its place") {
  testing::temp_folder folder;
  auto opened = storage::engine::open(testing::small_options(folder.path()));
  REQUIRE(opened.ok());
  auto server = resp_server::start({.listen = "127.0.0.1:0",
                                    .durable_wait_max = std::chrono::milliseconds{100},
                                    .level = durability::sync},
                                   **opened);
  REQUIRE(server.ok());
  resp_client c{(*server)->port()};
  REQUIRE(c.send(resp_client::command({"SET", "a", "1"}) + resp_client::command({"PING"}) +
                 resp_client::command({"MULTI"}) + resp_client::command({"SET", "b", "1"}) +
                 resp_client::command({"SET", "c", "1"}) + resp_client::command({"EXEC"}) +
                 resp_client::command({"WAITAOF", "1", "0", "50"})));
  CHECK(c.reply().starts_with("-UNKNOWN "));
  CHECK(c.reply() == "+PONG\r\n");
  CHECK(c.reply() == "+OK\r\n");
  CHECK(c.reply() == "+QUEUED\r\n");
  CHECK(c.reply() == "+QUEUED\r\n");
  CHECK(c.reply().starts_with("-UNKNOWN "));
  CHECK(c.reply() == "*2\r\n:0\r\n:0\r\n");
  (*server)->stop();
}

TEST_CASE("a durability that the universe cannot give is an error") {
  served memory{{}, true};
  auto c = memory.client();
  CHECK(c.ask({"WARP.DURABILITY"}) == "+memory\r\n");
  CHECK(c.ask({"WARP.DURABILITY", "sync"}).starts_with("-NOREPLICAS "));
  CHECK(c.ask({"WAITAOF", "1", "0", "0"}).starts_with("-ERR WAITAOF cannot be used"));
  served disk;
  auto d = disk.client();
  CHECK(d.ask({"WARP.DURABILITY"}) == "+async\r\n");
  CHECK(d.ask({"WARP.DURABILITY", "durable"}).starts_with("-NOREPLICAS "));
  CHECK(d.ask({"WARP.DURABILITY", "often"}).starts_with("-ERR "));
  CHECK(d.ask({"WARP.DURABILITY", "Memory"}) == "+OK\r\n");
  CHECK(d.ask({"WARP.DURABILITY"}) == "+memory\r\n");
}

TEST_CASE("commands that read and then write lose nothing when many clients race") {
  served s{{.threads = 2}};
  constexpr int clients = 6, rounds = 200;
  std::vector<std::thread> threads;
  for (int i = 0; i < clients; ++i)
    threads.emplace_back([&, i] {
      auto c = s.client();
      for (int round = 0; round < rounds; ++round) {
        c.ask({"APPEND", "text", "x"});
        c.ask({"INCRBYFLOAT", "real", "0.5"});
        c.ask({"SETRANGE", "places", std::to_string(i * rounds + round), "y"});
        // Half of the time one is told apart from the other by which of the two is there.
        c.ask({"SET", "from" + std::to_string(i), "1"});
        c.ask({"RENAMENX", "from" + std::to_string(i), "only one"});
        c.ask({"DEL", "only one"});
      }
    });
  for (auto& t : threads) t.join();
  auto c = s.client();
  CHECK(c.ask({"STRLEN", "text"}) == ":" + std::to_string(clients * rounds) + "\r\n");
  CHECK(c.ask({"GET", "real"}) == bulk(std::to_string(clients * rounds / 2)));
  CHECK(c.ask({"GET", "places"}) == bulk(std::string(clients * rounds, 'y')));
}

TEST_CASE("transactions over several shards are whole for everybody") {
  served s{{.threads = 2}};
  const std::vector<std::string> accounts{"a", "b", "c", "d", "e", "f"};
  auto setup = s.client();
  for (const auto& a : accounts) setup.ask({"SET", a, "100"});
  std::atomic<bool> over{false};
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 3; ++i)
    threads.emplace_back([&, i] {
      auto c = s.client();
      std::mt19937_64 random{i};
      for (int round = 0; round < 300; ++round) {
        const auto& from = accounts[random() % accounts.size()];
        const auto& to = accounts[random() % accounts.size()];
        c.send(resp_client::command({"MULTI"}) + resp_client::command({"DECRBY", from, "7"}) +
               resp_client::command({"INCRBY", to, "7"}) + resp_client::command({"EXEC"}));
        for (int reply = 0; reply < 4; ++reply) c.reply();
      }
    });
  std::int64_t torn = 0, looks = 0;
  std::thread watcher{[&] {
    auto c = s.client();
    while (!over) {
      std::vector<std::string> words{"MGET"};
      words.insert(words.end(), accounts.begin(), accounts.end());
      std::istringstream lines{c.ask(words)};
      std::int64_t sum = 0;
      for (std::string line; std::getline(lines, line);)
        if (line[0] != '*' && line[0] != '$') sum += std::atoll(line.c_str());
      torn += sum != 600;
      ++looks;
    }
  }};
  for (auto& t : threads) t.join();
  over = true;
  watcher.join();
  CHECK(looks > 0);
  CHECK(torn == 0);
}

TEST_CASE("a watched key that changed stops the transaction, whoever changed it") {
  served s;
  auto c = s.client(), other = s.client();
  const auto exec = [&] {
    c.ask({"MULTI"});
    c.ask({"SET", "done", "1"});
    return c.ask({"EXEC"});
  };
  c.ask({"SET", "w", "1"});
  c.ask({"WATCH", "w"});
  CHECK(exec() == "*1\r\n+OK\r\n");
  c.ask({"WATCH", "w"});
  other.ask({"SET", "w", "1"});
  CHECK(exec() == "*-1\r\n");
  c.ask({"WATCH", "absent"});
  CHECK(exec() == "*1\r\n+OK\r\n");
  c.ask({"WATCH", "absent"});
  other.ask({"SET", "absent", "1"});
  other.ask({"DEL", "absent"});
  CHECK(exec() == "*-1\r\n"); // it came and went
  c.ask({"WATCH", "absent"});
  const operation put{
      .kind = op_kind::put, .key = "absent", .value = "by another port", .request = {}};
  storage::op_reply reply;
  storage::value_arena arena;
  s.engine().execute({&put, 1}, {&reply, 1}, arena);
  CHECK(exec() == "*-1\r\n");
}

TEST_CASE("all subscribers of a channel hear its messages in one order, on any thread") {
  served s{{.threads = 3}};
  std::vector<resp_client> listeners;
  for (int i = 0; i < 6; ++i) {
    listeners.push_back(s.client());
    CHECK(listeners.back().ask({"SUBSCRIBE", "news"}).find("subscribe") != std::string::npos);
  }
  const auto by_thread = s.server().connections_by_thread();
  CHECK(std::all_of(by_thread.begin(), by_thread.end(), [](auto n) { return n == 2; }));
  std::vector<std::thread> speakers;
  std::atomic<int> told{0};
  for (int i = 0; i < 3; ++i)
    speakers.emplace_back([&, i] {
      auto c = s.client();
      for (int n = 0; n < 100; ++n)
        told += c.ask({"PUBLISH", "news", std::to_string(i) + ":" + std::to_string(n)}) == ":6\r\n";
    });
  for (auto& t : speakers) t.join();
  CHECK(told == 300);
  std::vector<std::string> first;
  for (int n = 0; n < 300; ++n) first.push_back(listeners[0].reply());
  for (std::size_t i = 1; i < listeners.size(); ++i)
    for (int n = 0; n < 300; ++n)
      if (listeners[i].reply() != first[static_cast<std::size_t>(n)]) {
        FAIL("listener " << i << " heard something else as message " << n);
      }
}

TEST_CASE(
    "a client that does not read its answers is paused, then dropped, and nobody else notices") {
  served s{{.output_buffer_bytes = 64 * 1024, .output_stall_max = std::chrono::milliseconds{200}}};
  auto good = s.client();
  good.ask({"SET", "large", std::string(1'000'000, 'x')});
  resp_client deaf{s.server().port(), 4'096};
  std::string stream;
  for (int i = 0; i < 1'000; ++i) stream += resp_client::command({"GET", "large"});
  deaf.send_some(stream);
  await(good, [&] { return s.server().counters().slow_consumers_dropped == 1; });
  CHECK(good.ask({"PING"}) == "+PONG\r\n");
}

TEST_CASE("a subscriber that does not read is dropped when too much waits for it") {
  served s{
      {.threads = 2, .output_stall_max = std::chrono::hours{1}, .pubsub_buffer_bytes = 1u << 20}};
  resp_client deaf{s.server().port(), 4'096};
  CHECK(deaf.ask({"SUBSCRIBE", "c"}).find("subscribe") != std::string::npos);
  auto speaker = s.client();
  const std::string message(100'000, 'm');
  await(speaker, [&] {
    speaker.ask({"PUBLISH", "c", message});
    return s.server().counters().slow_consumers_dropped == 1;
  });
  await(speaker, [&] { return speaker.ask({"PUBLISH", "c", message}) == ":0\r\n"; });
}

TEST_CASE("one connection too many is told so") {
  served s{{.connections_max = 2}};
  auto a = s.client(), b = s.client();
  CHECK(a.ask({"PING"}) == "+PONG\r\n");
  CHECK(b.ask({"PING"}) == "+PONG\r\n");
  auto c = s.client();
  CHECK(c.rest() == "-ERR max number of clients reached\r\n");
  CHECK(s.server().counters().connections_refused == 1);
  CHECK(a.ask({"QUIT"}) == "+OK\r\n");
  await(b, [&] { return s.server().counters().connections_open == 1; });
  CHECK(s.client().ask({"PING"}) == "+PONG\r\n");
}

TEST_CASE("garbage ends its connection with an error and no other") {
  served s;
  auto good = s.client();
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random{seed};
  for (int round = 0; round < 50; ++round) {
    auto bad = s.client();
    std::string noise(1 + random() % 3'000, '\0');
    for (auto& x : noise) x = static_cast<char>(random());
    bad.send(noise + "\r\n*x\r\n");
    // Whatever of it were commands: all are errors.
    for (std::istringstream lines{bad.rest()}; !lines.eof();) {
      std::string line;
      std::getline(lines, line);
      CHECK((line.empty() || line[0] == '-'));
    }
    CHECK(good.ask({"PING"}) == "+PONG\r\n");
  }
  auto huge = s.client();
  huge.send("*1\r\n$99999999999\r\n");
  CHECK(huge.rest() == "-ERR Protocol error: invalid bulk length\r\n");
}

TEST_CASE("a command longer than its bound ends its connection") {
  served s{{.input_buffer_bytes = 100'000}};
  auto c = s.client();
  c.send("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$200000\r\n");
  CHECK(c.rest().starts_with("-ERR Protocol error: the request is longer"));
}

TEST_CASE("clients are listed, paused, killed and named") {
  served s{{.threads = 2}};
  auto a = s.client(), b = s.client();
  CHECK(b.ask({"CLIENT", "SETNAME", "bee"}) == "+OK\r\n");
  const auto list = a.ask({"CLIENT", "LIST"});
  CHECK(list.find("name=bee") != std::string::npos);
  CHECK(std::count(list.begin(), list.end(), '\n') == 4); // two clients, and the bulk string's own
  CHECK(a.ask({"CLIENT", "PAUSE", "1000000", "WRITE"}) == "+OK\r\n");
  CHECK(b.ask({"GET", "x"}) == "$-1\r\n");
  REQUIRE(b.send(resp_client::command({"SET", "x", "1"}) + "get x\r\n"));
  await(a, [&] {
    return a.ask({"INFO", "clients"}).find("blocked_clients:1") != std::string::npos;
  });
  CHECK(a.ask({"GET", "x"}) == "$-1\r\n");
  CHECK(a.ask({"CLIENT", "UNPAUSE"}) == "+OK\r\n");
  CHECK(b.reply() == "+OK\r\n");
  CHECK(b.reply() == bulk("1"));
  CHECK(a.ask({"CLIENT", "KILL", "TYPE", "normal"}) == ":1\r\n");
  CHECK(b.rest().empty());
  CHECK(a.ask({"PING"}) == "+PONG\r\n");
}

TEST_CASE("replies can be turned off") {
  served s;
  auto c = s.client();
  REQUIRE(c.send("client reply off\r\nset a 1\r\nget a\r\nfoo\r\nclient reply on\r\n"
                 "client reply skip\r\nget a\r\nget a\r\n"));
  CHECK(c.reply() == "+OK\r\n");
  CHECK(c.reply() == bulk("1"));
  CHECK_FALSE(c.has_more());
}

TEST_CASE("idle connections hold no buffers") {
  served s{{.connections_max = 3'000}};
  std::vector<resp_client> idle;
  for (int i = 0; i < 300; ++i) {
    idle.push_back(s.client());
    CHECK(idle.back().ask({"SET", "k", std::string(30'000, 'v')}) == "+OK\r\n");
    CHECK(idle.back().ask({"GET", "k"}).size() > 30'000);
  }
  auto c = s.client();
  const auto list = c.ask({"CLIENT", "LIST"});
  CHECK(list.find("qbuf=0") != std::string::npos);
  std::istringstream lines{list};
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("id=")) CHECK(line.find("tot-mem=1024 ") != std::string::npos);
}

TEST_CASE("keys are found by scanning, each at least once, whatever comes and goes meanwhile") {
  served s;
  auto c = s.client();
  std::string stream;
  for (int i = 0; i < 3'000; ++i)
    stream += resp_client::command({"SET", "stays:" + std::to_string(i), "1"});
  REQUIRE(c.send(stream));
  for (int i = 0; i < 3'000; ++i) c.reply();
  std::set<std::string> seen;
  std::string cursor = "0";
  int calls = 0;
  do {
    c.ask({"SET", "comes:" + std::to_string(calls), "1"});
    c.ask({"DEL", "comes:" + std::to_string(calls / 2)});
    std::istringstream lines{c.ask({"SCAN", cursor, "COUNT", "20", "MATCH", "stays:*"})};
    std::vector<std::string> words;
    for (std::string line; std::getline(lines, line);)
      if (line[0] != '*' && line[0] != '$') words.push_back(line.substr(0, line.size() - 1));
    REQUIRE_FALSE(words.empty());
    cursor = words[0];
    CHECK(cursor.size() < 16); // a number that JavaScript can hold
    seen.insert(words.begin() + 1, words.end());
    ++calls;
  } while (cursor != "0");
  CHECK(seen.size() == 3'000);
  CHECK(calls > 20);
}

TEST_CASE("a stop answers what was asked and closes") {
  served s;
  auto c = s.client();
  CHECK(c.ask({"SET", "a", "1"}) == "+OK\r\n");
  s.server().stop();
  CHECK(c.rest().empty());
}
