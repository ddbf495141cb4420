#include "tests/support/test_log.hpp"

#include <algorithm>
#include <mutex>

namespace warp::testing {

using namespace storage;

const std::string test_log::folder = "data/wal";
const universe_id test_log::universe{{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

test_log::test_log(file_system& files, test_log_options initial)
    : options(std::move(initial)), files_(files) {}
test_log::~test_log() {
  drop();
}

void test_log::drop() {
  streams_.clear();
  store_.reset();
  shards_.clear();
}

replayed_log test_log::read(file_system& files, std::uint32_t shards,
                            const std::vector<lsn_t>& checkpoints) {
  replayed_log log;
  log.shards.resize(shards);
  log.status = [&]() -> op_status {
    auto paths = list_segments(files, folder);
    if (!paths) return paths.status();
    std::vector<segment_scan> scans;
    for (const auto& path : *paths) {
      auto scan = scan_segment(files, path, universe);
      if (!scan) return scan.status();
      scans.push_back(std::move(*scan));
    }
    auto survey = log_survey::build(std::move(scans), shards);
    if (!survey) return survey.status();
    log.survey = std::move(*survey);
    log.parts_cut = log.survey.cut_transactions(checkpoints);
    for (std::uint32_t s = 0; s < shards; ++s)
      for (const auto& gap : log.survey.shard(shard_id{s}).gaps)
        if (s >= checkpoints.size() || gap.resumes_at > checkpoints[s])
          return {op_code::corruption, "records of shard " + std::to_string(s) + " up to " +
                                           std::to_string(gap.resumes_at) +
                                           " are missing: " + gap.path};
    if (auto synced = log.survey.sync_tails(files); !synced.ok()) return synced;
    const std::vector<replay_range> all(shards, replay_range{.wanted = true});
    for (const auto& scan : log.survey.segments()) {
      auto bytes = load_segment(files, scan.info);
      if (!bytes) return bytes.status();
      auto replayed = replay(
          *bytes, all, [&](const replay_context& context, const log_record& record) -> op_status {
            auto& shard = log.shards[context.shard.value];
            const std::string key{record.key}, value{record.payload()};
            if (record.op == log_op::put) shard.values[key] = value;
            if (record.op == log_op::erase) shard.values.erase(key);
            shard.records.emplace_back(record.lsn,
                                       record.op == log_op::put ? key + "=" + value : key);
            return {};
          });
      if (!replayed.ok()) return replayed;
    }
    return {};
  }();
  return log;
}

op_status test_log::open() {
  drop();
  if (auto s = files_.create_folder(folder); !s.ok()) return s;
  recovered = read(files_, options.shards);
  if (!recovered.status.ok()) return recovered.status;
  auto& survey = recovered.survey;

  segment_store_options store_options;
  store_options.files = &files_;
  store_options.folder = folder;
  store_options.universe = universe;
  store_options.start = survey.start_max() + 1;
  store_options.segment_bytes = options.segment_bytes;
  store_options.random_id = options.random_id;
  store_options.spares_max = options.spares_max;
  store_options.direct = options.direct;
  auto store = segment_store::open(std::move(store_options), survey.infos());
  if (!store) return store.status();
  store_ = std::move(*store);

  std::vector<std::vector<shard_log*>> members(options.streams);
  for (std::uint32_t s = 0; s < options.shards; ++s) {
    const auto& chain = survey.shard(shard_id{s});
    auto& entry = shards_.emplace_back(std::make_unique<shard>());
    entry->log = std::make_unique<shard_log>(shard_id{s}, entry->lock,
                                             log_position{chain.end, chain.next, chain.epoch});
    members[s % options.streams].push_back(entry->log.get());
  }
  for (std::uint32_t i = 0; i < options.streams; ++i) {
    auto stream_options = options.stream;
    stream_options.stream = i;
    stream_options.timestamp_us_min = survey.timestamp_us_max();
    auto stream = wal_stream::open(*store_, std::move(stream_options), members[i]);
    if (!stream) return stream.status();
    streams_.push_back(std::move(*stream));
  }
  survey = {}; // a held segment is never released
  return {};
}

lsn_t test_log::put(std::uint32_t shard, std::string_view key, std::string_view value) {
  std::lock_guard guard{lock(shard)};
  if (log(shard).admit() != op_code::ok) return 0;
  log_record record;
  record.lsn = log(shard).assign_lsn();
  record.key = key;
  record.value = value;
  log(shard).append(record);
  log(shard).commit();
  return record.lsn;
}

std::vector<lsn_t> test_log::put_all(const std::vector<std::uint32_t>& shards, std::string_view key,
                                     std::string_view value) {
  std::vector<std::unique_lock<shard_lock>> guards;
  std::vector<transaction_part> parts;
  std::vector<lsn_t> lsns;
  for (const auto s : shards) {
    guards.emplace_back(lock(s));
    if (log(s).admit() != op_code::ok) return {};
    lsns.push_back(log(s).next_lsn());
    parts.push_back({shard_id{s}, lsns.back(), lsns.back()});
  }
  const auto transaction = std::make_shared<log_transaction>(parts);
  for (const auto s : shards) {
    log(s).begin_part(transaction);
    log_record record;
    record.lsn = log(s).assign_lsn();
    record.key = key;
    record.value = value;
    log(s).append(record);
    log(s).commit();
  }
  return lsns;
}

bool test_log::round(std::uint32_t s) {
  stream(s).request_sync();
  return stream(s).run(std::chrono::milliseconds{0});
}

op_status test_log::close() {
  for (auto& s : streams_)
    if (auto flushed = s->flush(); !flushed.ok()) return flushed;
  for (auto& s : streams_)
    if (auto closed = s->close(); !closed.ok()) return closed;
  drop();
  return {};
}

} // namespace warp::testing
