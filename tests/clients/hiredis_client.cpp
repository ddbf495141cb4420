// The ordinary work of a program that uses hiredis, against a warpd on the port that is the last
// argument: one call after the other, pipelines, transactions, subscriptions, the asynchronous
// interface on libevent, and a server that is killed and comes back.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <event2/event.h>
#include <hiredis/adapters/libevent.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <unistd.h>
#include <vector>

namespace {

[[noreturn]] void fail(const char* what, int line, const std::string& seen) {
  std::printf("line %d: %s is not so: %s\n", line, what, seen.c_str());
  std::exit(1);
}
#define DEMAND(what, seen)                                                                         \
  do {                                                                                             \
    if (!(what)) fail(#what, __LINE__, seen);                                                      \
  } while (false)

struct freed {
  void operator()(redisContext* c) const { redisFree(c); }
  void operator()(redisReply* r) const { freeReplyObject(r); }
  void operator()(event_base* b) const { event_base_free(b); }
};
using connection = std::unique_ptr<redisContext, freed>;
using reply_ptr = std::unique_ptr<redisReply, freed>;

std::string text_of(const redisReply* r) {
  if (r == nullptr) return "(none)";
  switch (r->type) {
  case REDIS_REPLY_INTEGER:
    return ":" + std::to_string(r->integer);
  case REDIS_REPLY_NIL:
    return "nil";
  case REDIS_REPLY_ARRAY: {
    std::string all = "[";
    for (std::size_t i = 0; i < r->elements; ++i)
      all += (i == 0 ? "" : " ") + text_of(r->element[i]);
    return all + "]";
  }
  case REDIS_REPLY_ERROR:
    return "-" + std::string{r->str, r->len};
  default:
    return {r->str, r->len};
  }
}

connection connect_to(int port) {
  const timeval patience{.tv_sec = 60, .tv_usec = 0};
  connection c{redisConnectWithTimeout("127.0.0.1", port, patience)};
  DEMAND(c != nullptr && c->err == 0, c ? c->errstr : "no memory");
  redisSetTimeout(c.get(), patience);
  return c;
}

std::string ask(const connection& c, const std::vector<std::string>& words) {
  std::vector<const char*> argv;
  std::vector<std::size_t> sizes;
  for (const auto& w : words) {
    argv.push_back(w.data());
    sizes.push_back(w.size());
  }
  const reply_ptr r{static_cast<redisReply*>(
      redisCommandArgv(c.get(), static_cast<int>(words.size()), argv.data(), sizes.data()))};
  return text_of(r.get());
}

std::string ask(const connection& c, const std::string& line) {
  std::istringstream in{line};
  std::vector<std::string> words;
  for (std::string w; in >> w;) words.push_back(w);
  return ask(c, words);
}

#define EXPECT(call, expected)                                                                     \
  do {                                                                                             \
    const std::string seen = call;                                                                 \
    DEMAND(seen == (expected), seen);                                                              \
  } while (false)

void one_call_after_the_other(int port) {
  const auto c = connect_to(port);
  EXPECT(ask(c, "PING"), "PONG");
  EXPECT(ask(c, "SET a 1 EX 100"), "OK");
  EXPECT(ask(c, "INCR a"), ":2");
  EXPECT(ask(c, "TTL a"), ":100");
  EXPECT(ask(c, "GET none"), "nil");
  EXPECT(ask(c, "MSET x 1 y 2"), "OK");
  EXPECT(ask(c, "MGET x none y"), "[1 nil 2]");
  EXPECT(ask(c, "DEL x y z"), ":2");
  EXPECT(ask(c, "HSET h f 1 g 2"), ":2");
  EXPECT(ask(c, "HMGET h f none g"), "[1 nil 2]");
  EXPECT(ask(c, "HGETALL h"), "[f 1 g 2]");
  EXPECT(ask(c, "HINCRBY h f 4"), ":5");
  EXPECT(ask(c, "LPUSH list 1").substr(0, 27), "-ERR unknown command 'LPUSH");
  EXPECT(ask(c, "EVAL return 0").substr(0, 26), "-ERR unknown command 'EVAL");
  EXPECT(ask(c, {"SET", std::string{"b\0\r\n", 4}, std::string(2'000'000, '\0')}), "OK");
  DEMAND(ask(c, {"GET", std::string{"b\0\r\n", 4}}) == std::string(2'000'000, '\0'), "other bytes");
  // Its own formatting: %b takes any bytes.
  const reply_ptr r{static_cast<redisReply*>(redisCommand(c.get(), "SET %s %b", "f", "\0x", 2ul))};
  EXPECT(text_of(r.get()), "OK");
  EXPECT(ask(c, "STRLEN f"), ":2");
  EXPECT(ask(c, "WARP.DURABILITY sync"), "OK");
  EXPECT(ask(c, "SET kept 1"), "OK");
}

void pipelines(int port) {
  const auto c = connect_to(port);
  constexpr int count = 10'000;
  for (int i = 0; i < count; ++i) {
    redisAppendCommand(c.get(), "SET p:%d %d", i, i);
    redisAppendCommand(c.get(), "GET p:%d", i);
  }
  for (int i = 0; i < 2 * count; ++i) {
    void* raw = nullptr;
    DEMAND(redisGetReply(c.get(), &raw) == REDIS_OK, c->errstr);
    const reply_ptr r{static_cast<redisReply*>(raw)};
    EXPECT(text_of(r.get()), i % 2 == 0 ? "OK" : std::to_string(i / 2));
  }
}

void transactions(int port) {
  const auto c = connect_to(port), other = connect_to(port);
  EXPECT(ask(c, "SET a 1"), "OK");
  EXPECT(ask(c, "WATCH a"), "OK");
  EXPECT(ask(c, "MULTI"), "OK");
  EXPECT(ask(c, "INCR a"), "QUEUED");
  EXPECT(ask(c, "SET b 2"), "QUEUED");
  EXPECT(ask(c, "EXEC"), "[:2 OK]");
  EXPECT(ask(c, "WATCH a"), "OK");
  EXPECT(ask(other, "INCR a"), ":3");
  EXPECT(ask(c, "MULTI"), "OK");
  EXPECT(ask(c, "SET a lost"), "QUEUED");
  EXPECT(ask(c, "EXEC"), "nil");
  EXPECT(ask(c, "GET a"), "3");
  EXPECT(ask(c, "MULTI"), "OK");
  EXPECT(ask(c, "SET a"), "-ERR wrong number of arguments for 'set' command");
  EXPECT(ask(c, "EXEC"), "-EXECABORT Transaction discarded because of previous errors.");
}

void subscriptions(int port) {
  const auto listener = connect_to(port), speaker = connect_to(port);
  EXPECT(ask(listener, "SUBSCRIBE news"), "[subscribe news :1]");
  EXPECT(ask(listener, "PSUBSCRIBE n*"), "[psubscribe n* :2]");
  EXPECT(ask(speaker, "PUBLISH news hello"), ":2");
  for (const char* expected : {"[message news hello]", "[pmessage n* news hello]"}) {
    void* raw = nullptr;
    DEMAND(redisGetReply(listener.get(), &raw) == REDIS_OK, listener->errstr);
    const reply_ptr r{static_cast<redisReply*>(raw)};
    EXPECT(text_of(r.get()), expected);
  }
  EXPECT(ask(listener, "PING"), "[pong ]");
  EXPECT(ask(listener, "GET a").substr(0, 24), "-ERR Can't execute 'get'");
}

// -- the asynchronous interface

struct async_work {
  event_base* base = nullptr;
  redisAsyncContext* speaker = nullptr;
  redisAsyncContext* listener = nullptr;
  int answered = 0, heard = 0, connected = 0, disconnected = 0;
  static constexpr int increments = 2'000, messages = 100;
};

void on_message(redisAsyncContext*, void* raw, void* data) {
  auto& work = *static_cast<async_work*>(data);
  const auto* const r = static_cast<redisReply*>(raw);
  if (r == nullptr || r->elements != 3) return;
  const auto text = text_of(r);
  if (text == "[subscribe async news :1]") {
    for (int i = 0; i < async_work::messages; ++i)
      redisAsyncCommand(work.speaker, nullptr, nullptr, "PUBLISH %s %d", "async news", i);
  } else if (text == "[message async news " + std::to_string(work.heard) + "]") {
    if (++work.heard == async_work::messages)
      redisAsyncCommand(work.listener, on_message, data, "UNSUBSCRIBE");
  } else {
    DEMAND(text == "[unsubscribe async news :0]", text);
    redisAsyncDisconnect(work.listener);
    redisAsyncDisconnect(work.speaker);
  }
}

void on_increment(redisAsyncContext*, void* raw, void* data) {
  auto& work = *static_cast<async_work*>(data);
  EXPECT(text_of(static_cast<redisReply*>(raw)), ":" + std::to_string(++work.answered));
  if (work.answered == async_work::increments)
    redisAsyncCommand(work.listener, on_message, data, "SUBSCRIBE %s", "async news");
}

void asynchronous(int port) {
  const std::unique_ptr<event_base, freed> base{event_base_new()};
  async_work work{.base = base.get()};
  for (auto** const context : {&work.speaker, &work.listener}) {
    *context = redisAsyncConnect("127.0.0.1", port);
    DEMAND(*context != nullptr && (*context)->err == 0, "it does not connect");
    (*context)->data = &work;
    redisLibeventAttach(*context, base.get());
    redisAsyncSetConnectCallback(*context, [](const redisAsyncContext* c, int status) {
      DEMAND(status == REDIS_OK, c->errstr);
      ++static_cast<async_work*>(c->data)->connected;
    });
    redisAsyncSetDisconnectCallback(*context, [](const redisAsyncContext* c, int status) {
      DEMAND(status == REDIS_OK, c->errstr);
      ++static_cast<async_work*>(c->data)->disconnected;
    });
  }
  redisAsyncCommand(work.speaker, nullptr, nullptr, "DEL async");
  for (int i = 0; i < async_work::increments; ++i)
    redisAsyncCommand(work.speaker, on_increment, &work, "INCR async");
  event_base_dispatch(base.get());
  DEMAND(work.answered == async_work::increments && work.heard == async_work::messages &&
             work.connected == 2 && work.disconnected == 2,
         std::to_string(work.answered) + " answers, " + std::to_string(work.heard) + " messages");
}

// -- a server that goes away

void harness(const char* request) {
  std::printf("%s\n", request);
  std::fflush(stdout);
  std::string answer;
  std::getline(std::cin, answer);
  DEMAND(answer == "done", answer);
}

void a_server_that_was_killed(int port) {
  const auto c = connect_to(port);
  EXPECT(ask(c, "WARP.DURABILITY sync"), "OK");
  EXPECT(ask(c, "SET survives yes"), "OK");
  harness("kill");
  EXPECT(ask(c, "GET survives"), "(none)");
  DEMAND(c->err == REDIS_ERR_EOF || c->err == REDIS_ERR_IO, c->errstr);
  DEMAND(redisReconnect(c.get()) == REDIS_ERR, "it connects to nobody");
  harness("restart");
  DEMAND(redisReconnect(c.get()) == REDIS_OK, c->errstr);
  EXPECT(ask(c, "GET survives"), "yes");
  EXPECT(ask(c, "WARP.DURABILITY"), "async"); // of a new connection
}

} // namespace

int main(int argc, char** argv) {
  const int port = std::atoi(argv[argc - 1]);
  one_call_after_the_other(port);
  pipelines(port);
  transactions(port);
  subscriptions(port);
  asynchronous(port);
  a_server_that_was_killed(port);
  return 0;
}
