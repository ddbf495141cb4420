// Writes the seeds of the fuzzers: seed_writer FOLDER makes FOLDER/TARGET/NAME. They are made by
// the code that writes such files, small, and the same at each run.

#include "cluster/etcd/cluster_config.hpp"
#include "cluster/etcd/desired_placement.hpp"
#include "cluster/etcd/node_record.hpp"
#include "cluster/etcd/shard_order.hpp"
#include "cluster/etcd/shard_record.hpp"
#include "cluster/links/envelope.hpp"
#include "cluster/links/hello.hpp"
#include "messages/conversion.hpp"
#include "messages/packed_fields.hpp"
#include "messages/warp.capnp.h"
#include "storage/backup_manifest.hpp"
#include "storage/backup_object.hpp"
#include "storage/checkpoint_writer.hpp"
#include "storage/engine.hpp"
#include "storage/request_window.hpp"
#include "storage/segment_scan.hpp"
#include "storage/transaction.hpp"
#include "tests/fuzz/fuzz_target.hpp"
#include "tests/fuzz/seals.hpp"
#include "tests/links/random_messages.hpp"
#include "tests/support/memory_file_system.hpp"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <zstd.h>

using namespace warp;
using namespace warp::storage;
using namespace warp::fuzzing;
using testing::memory_file_system;

namespace {

std::string target_folder;

void seed(const std::string& target, const std::string& name, std::string_view bytes) {
  const auto folder = target_folder + "/" + target;
  std::filesystem::create_directories(folder);
  std::ofstream{folder + "/" + name, std::ios::binary} << bytes;
}

void must(const op_status& status) {
  if (!status.ok()) throw std::runtime_error(status.to_string());
}

std::string with_choice(char choice, std::string_view bytes) {
  return std::string(1, choice) + std::string{bytes};
}

universe_id universe() {
  universe_id id;
  for (std::uint8_t i = 0; i < 16; ++i) id.bytes[i] = static_cast<std::uint8_t>(i + 1);
  return id;
}

// -- the log
// -------------------------------------------------------------------------------------------------------------

struct fixed_clock final : storage::clock {
  mutable std::uint64_t now = 1'700'000'000'000'000;
  [[nodiscard]] std::uint64_t now_us() const noexcept override { return now += 1'000; }
};

class log_author {
public:
  log_author(memory_file_system& files, std::uint32_t streams) : files_(files), streams_(streams) {}

  void start() {
    engine_options options;
    options.folder = "data";
    options.shard_count = 2;
    options.wal_streams = streams_;
    options.segment_bytes = 64 * 1024;
    options.log_buffer_bytes = 256 * 1024;
    options.compress_min_bytes = 64;
    options.flush_interval = std::chrono::seconds{10};
    options.recovery_threads = 1;
    options.time = time_;
    options.files = &files_;
    auto opened = engine::open(options);
    must(opened.status());
    engine_ = std::move(*opened);
  }
  void run(operation op) {
    op.level = durability::sync;
    op_reply reply;
    engine_->execute({&op, 1}, {&reply, 1}, arena_);
  }
  void put(std::string_view key, std::string_view value) {
    run({.kind = op_kind::put, .key = key, .value = value, .request = {7, ++request_, 1}});
  }
  void put_both(std::string_view value) {
    const operation both[2] = {
        {.kind = op_kind::put, .level = durability::sync, .key = "a", .value = value},
        {.kind = op_kind::put, .level = durability::sync, .key = "c", .value = value}};
    op_reply replies[2];
    if (engine_->shard_of("a") == engine_->shard_of("c")) throw std::runtime_error("one shard");
    engine_->execute_atomic(both, replies, arena_);
  }
  void clear() {
    std::vector<durable_target> waits;
    static_cast<void>(engine_->transact(
        {}, {.all_shards = true},
        [](transaction& t) {
          t.clear(durability::sync);
          return transaction_end::commit;
        },
        waits));
  }
  void round() {
    for (std::uint32_t s = 0; s < streams_; ++s) engine_->run_stream(s, {});
  }
  void stop() {
    must(engine_->close());
    engine_.reset();
  }
  void crash() {
    engine_.reset();
    files_.crash(testing::crash_policy::drop_all);
  }
  /// The segments, without the zeros behind the log.
  std::string segments(char choice) {
    std::string all(1, choice);
    const auto paths = list_segments(files_, "data/wal");
    must(paths.status());
    segment_home home;
    home.universe = universe();
    home.starts = 4;
    home.streams = 2;
    for (const auto& path : *paths) {
      auto bytes = files_.bytes(path);
      // Numbers drawn at random are not for a seed.
      store_id(bytes, ++segments_);
      seal_segment(bytes, home);
      bytes.resize(bytes.find_last_not_of('\0') + 1);
      append_piece(all, bytes);
    }
    return all;
  }

private:
  static void store_id(std::string& bytes, char id) {
    bytes.replace(40, 8, std::string(7, id) + '\x01');
  }

  memory_file_system& files_;
  std::uint32_t streams_;
  std::shared_ptr<fixed_clock> time_ = std::make_shared<fixed_clock>();
  std::unique_ptr<engine> engine_;
  value_arena arena_;
  std::uint64_t request_ = 0;
  char segments_ = 0;
};

void log_seeds() {
  {
    memory_file_system files;
    log_author log{files, 1};
    log.start();
    log.put("a", "one");
    log.round();
    log.put_both("both");
    log.run({.kind = op_kind::erase, .key = "a"});
    log.round();
    log.stop();
    seed("log", "stopped", log.segments(1));
    seed("log", "stopped_as_it_is", log.segments(0));
  }
  {
    memory_file_system files;
    log_author log{files, 1};
    log.start();
    log.put("compressed", std::string(300, 'z'));
    log.run(
        {.kind = op_kind::put, .key = "later", .value = "", .expires_at_ms = 4'000'000'000'000});
    log.run({.kind = op_kind::expire, .key = "later", .expires_at_ms = 5'000'000'000'000});
    log.round();
    log.crash();
    log.start();
    log.put("c", "second life");
    log.round();
    log.crash();
    seed("log", "two_lives", log.segments(1));
  }
  {
    memory_file_system files;
    log_author log{files, 2};
    log.start();
    log.put_both("1");
    log.put_both("2");
    log.round();
    log.crash();
    seed("log", "two_streams", log.segments(1));
  }
  {
    memory_file_system files;
    log_author log{files, 1};
    log.start();
    field_packer packer;
    packer.add_pair("name", "one");
    packer.add_pair("other", std::string(40, 'o'));
    const std::string pairs{packer.packed()};
    packer.clear();
    packer.add_name("other");
    const std::string names{packer.packed()};
    packer.clear();
    packer.add_name("number");
    const std::string number{packer.packed()};
    log.run({.kind = op_kind::hash_set, .key = "a", .value = pairs, .request = {7, 1, 1}});
    log.run({.kind = op_kind::hash_increment, .key = "a", .value = number, .request = {7, 2, 1}});
    log.run({.kind = op_kind::hash_erase, .key = "a", .value = names});
    packer.clear();
    for (int i = 0; i < 200; ++i) packer.add_pair("f" + std::to_string(i), "v");
    log.run(
        {.kind = op_kind::put, .type = value_type::hash, .key = "large", .value = packer.packed()});
    log.run({.kind = op_kind::hash_set, .key = "large", .value = pairs});
    log.round();
    log.crash();
    seed("log", "hashes", log.segments(1));
  }
  {
    memory_file_system files;
    log_author log{files, 1};
    log.start();
    log.put_both("1");
    log.clear();
    log.put("a", "2");
    log.clear();
    log.put("c", "3");
    log.round();
    log.crash();
    seed("log", "clears", log.segments(1));
  }
}

// -- checkpoints, manifests, backups
// -------------------------------------------------------------------------------------

std::string checkpoint(bool full, bool compress) {
  memory_file_system files;
  checkpoint_writer_options options;
  options.compress = compress;
  auto writer = checkpoint_writer::create(
      files, "c", {universe(), 5, shard_id{1}, 4, 1, full ? lsn_t{10} : lsn_t{0}}, options);
  must(writer.status());
  if (full) {
    record_meta meta;
    for (int i = 0; i < 4; ++i) {
      meta.version = static_cast<lsn_t>(11 + i);
      meta.expires_at_ms = i == 2 ? 4'000'000'000'000 : 0;
      (*writer)->add("key" + std::to_string(i), std::string(compress ? 60u : 5u, 'v'), meta);
    }
    field_packer packer;
    packer.add_pair("name", "value");
    packer.add_pair("other", "");
    meta = {.version = 15, .type = value_type::hash, .unlogged = true};
    (*writer)->add("hash", packer.packed(), meta);
    request_window requests;
    requests.remember({7, 3, 1}, {.lsn = 11, .version = 11, .existed = true}, 1'000);
    requests.remember({8, 1, 1}, {.code = op_code::not_found, .lsn = 12}, 2'000);
    must((*writer)->add_section(checkpoint_section_requests, requests.encode()));
    must((*writer)->add_section("other", "bytes"));
  }
  must((*writer)->finish({2, 20, 4'096, 1'700'000'000'000}).status());
  return files.bytes("c");
}

checkpoint_info info() {
  return {.shard = shard_id{1},
          .sequence = 7,
          .start_lsn = 100,
          .end_lsn = 120,
          .reserved_lsn = 4'096,
          .start_epoch = 1,
          .end_epoch = 2,
          .records = 10,
          .bytes = 1'234,
          .created_at_ms = 1'700'000'000'000};
}

std::string data_manifest() {
  manifest m;
  m.universe = universe();
  m.generation = 0xabcdef;
  m.starts = 3;
  m.log_start = 3;
  m.log_reaches = 77;
  m.checkpoints.resize(4);
  auto older = info();
  older.sequence = 5;
  m.checkpoints[1] = {info(), older};
  return encode_manifest(m);
}

std::string backup_contents(bool follows = true) {
  backup_manifest m;
  m.name = "seed";
  m.universe = universe();
  m.generation = 0xabcdef;
  m.base_us = 1'700'000'000'000'000;
  m.taken_us = 1'700'000'000'250'000;
  (follows ? m.follows : m.anew) = follows ? "before" : "records 4 to 9 of shard 0 had gone";
  m.new_bytes = 150;
  m.shards.resize(2);
  m.shards[0] = {.last = 3, .reserved = 1'000};
  m.shards[1] = {.checkpoint = backup_checkpoint{info(), {"c-1-7", 900, 1'234, 0x12345678}},
                 .last = 130,
                 .reserved = 5'000};
  m.log.push_back({{1, 0, 2}, 0x1234, 80, 600, true, {"w-1", 300, 520, 0x9abcdef0}});
  return encode_backup_manifest(m);
}

std::string backup_bytes(std::string_view raw) {
  memory_file_system files;
  const auto store = open_backup_folder(files, "store");
  auto lock = store->lock();
  must(lock.status());
  auto writer = backup_object_writer::create(
      *store, "o", {.universe = universe(), .shard_count = 4, .sequence = 3});
  must(writer.status());
  must((*writer)->append(raw));
  must((*writer)->finish().status());
  return files.bytes("store/objects/o");
}

// -- the wire
// ---------------------------------------------------------------------------------------------------------

std::string flat(capnp::MessageBuilder& message) {
  const auto words = capnp::messageToFlatArray(message);
  return {reinterpret_cast<const char*>(words.begin()), words.asBytes().size()};
}

std::string batch() {
  capnp::MallocMessageBuilder message;
  auto params = message.initRoot<wire::Session::ExecuteParams>();
  auto list = params.initOperations(4);
  write_operation({.kind = op_kind::get, .key = "key"}, 0, list[0]);
  write_operation({.kind = op_kind::put,
                   .condition = write_condition::if_version,
                   .level = durability::sync,
                   .key = "key",
                   .value = "value",
                   .expected_version = 9},
                  60'000, list[1]);
  write_operation({.kind = op_kind::increment, .key = "n", .delta = -5}, 0, list[2]);
  write_operation({.kind = op_kind::hash_set,
                   .if_field_absent = true,
                   .key = "h",
                   .value = std::string_view{"\1\1f\1v", 5}},
                  0, list[3]);
  write_call({{7, 8, 6}, std::chrono::milliseconds{100}}, params.initCall());
  return flat(message);
}

std::string one_operation() {
  capnp::MallocMessageBuilder message;
  write_operation(
      {.kind = op_kind::put, .rank = priority::high, .keep_expiry = true, .key = "k", .value = "v"},
      0, message.initRoot<wire::Operation>());
  return flat(message);
}

std::string answers() {
  capnp::MallocMessageBuilder message;
  auto results = message.initRoot<wire::Session::ExecuteResults>();
  write_status({op_code::overloaded, "later"}, results.initStatus());
  auto list = results.initReplies(2);
  write_reply({.shard = shard_id{3}, .version = 9, .value = "value"}, list[0]);
  write_reply({.code = op_code::version_mismatch, .version = 4, .message = "another"}, list[1]);
  return flat(message);
}

std::string put_call() {
  capnp::MallocMessageBuilder message;
  auto params = message.initRoot<wire::Session::PutParams>();
  params.setKey(as_data("key"));
  params.setValue(as_data("value"));
  params.initWrite().setTimeToLiveMs(1'000);
  return flat(message);
}

// -- between nodes
// -------------------------------------------------------------------------------------------------------------

void envelope_seeds() {
  using namespace cluster::links;
  const auto self = test_identity(2, 7);
  const auto text = [](const std::vector<char>& bytes) {
    return std::string{bytes.begin(), bytes.end()};
  };
  random_messages make{5};
  for (int n = 0; n < 4; ++n) {
    std::vector<shard_message> messages;
    for (int i = 0; i < 3 * n; ++i) messages.push_back(make.next(self.node));
    const auto bytes = encode_envelope(self, messages);
    must(bytes.ok() ? op_status{} : bytes.status());
    seed("envelope", "messages" + std::to_string(n), with_choice(4, text(*bytes)));
    if (n == 1) seed("envelope", "as_it_is", with_choice(0, text(*bytes)));
  }
  seed("envelope", "hello", with_choice(6, text(encode_hello(self))));
  seed("envelope", "answer",
       with_choice(7, text(encode_answer({{op_code::unauthorized, "another cluster"}, self}))));
}

std::string compressed(std::string_view text) {
  std::string bytes(ZSTD_compressBound(text.size()), '\0');
  bytes.resize(ZSTD_compress(bytes.data(), bytes.size(), text.data(), text.size(), 1));
  return bytes;
}

// -- etcd
// ----------------------------------------------------------------------------------------------------------------

void etcd_seeds() {
  using namespace cluster::etcd;
  using namespace cluster::replication;
  cluster_config config;
  config.id = 99;
  config.shards = 4;
  config.slots = equal_slots(4);
  seed("etcd", "config", with_choice(0, to_value(config)));
  seed("etcd", "node",
       with_choice(1,
                   to_value(node_record{boot_id{42}, 7, "a", "h:1", "[::1]:2", "", "h:3", "h:4"})));
  const member one{node_id{1}, boot_id{42}};
  seed("etcd", "shard", with_choice(2, to_value(shard_record{7, one, {one}, {node_id{2}}, 3})));
  seed("etcd", "placement",
       with_choice(3, to_value(desired_placement{{{node_id{1}, node_id{2}}, {node_id{3}}}})));
  seed("etcd", "order", with_choice(12, to_value(shard_order{node_id{1}, "ok"})));
  const std::string header = R"("header":{"cluster_id":"7","member_id":"1","revision":"5"})";
  const std::string keys =
      R"("kvs":[{"key":"YQ==","create_revision":"2","mod_revision":"3","version":"2","value":"Yg==","lease":"9"}],"count":"1")";
  seed("etcd", "range", with_choice(4, "{" + header + "," + keys + "}"));
  seed("etcd", "txn",
       with_choice(5, "{" + header + R"(,"succeeded":false,"responses":[{"response_range":{)" +
                          keys + "}}]}"));
  seed("etcd", "watch",
       with_choice(6, R"({"result":{)" + header +
                          R"(,"created":true,"compact_revision":"4","canceled":true,"events":[)"
                          R"({"type":"DELETE","kv":{"key":"YQ==","mod_revision":"4"}}]}})"));
  seed("etcd", "lease", with_choice(8, R"({"result":{)" + header + R"(,"ID":"9","TTL":"10"}})"));
  seed("etcd", "status",
       with_choice(9, "{" + header +
                          R"(,"version":"3.4.23","leader":"1","dbSize":"4096","errors":["x"]})"));
  seed("etcd", "error", with_choice(11, R"({"error":"etcdserver: no","message":"x","code":5})"));
}

void write_all() {
  log_seeds();
  seed("checkpoint", "full", with_choice(1, checkpoint(true, false)));
  seed("checkpoint", "compressed", with_choice(1, checkpoint(true, true)));
  seed("checkpoint", "empty", with_choice(1, checkpoint(false, false)));
  seed("checkpoint", "as_it_is", with_choice(0, checkpoint(true, false)));
  seed("manifest", "sealed", with_choice(1, data_manifest()));
  seed("manifest", "as_it_is", with_choice(0, data_manifest()));
  seed("backup_manifest", "sealed", with_choice(1, backup_contents()));
  seed("backup_manifest", "anew", with_choice(1, backup_contents(false)));
  seed("backup_manifest", "as_it_is", with_choice(0, backup_contents()));
  seed("backup_object", "text", with_choice(1, backup_bytes(std::string(500, 't') + "the end")));
  seed("backup_object", "short", with_choice(1, backup_bytes("xyz")));
  seed("backup_object", "two_chunks",
       with_choice(1, backup_bytes(std::string((1u << 20) + 10, '2'))));
  seed("backup_object", "as_it_is", with_choice(0, backup_bytes("as it is")));

  seed("config", "file",
       "storage.shards=16\n[storage]\ndir = \"/tmp/w\"\nwal_max = \"4GiB\"\n[rpc]\nlisten = "
       "\"127.0.0.1:7400\"\nthreads = 2\n[log]\nlevel = 'debug'\n");
  seed("config", "mistakes",
       "rpc.listen=nowhere\n[storage]\nshard = 3\nsegment_size = \"1kB\"\n[rcp]\nx = true\n");
  const std::string_view units[] = {"64MiB", "18446744073709551615B", "4 GiB",   "50ms", "1d",
                                    "0",     "127.0.0.1:7400",        "[::1]:0", "true", "0-3,7"};
  for (char i = 0; const auto text : units) {
    seed("units", "text" + std::to_string(i), with_choice(i, text));
    ++i;
  }
  const std::string_view lines[] = {
      R"({"key": "city:AD:1", "value": {"name": "Vila", "lat": 42.5e-3, "tags": [true, null]}, "ttl_ms": 60000})",
      R"({"key_base64": "AP8=", "value_base64": "/w==", "expires_at_ms": 4000000000000})",
      R"({"value":"\ud83d\ude00 \u00e9\n\"","key":"\u0041"})"};
  for (int i = 0; const auto text : lines) seed("ndjson", "line" + std::to_string(++i), text);
  seed("lines", "plain", "\x02\x04one\ntwo\r\n\nlast");
  seed("lines", "long",
       std::string("\x10\x01", 2) + "\xef\xbb\xbf" + std::string(40, 'x') + "\nshort\n");
  seed("lines", "compressed",
       "\x03\x10" + compressed(std::string(60, 'a') + "\nb\n") + compressed("c\n"));
  seed("operations", "batch", with_choice(0, batch()));
  seed("operations", "one", with_choice(1, one_operation()));
  seed("operations", "answers", with_choice(2, answers()));
  seed("operations", "put", with_choice(3, put_call()));
  etcd_seeds();
  envelope_seeds();
  using namespace std::string_view_literals;
  seed("resp", "pipeline",
       "\x03*3\r\n$3\r\nSET\r\n$1\r\na\r\n$5\r\nvalue\r\n*2\r\n$3\r\nGET\r\n$1\r\na\r\n");
  seed("resp", "inline", "\0set \"a b\" 'it\\'s' \"\\x41\\n\"\r\nPING\nget x\r\n"sv);
  seed("resp", "empty", "\x10*0\r\n*-1\r\n\r\n*1\r\n$0\r\n\r\n*1\r\n$-1\r\n");
  seed("resp", "mixed", "\x01*2\r\n$4\r\nECHO\r\n$3\r\nabc\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n");
  seed("stream", "messages", with_choice(0, batch() + one_operation() + answers()));
  seed("stream", "large",
       with_choice(3, std::string("\0\0\0\0\x10\0\0\0", 8) + std::string(128, 'w')));
}

} // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
    return 2;
  }
  target_folder = argv[1];
  try {
    write_all();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
  return 0;
}
