#include "cluster/rpc_server.hpp"

#include "messages/packed_fields.hpp"

#include "tests/cluster/rpc_fixture.hpp"

#include <algorithm>
#include <catch2/generators/catch_generators.hpp>
#include <future>
#include <map>
#include <random>
#include <set>
#include <thread>

namespace warp::cluster {
namespace {

using namespace std::chrono_literals;

TEST_CASE("the calls of a session do what they say", "[cluster][rpc]") {
  const bool on_disk = GENERATE(false, true);
  CAPTURE(on_disk);
  rpc_fixture f{on_disk};
  const auto c = f.connect();

  CHECK(c->get("key").code() == op_code::not_found);
  const auto put = c->put("key", "value");
  REQUIRE(put.ok());
  CHECK(put.version != 0);
  const auto got = c->get("key");
  CHECK(got.value == "value");
  CHECK(got.version == put.version);
  CHECK(got.expires_at_ms == 0);
  CHECK(c->exists("key").ok());
  CHECK(c->exists("other").code() == op_code::not_found);

  const auto wrong = c->compare_and_set("key", put.version + 1, "no");
  CHECK(wrong.code() == op_code::version_mismatch);
  CHECK(wrong.version == put.version);
  const auto right = c->compare_and_set("key", put.version, "yes");
  CHECK(right.ok());
  CHECK(right.version > put.version);
  CHECK(c->get("key").value == "yes");
  CHECK(c->compare_and_set("new", 0, "made").ok());

  CHECK(c->put("key", "x", {.condition = write_condition::if_absent}).code() ==
        op_code::already_exists);
  CHECK(c->put("none", "x", {.condition = write_condition::if_present}).code() ==
        op_code::not_found);

  CHECK(c->increment("n", 40).number == 40);
  CHECK(c->increment("n", 2).number == 42);
  const auto text = c->increment("key");
  CHECK(text.code() == op_code::wrong_type);
  CHECK_FALSE(text.status.message().empty());

  CHECK(c->put("brief", "x", {.time_to_live = 1h}).ok());
  CHECK(c->exists("brief").expires_at_ms > 0);
  CHECK(c->expire("brief", {.expires_at_ms = 4'000'000'000'000}).ok());
  CHECK(c->exists("brief").expires_at_ms == 4'000'000'000'000);
  CHECK(c->expire("brief", {}).ok());
  CHECK(c->exists("brief").expires_at_ms == 0);
  CHECK(c->expire("none", {}).code() == op_code::not_found);
  CHECK(c->put("gone", "x", {.expires_at_ms = 1}).ok());
  CHECK(c->get("gone").code() == op_code::not_found);

  CHECK(c->erase("key").ok());
  CHECK(c->erase("key").code() == op_code::not_found);
  CHECK(c->get("", durability::unspecified).code() == op_code::invalid_argument);
}

TEST_CASE("fields of hashes travel, those of large ones too", "[cluster][rpc]") {
  rpc_fixture f{true};
  const auto c = f.connect();
  field_packer packer;
  packer.add_pair("a", "1");
  packer.add_pair("b", "2");
  const auto made = c->hash_set("h", packer.packed());
  CHECK(made.number == 2);
  CHECK(c->exists("h").type == value_type::hash);
  CHECK(c->hash_increment("h", "a", 41).number == 42);
  packer.clear();
  packer.add_name("a");
  packer.add_name("none");
  std::string answers;
  for_each_answer(c->hash_get("h", packer.packed()).value, [&](const auto& value) {
    answers += value ? "[" + std::string{*value} + "]" : "-";
  });
  CHECK(answers == "[42]-");
  CHECK(c->hash_erase("h", packer.packed()).number == 1);
  const auto whole = c->get("h");
  CHECK(whole.code() == op_code::wrong_type);
  CHECK(whole.type == value_type::hash);
  CHECK(whole.status.message().find("hash") != std::string::npos);
  CHECK(c->hash_all("none").code() == op_code::not_found);

  std::map<std::string, std::string> expected;
  packer.clear();
  for (int i = 0; i < 1'000; ++i) {
    const auto at = expected.emplace("f" + std::to_string(i), std::string(i % 50, 'v')).first;
    packer.add_pair(at->first, at->second);
  }
  CHECK(c->hash_set("large", packer.packed()).number == 1'000);
  std::map<std::string, std::string> got;
  for_each_pair(c->hash_all("large").value,
                [&](std::string_view name, std::string_view value) { got.emplace(name, value); });
  CHECK(got == expected);
  got.clear();
  const auto page = c->scan_page(0, "large");
  REQUIRE(page.ok());
  for (const auto& r : page->records) {
    CHECK(r.type == value_type::hash);
    for_each_pair(r.value,
                  [&](std::string_view name, std::string_view value) { got.emplace(name, value); });
  }
  CHECK(got == expected);
  // A bulk load has them too.
  auto stream = c->stream_puts();
  REQUIRE(stream.ok());
  packer.clear();
  packer.add_pair("x", "y");
  CHECK((*stream)->put("loaded", packer.packed(), 0, {}, value_type::hash).ok());
  CHECK((*stream)->put("broken", "no pairs", 0, {}, value_type::hash).ok());
  CHECK((*stream)->flush().ok());
  CHECK((*stream)->count().failed == 1);
  CHECK(c->hash_all("loaded").value == packer.packed());
}

TEST_CASE("a server in memory cannot promise the disk", "[cluster][rpc]") {
  rpc_fixture f{false};
  const auto c = f.connect();
  const auto reply = c->put("key", "value", {.level = durability::sync});
  CHECK(reply.code() == op_code::no_replicas);
  CHECK_FALSE(reply.status.message().empty());
  const auto info = c->info();
  REQUIRE(info.ok());
  CHECK(info->in_memory_only);
  CHECK(info->default_level == durability::memory);
}

TEST_CASE("info says what the server is", "[cluster][rpc]") {
  rpc_fixture f{true};
  const auto info = f.connect()->info();
  REQUIRE(info.ok());
  CHECK(info->version == "test");
  CHECK(info->shard_count == 4);
  CHECK(info->default_level == durability::async);
  CHECK(info->value_bytes_max == 4u << 20);
  CHECK(info->batch_operations_max == batch_operations_max);
  CHECK_FALSE(info->in_memory_only);
}

TEST_CASE("an acknowledged sync write is on disk", "[cluster][rpc]") {
  rpc_fixture f{true};
  const auto c = f.connect();
  for (int i = 0; i < 20; ++i) {
    const auto reply = c->put("key" + std::to_string(i), "value", {.level = durability::sync});
    REQUIRE(reply.ok());
    CHECK(f.engine->durable(reply.shard, reply.version) == storage::durable_state::durable);
  }
  client_batch batch;
  for (int i = 0; i < 300; ++i)
    batch.put("batch" + std::to_string(i), "v", {.level = durability::sync});
  for (const auto& reply : c->execute(batch)) {
    REQUIRE(reply.ok());
    CHECK(f.engine->durable(reply.shard, reply.version) == storage::durable_state::durable);
  }
  CHECK(c->get("batch7", durability::sync).value == "v");
  CHECK(f.server->counters().waiting_durable == 0);
}

TEST_CASE("sync writes of many callers share their rounds", "[cluster][rpc]") {
  rpc_server_options options;
  options.threads = GENERATE(1u, 3u);
  rpc_fixture f{true, options};
  auto client_options = f.options();
  client_options.connections = 3;
  const auto c = f.connect(client_options);
  std::atomic<int> failed{0};
  {
    std::vector<std::jthread> callers;
    for (int t = 0; t < 6; ++t)
      callers.emplace_back([&, t] {
        for (int i = 0; i < 30; ++i)
          if (!c->put(std::to_string(t) + ":" + std::to_string(i), "v", {.level = durability::sync})
                   .ok())
            ++failed;
      });
  }
  CHECK(failed == 0);
  CHECK(f.engine.everything().size() == 180);
}

TEST_CASE("a batch is answered operation by operation, in order", "[cluster][rpc]") {
  rpc_fixture f{GENERATE(false, true)};
  const auto c = f.connect();
  client_batch batch;
  batch.put("a", "1");
  batch.get("a");
  batch.put("a", "2");
  batch.get("a");
  batch.get("none");
  batch.erase("a");
  batch.exists("a");
  batch.increment("n", 5);
  batch.increment("n", 6);
  const auto replies = c->execute(batch);
  REQUIRE(replies.size() == 9);
  CHECK(replies[1].value == "1");
  CHECK(replies[3].value == "2");
  CHECK(replies[4].code() == op_code::not_found);
  CHECK(replies[6].code() == op_code::not_found);
  CHECK(replies[8].number == 11);
}

TEST_CASE("random batches agree with a model", "[cluster][rpc]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random{seed};
  rpc_fixture f{GENERATE(false, true)};
  const auto c = f.connect();
  std::map<std::string, std::string> model;
  for (int round = 0; round < 30; ++round) {
    client_batch batch;
    std::vector<std::string> expected;
    const auto count = 1 + random() % 700;
    for (std::size_t i = 0; i < count; ++i) {
      const auto key = "k" + std::to_string(random() % 200);
      switch (random() % 3) {
      case 0: {
        const std::string value(random() % 50 == 0 ? 20'000 + random() % 40'000 : random() % 200,
                                static_cast<char>('a' + random() % 26));
        batch.put(key, value);
        model[key] = value;
        expected.push_back("");
        break;
      }
      case 1:
        batch.get(key);
        expected.push_back(model.contains(key) ? model[key] : "(none)");
        break;
      default:
        batch.erase(key);
        expected.push_back(model.erase(key) ? "" : "(none)");
      }
    }
    const auto replies = c->execute(batch);
    REQUIRE(replies.size() == count);
    for (std::size_t i = 0; i < count; ++i)
      REQUIRE((replies[i].code() == op_code::not_found ? "(none)" : replies[i].value) ==
              expected[i]);
  }
}

TEST_CASE("multi_get and multi_put treat each key on its own", "[cluster][rpc]") {
  rpc_fixture f{false};
  const auto c = f.connect();
  const std::vector<std::pair<std::string_view, std::string_view>> pairs{
      {"a", "1"}, {"", "2"}, {"c", "3"}};
  const auto put = c->multi_put(pairs);
  CHECK(put[0].ok());
  CHECK(put[1].code() == op_code::invalid_argument);
  CHECK(put[2].ok());
  const std::vector<std::string_view> keys{"a", "b", "c"};
  const auto got = c->multi_get(keys);
  CHECK(got[0].value == "1");
  CHECK(got[1].code() == op_code::not_found);
  CHECK(got[2].value == "3");
}

TEST_CASE("an atomic batch is all or nothing", "[cluster][rpc]") {
  rpc_fixture f{GENERATE(false, true)};
  const auto c = f.connect();
  client_batch batch;
  batch.put("a", "1");
  batch.put("b", "2");
  batch.get("a");
  const auto done = c->execute_atomic(batch);
  REQUIRE(done.status.ok());
  CHECK(done.replies[2].value == "1");

  client_batch failing;
  failing.put("a", "changed");
  failing.put("b", "no", {.condition = write_condition::if_absent});
  const auto refused = c->execute_atomic(failing);
  CHECK(refused.status == op_code::already_exists);
  REQUIRE(refused.replies.size() == 2);
  CHECK(refused.replies[1].code() == op_code::already_exists);
  CHECK(c->get("a").value == "1");
}

TEST_CASE("large values travel, larger ones than allowed do not", "[cluster][rpc]") {
  rpc_fixture f{true};
  const auto c = f.connect();
  std::string value(4u << 20, 'v');
  for (std::size_t i = 0; i < value.size(); i += 4096) value[i] = static_cast<char>(i >> 12);
  CHECK(c->put("large", value).ok());
  CHECK(c->get("large").value == value);
  CHECK(c->put("larger", value + "x").code() == op_code::invalid_argument);
  CHECK(c->put("empty", "").ok());
  CHECK(c->get("empty").value.empty());
}

TEST_CASE("reads that do not fit one answer are asked for again", "[cluster][rpc]") {
  rpc_fixture f{false};
  const auto c = f.connect();
  const std::string value(1u << 20, 'v');
  client_batch read;
  for (int i = 0; i < 12; ++i) {
    REQUIRE(c->put("k" + std::to_string(i), value).ok());
    read.get("k" + std::to_string(i));
  }
  for (const auto& reply : c->execute(read)) {
    CHECK(reply.ok());
    CHECK(reply.value.size() == value.size());
  }
  CHECK(c->count().retries > 0);
}

TEST_CASE("a scan returns everything once nothing changes", "[cluster][rpc]") {
  rpc_fixture f{false};
  const auto c = f.connect();
  client_batch batch;
  for (int i = 0; i < 3'000; ++i)
    batch.put((i % 3 ? "a:" : "b:") + std::to_string(i), std::to_string(i));
  for (const auto& reply : c->execute(batch)) REQUIRE(reply.ok());

  std::set<std::string> seen;
  REQUIRE(c->scan("b:", [&](const client_record& r) {
             CHECK(r.key == "b:" + r.value);
             CHECK(r.version != 0);
             return seen.insert(r.key).second;
           }).ok());
  CHECK(seen.size() == 1'000);

  std::size_t keys = 0;
  REQUIRE(c->scan(
               "",
               [&](const client_record& r) {
                 CHECK(r.value.empty());
                 ++keys;
                 return true;
               },
               true)
              .ok());
  CHECK(keys == 3'000);

  int visited = 0;
  REQUIRE(c->scan("", [&](const client_record&) { return ++visited < 10; }).ok());
  CHECK(visited == 10);
}

TEST_CASE("a scan over values that do not fit a page brings them all the same", "[cluster][rpc]") {
  rpc_fixture f{false};
  const auto c = f.connect();
  const std::string value(700'000, 'v');
  for (int i = 0; i < 20; ++i) REQUIRE(c->put("k" + std::to_string(i), value).ok());
  const std::string long_key(64 * 1024, 'k');
  for (int i = 0; i < 200; ++i)
    REQUIRE(c->put("x" + std::to_string(i) + long_key.substr(5), "v").ok());
  std::size_t large = 0, all = 0;
  REQUIRE(c->scan("", [&](const client_record& r) {
             large += r.value.size() == value.size();
             ++all;
             return true;
           }).ok());
  CHECK(large == 20);
  CHECK(all == 220);
}

TEST_CASE("operators ask from beside the data path", "[cluster][rpc]") {
  rpc_fixture f{true};
  const auto c = f.connect();
  REQUIRE(c->put("key", "value", {.level = durability::sync}).ok());
  auto admin = c->admin();

  const auto shards = admin.shards();
  REQUIRE(shards.ok());
  REQUIRE(shards->size() == 4);
  std::uint64_t keys = 0;
  for (auto& s : *shards) keys += s.keys;
  CHECK(keys == 1);
  const auto streams = admin.streams();
  REQUIRE(streams.ok());
  CHECK(streams->size() == 1);
  CHECK((*streams)[0].rounds > 0);

  const std::vector<shard_id> some{shard_id{2}, shard_id{0}};
  CHECK(admin.checkpoint(some).ok());
  CHECK(f.admin.asked == some);
  CHECK(admin.checkpoint().ok());
  CHECK(f.admin.asked.empty());
  const std::vector<shard_id> none{shard_id{4}};
  CHECK(admin.checkpoint(none) == op_code::invalid_argument);
  f.admin.checkpoint_status = {op_code::no_space, "the disk is full"};
  const auto full = admin.checkpoint();
  CHECK(full == op_code::no_space);
  CHECK(full.message() == "the disk is full");

  const auto tree = admin.tree();
  REQUIRE(tree.ok());
  REQUIRE(tree->size() == 2);
  CHECK((*tree)[1].path == "universe/storage");
  CHECK((*tree)[1].restarts == 2);
  CHECK((*tree)[1].last_failure == "it was asked to");

  CHECK(admin.chaos("universe/storage").ok());
  const auto verified = admin.verify(true);
  REQUIRE(verified.ok());
  CHECK(verified->begun == 4);
  CHECK(verified->finished == 3);
  CHECK(verified->files == 2);
  CHECK(verified->bytes == 77);
  CHECK(verified->findings == std::vector<std::string>{"data/MANIFEST: offset 3: damaged"});
  CHECK(admin.verify(false)->begun == 3);
  CHECK(admin.chaos("nowhere") == op_code::not_found);
  CHECK(f.admin.chaos_calls == 1);

  const auto ticket = admin.order_backup("/backups");
  REQUIRE(ticket.ok());
  CHECK(f.admin.backup_folder == "/backups");
  CHECK(admin.order_backup("/forbidden").status() == op_code::unauthorized);
  const auto backup = admin.backup(*ticket);
  REQUIRE(backup.ok());
  CHECK(backup->done);
  CHECK(backup->result == op_code::no_space);
  CHECK(backup->name == "name");
  CHECK(backup->taken_us == 10);
  CHECK(backup->anew == "a gap");
  CHECK(admin.wait_backup(*ticket, 5, 1min)->done);
  CHECK(admin.wait_verified(3, 1min)->finished == 3);
  CHECK(admin.backup(8).status() == op_code::not_found);

  const auto log = admin.log_frames(shard_id{0}, 10, 500, true);
  REQUIRE(log.ok());
  REQUIRE(log->frames.size() == 1);
  CHECK(log->frames[0].first_lsn == 11);
  CHECK(log->frames[0].timestamp_us == 77);
  CHECK(log->frames[0].records[0].value == "value");
  CHECK(log->frames[0].records[0].request == request_id{3, 4, 0});
  CHECK(log->next_lsn == 500);
  CHECK(admin.log_frames(shard_id{1}, 0).code() == op_code::io_error);
  CHECK(admin.log_frames(shard_id{9}, 0).code() == op_code::invalid_argument);
}

TEST_CASE("a slow operator's call holds back no data", "[cluster][rpc]") {
  rpc_fixture f{false};
  const auto c = f.connect();
  std::promise<void> begun, go;
  f.admin.on_checkpoint = [&] {
    begun.set_value();
    go.get_future().wait();
  };
  auto checkpoint = std::async(std::launch::async, [&] { return c->admin().checkpoint(); });
  begun.get_future().wait();
  CHECK(c->put("key", "value").ok());
  CHECK(c->ping().ok());
  go.set_value();
  CHECK(checkpoint.get().ok());
}

TEST_CASE("a server without an operator's interface says so", "[cluster][rpc]") {
  rpc_fixture f{false};
  auto bare = rpc_server::start({.listen = "127.0.0.1:0"}, *f.engine, nullptr);
  REQUIRE(bare.ok());
  auto options = f.options();
  options.addresses = {"127.0.0.1:" + std::to_string((*bare)->port())};
  CHECK(f.connect(options)->admin().tree().code() == op_code::not_supported);
}

TEST_CASE("a port in use is no place to listen", "[cluster][rpc]") {
  rpc_fixture f{false};
  const auto port = std::to_string(f.server->port());
  const auto second = rpc_server::start({.listen = "127.0.0.1:" + port}, *f.engine, nullptr);
  CHECK(second.code() == op_code::unavailable);
  CHECK(second.status().message().find(port) != std::string::npos);
}

TEST_CASE("a server needs a thread and an address", "[cluster][rpc]") {
  rpc_fixture f{false};
  CHECK(rpc_server::start({.listen = "127.0.0.1:0", .threads = 0}, *f.engine, nullptr).code() ==
        op_code::invalid_argument);
  CHECK(rpc_server::start({.listen = "nonsense"}, *f.engine, nullptr).code() ==
        op_code::invalid_argument);
}

TEST_CASE("only the empty token is let in where there are no users", "[cluster][rpc]") {
  rpc_fixture f{false};
  auto options = f.options();
  options.token = "secret";
  const auto c = client::connect(options);
  CHECK(c.code() == op_code::unauthorized);
  CHECK(c.status().message().find("secret") == std::string::npos);
  // Each of the pool is refused, and may have tried again by now.
  CHECK(f.server->counters().logins_refused >= 1);
}

TEST_CASE("tokens are judged by whoever was named", "[cluster][rpc]") {
  rpc_server_options server_options;
  server_options.authenticate = [](std::string_view token) -> op_status {
    if (token == "right") return {};
    return {op_code::unauthorized, "wrong token"};
  };
  rpc_fixture f{false, server_options};
  auto options = f.options();
  CHECK(client::connect(options).code() == op_code::unauthorized);
  options.token = "right";
  CHECK(client::connect(options).ok());
}

TEST_CASE("connections over the limit are closed and counted", "[cluster][rpc]") {
  rpc_server_options server_options;
  server_options.connections_max = 2;
  rpc_fixture f{false, server_options};
  const auto first = f.connect(), second = f.connect();
  auto options = f.options();
  options.connect_deadline = 0ms;
  CHECK(client::connect(options).code() == op_code::unavailable);
  CHECK(f.server->counters().connections_refused >= 1);
  CHECK(f.server->counters().connections_open == 2);
  CHECK(first->ping().ok());
}

TEST_CASE("the counters add up", "[cluster][rpc]") {
  rpc_fixture f{false};
  const auto c = f.connect();
  client_batch batch;
  for (int i = 0; i < 10; ++i) batch.put("k" + std::to_string(i), "v");
  batch.put("", "invalid");
  (void)c->execute(batch);
  REQUIRE(c->ping().ok()); // what was sent before it is counted
  const auto& counters = f.server->counters();
  CHECK(counters.operations == 11);
  CHECK(counters.errors == 1);
  CHECK(counters.calls == 3); // login, execute, ping
  CHECK(counters.connections_opened == 1);
  CHECK(counters.bytes_received > 500);
  CHECK(counters.bytes_sent > 500);
}

TEST_CASE("a stopped server has answered what it took", "[cluster][rpc]") {
  rpc_fixture f{true};
  auto options = f.options();
  options.deadline = 500ms;
  const auto c = f.connect(options);
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> acknowledged{0};
  std::jthread writer{[&] {
    for (int i = 0; !stop; ++i)
      if (c->put("k" + std::to_string(i), "v", {.level = durability::sync}).ok())
        acknowledged = i + 1;
  }};
  while (acknowledged < 20) std::this_thread::yield();
  f.server->stop();
  stop = true;
  writer.join();
  for (std::uint64_t i = 0; i < acknowledged; ++i)
    CHECK(f.engine.get("k" + std::to_string(i)) == "v");
  CHECK(f.server->counters().connections_open == 0);
  CHECK(f.server->counters().waiting_durable == 0);
  f.server->stop(); // does nothing
}

TEST_CASE("a client moves on to a second server and every write is done once", "[cluster][rpc]") {
  rpc_fixture f{true};
  auto second = f.start({});
  auto options = f.options();
  options.addresses.push_back("127.0.0.1:" + std::to_string(second->port()));
  const auto c = f.connect(options);
  constexpr int threads = 4, rounds = 100;
  std::atomic<int> done{0}, failed{0};
  {
    std::vector<std::jthread> callers;
    for (int t = 0; t < threads; ++t)
      callers.emplace_back([&] {
        for (int i = 0; i < rounds; ++i, ++done)
          if (!c->increment("n").ok()) ++failed;
      });
    while (done < threads * rounds / 4) std::this_thread::yield();
    f.server->stop();
  }
  CHECK(failed == 0);
  CHECK(f.engine.get("n") == std::to_string(threads * rounds));
}

TEST_CASE("a write that cannot reach the disk in time is unknown", "[cluster][rpc]") {
  // An engine whose log nobody drives.
  testing::temp_folder folder;
  auto opened = storage::engine::open(testing::small_options(folder / "data"));
  REQUIRE(opened.ok());
  auto server = rpc_server::start({.listen = "127.0.0.1:0"}, **opened, nullptr);
  REQUIRE(server.ok());
  client_options options;
  options.addresses = {"127.0.0.1:" + std::to_string((*server)->port())};
  options.deadline = 100ms;
  auto c = client::connect(options);
  REQUIRE(c.ok());
  CHECK((*c)->put("key", "value", {.level = durability::sync}).code() == op_code::outcome_unknown);
  CHECK((*c)->get("key").value == "value");
  // What the read saw is not on disk: it may not be given out at that level.
  const auto read = (*c)->get("key", durability::sync);
  CHECK(read.code() == op_code::timed_out);
  CHECK(read.value.empty());
  client_batch batch;
  batch.get("key");
  batch.put("other", "value", {.level = durability::sync});
  const auto replies = (*c)->execute(batch);
  CHECK(replies[1].code() == op_code::outcome_unknown);
  CHECK((*c)->execute_atomic(batch).status == op_code::outcome_unknown);
}

TEST_CASE("a client with too many calls that wait for the disk is told so, and goes on",
          "[cluster][rpc]") {
  // An engine whose log nobody drives, at first.
  testing::temp_folder folder;
  auto opened = storage::engine::open(testing::small_options(folder / "data"));
  REQUIRE(opened.ok());
  auto server =
      rpc_server::start({.listen = "127.0.0.1:0", .waiting_calls_max = 1}, **opened, nullptr);
  REQUIRE(server.ok());
  client_options options;
  options.addresses = {"127.0.0.1:" + std::to_string((*server)->port())};
  options.deadline = 60s;
  const auto c = rpc_fixture::connect(options);
  const auto sync_put = [&](const char* key) {
    return std::async(std::launch::async,
                      [&c, key] { return c->put(key, "v", {.level = durability::sync}).code(); });
  };
  auto first = sync_put("first");
  while ((*server)->counters().waiting_durable == 0) std::this_thread::yield();
  auto second = sync_put("second");
  while ((*server)->counters().calls_refused == 0) std::this_thread::yield();
  const storage::stream_threads threads{**opened};
  CHECK(first.get() == op_code::ok);
  const auto refused = second.get(); // or tried again by the client
  CHECK((refused == op_code::overloaded || refused == op_code::ok));
  CHECK(c->put("third", "v", {.level = durability::sync}).ok());
  CHECK((*server)->counters().connections_opened == 1);
}

TEST_CASE("who waits for a backup or a check is answered when it comes on, not by a clock",
          "[cluster][rpc]") {
  rpc_fixture f{false};
  const auto c = f.connect();
  const auto after_looks = [&](int count) {
    while (f.admin.looks < count) std::this_thread::yield();
  };
  auto backup = std::async(std::launch::async, [&] { return c->admin().wait_backup(9, 5, 1min); });
  after_looks(1);
  CHECK(c->admin().tree().ok()); // holds nobody up
  CHECK(c->put("key", "value").ok());
  f.admin.job_changes.ring(); // of something else
  after_looks(2);
  f.admin.bytes_done = 6;
  f.admin.job_changes.ring();
  CHECK(backup.get()->bytes_done == 6);
  CHECK(f.admin.looks == 3);

  auto check = std::async(std::launch::async, [&] { return c->admin().wait_verified(4, 1min); });
  after_looks(4);
  f.admin.checks_finished = 4;
  f.admin.job_changes.ring();
  CHECK(check.get()->finished == 4);
  CHECK(f.admin.looks == 5);
  // Nothing comes on: answered when the time is up.
  CHECK(c->admin().wait_backup(9, 6, 1ms)->bytes_done == 6);
  CHECK(f.admin.job_changes.listening() == 0);
}

TEST_CASE("a server that stops does not wait for those who wait for a backup", "[cluster][rpc]") {
  rpc_fixture f{false};
  auto options = f.options();
  options.deadline = 1ms;
  const auto c = f.connect(options);
  auto waits = std::async(std::launch::async, [&] { return c->admin().wait_backup(9, 5, 1s); });
  while (f.admin.looks == 0 && waits.wait_for(0s) != std::future_status::ready)
    std::this_thread::yield();
  f.server.reset();
  CHECK(f.admin.job_changes.listening() == 0);
  CHECK_FALSE(waits.get().ok());
  f.admin.job_changes.ring();
}

} // namespace
} // namespace warp::cluster
