// Recovery from a folder whose log is the input. What a start shows was put by a valid frame, and a
// whole engine that goes on from there shows the same, before and after a stop.
//
// Input: a byte of choices (1: checksums are put right), then segments as pieces.

#include "messages/packed_fields.hpp"
#include "storage/clock.hpp"
#include "storage/data_folder.hpp"
#include "storage/engine.hpp"
#include "storage/hash_view.hpp"
#include "storage/recovery.hpp"
#include "storage/segment_scan.hpp"
#include "storage/table_memory.hpp"
#include "tests/fuzz/fuzz_target.hpp"
#include "tests/fuzz/seals.hpp"
#include "tests/support/memory_file_system.hpp"

#include <fmt/format.h>
#include <map>
#include <set>
#include <vector>

using namespace warp;
using namespace warp::storage;
using namespace warp::fuzzing;

namespace {

constexpr const char* folder = "data";
constexpr std::uint32_t shard_count = 2;
constexpr std::size_t segments_max = 4;
constexpr std::uint64_t log_file_bytes = 64 * 1024;
constexpr std::size_t value_max = value_size_hard_max;

struct held {
  std::string value; ///< of a hash packed pairs in the order of their names
  bool is_hash = false;
  lsn_t version = 0;
  friend bool operator==(const held&, const held&) = default;
};
using content = std::vector<std::map<std::string, held>>;

segment_home home() {
  segment_home h;
  for (std::uint8_t i = 0; i < 16; ++i) h.universe.bytes[i] = static_cast<std::uint8_t>(i + 1);
  h.starts = 4;
  h.streams = 2;
  return h;
}

engine_options options_for(file_system& files) {
  engine_options options;
  options.folder = folder;
  options.wal_streams = 1;
  options.segment_bytes = log_file_bytes;
  options.wal_max_bytes = 4u << 20;
  options.log_buffer_bytes = 256 * 1024;
  options.flush_interval = std::chrono::seconds{10};
  options.recovery_threads = 1;
  options.files = &files;
  return options;
}

/// What valid frames put: values by shard and key, and the LSNs that a key got.
struct put_by_frames {
  std::set<std::tuple<std::uint32_t, std::string, std::string>> values;
  std::set<std::tuple<std::uint32_t, std::string, std::string, std::string>> fields;
  std::set<std::tuple<std::uint32_t, std::string, lsn_t>> versions;

  void read(std::string_view bytes) {
    const auto header = decode_segment_header(bytes.substr(0, segment_header_bytes));
    if (!header) return;
    for (std::uint64_t at = segment_header_bytes; at < bytes.size();) {
      const auto frame = check_frame(bytes.substr(at), header->id, at);
      if (!frame) return;
      if (frame->kind == frame_kind::records && frame->count != 0)
        read_records(*frame,
                     bytes.substr(at + frame_header_bytes, frame->length - frame_header_bytes));
      at += padded(frame->length);
    }
  }

private:
  void read_records(const frame_header& frame, std::string_view body) {
    lsn_t lsn = frame.first - 1;
    log_record record;
    while (!body.empty() && decode_record(body, lsn, record)) {
      if (record.op == log_op::parts) continue;
      each_change(record, [&](log_record& change) { read_change(frame, change); });
    }
  }

  void read_change(const frame_header& frame, log_record& record) {
    const std::string key{record.key};
    versions.emplace(frame.shard.value, key, record.lsn);
    if (record.op == log_op::put && !expand(record, value_max).ok()) return;
    if (record.op == log_op::fields_set ||
        (record.op == log_op::put && record.meta.type == value_type::hash))
      for_each_pair(record.payload(), [&](std::string_view name, std::string_view value) {
        fields.emplace(frame.shard.value, key, std::string{name}, std::string{value});
      });
    else if (record.op == log_op::put)
      values.emplace(frame.shard.value, key, std::string{record.payload()});
  }
};

std::string sorted(const hash_view& all) {
  std::map<std::string, std::string> by_name;
  all.for_each(
      [&](std::string_view name, std::string_view value) { by_name.emplace(name, value); });
  require(by_name.size() == all.count(), "a hash has a name twice, or another count");
  field_packer packer;
  for (const auto& [name, value] : by_name) packer.add_pair(name, value);
  return std::string{packer.packed()};
}

op_result<content> recovered_content(file_system& files) {
  static const system_clock time;
  static const auto memory = std::make_shared<table_memory>();
  const auto options = options_for(files);
  auto opened = data_folder::open(files, folder, 0);
  if (!opened) return opened.status();
  std::vector<std::unique_ptr<shard>> shards;
  for (std::uint32_t i = 0; i < shard_count; ++i)
    shards.push_back(std::make_unique<shard>(shard_id{i}, options, time, memory));
  const auto done = recover(files, **opened, options, 1, shards);
  if (!done) return done.status();
  content all(shard_count);
  for (std::uint32_t i = 0; i < shard_count; ++i) {
    std::uint64_t cursor = 0;
    do
      cursor = shards[i]->records().walk(cursor, [&](const record& r) {
        all[i][std::string{r.key()}] = {r.is_hash() ? sorted({r.value(), r.large()})
                                                    : std::string{r.value()},
                                        r.is_hash(), r.meta().version};
      });
    while (cursor != 0);
  }
  return all;
}

/// What a scan shows: not what has expired.
content shown(engine& e) {
  content all(shard_count);
  scan_page page;
  do {
    if (!e.scan(page.next_cursor, "", 1'000, page).ok()) found("a scan failed");
    for (const auto& entry : page.entries)
      all[e.shard_of(entry.key).value][std::string{entry.key}] = {
          entry.type == value_type::hash
              ? sorted(entry.fields())
              : std::string{entry.large ? entry.large.view() : entry.value},
          entry.type == value_type::hash, entry.version};
  } while (page.next_cursor != 0);
  return all;
}

void go_on(file_system& files) {
  content first;
  for (int again = 0; again < 2; ++again) {
    auto e = engine::open(options_for(files));
    if (!e) {
      if (e.code() == op_code::overloaded || e.code() == op_code::no_space) return;
      found(fmt::format("start {} after a recovery that worked: {}", again + 1,
                        e.status().to_string()));
    }
    auto now = shown(**e);
    if (again == 0) first = now;
    require(now == first, "the second start shows something else than the first");
    op_reply reply;
    value_arena arena;
    const operation write{
        .kind = op_kind::put, .level = durability::async, .key = "new", .value = "n"};
    (*e)->execute({&write, 1}, {&reply, 1}, arena);
    if (reply.code != op_code::ok) return; // the numbers are at their end: said, not done
    first[(*e)->shard_of("new").value]["new"] = {"n", false, reply.version};
    if (const auto closed = (*e)->close(); !closed.ok()) found("close: " + closed.to_string());
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  input_reader in{bytes, size};
  const auto choices = in.byte();
  testing::memory_file_system files;
  for (const auto* sub : {"", "/wal", "/checkpoint"})
    static_cast<void>(files.create_folder(std::string{folder} + sub));
  manifest known;
  known.universe = home().universe;
  known.starts = home().starts;
  known.checkpoints.resize(shard_count);
  files.set_bytes(std::string{folder} + "/MANIFEST", encode_manifest(known));

  std::map<std::string, std::string> segments;
  for (std::size_t i = 0; i < segments_max && !in.at_end(); ++i) {
    std::string segment{in.piece()};
    if (segment.size() > log_file_bytes) segment.resize(log_file_bytes);
    if ((choices & 1) != 0) seal_segment(segment, home());
    // Seeds leave out the zeros behind the log.
    const auto header = decode_segment_header(segment);
    if (header && header->file_bytes == log_file_bytes) segment.resize(log_file_bytes);
    segment_name name{1, 0, i + 1};
    if (header) name = {header->start, header->stream, header->sequence};
    segments[fmt::format("{}/wal/{}", folder, segment_file_name(name))] = std::move(segment);
  }
  put_by_frames put;
  for (const auto& [path, segment] : segments) {
    files.set_bytes(path, segment);
    put.read(segment);
  }
  const auto found_there = recovered_content(files);
  if (!found_there) {
    const auto code = found_there.code();
    require(code == op_code::corruption || code == op_code::version_mismatch ||
                code == op_code::invalid_argument,
            "refused with an unexpected code: " + found_there.status().to_string());
    return 0;
  }
  for (std::uint32_t i = 0; i < shard_count; ++i)
    for (const auto& [key, value] : (*found_there)[i]) {
      if (value.is_hash)
        for_each_pair(
            value.value, [&, &name_of_key = key](std::string_view name, std::string_view field) {
              require(put.fields.contains({i, name_of_key, std::string{name}, std::string{field}}),
                      "a field that no valid frame has put");
            });
      else
        require(put.values.contains({i, key, value.value}), "a value that no valid frame has put");
      require(put.versions.contains({i, key, value.version}), "a version that no valid frame has");
    }
  if (hash_of({reinterpret_cast<const char*>(bytes), size}) % 16 == 0) go_on(files);
  return 0;
}
