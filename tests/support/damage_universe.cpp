#include "tests/support/damage_universe.hpp"

#include "storage/engine.hpp"
#include "storage/recovery.hpp"
#include "storage/segment_scan.hpp"
#include "storage/stream_threads.hpp"

#include <fmt/format.h>
#include <random>
#include <stdexcept>

namespace warp::testing {

using namespace storage;

namespace {

void require(const op_status& status, std::string_view what) {
  if (!status.ok()) throw std::runtime_error(fmt::format("{}: {}", what, status.to_string()));
}

std::string noise(std::mt19937_64& random, std::size_t size) {
  std::string bytes(size, '\0');
  for (auto& c : bytes) c = static_cast<char>(random());
  return bytes;
}

/// Writes of all sorts.
class author {
public:
  std::vector<logged_change> journal;

  author(engine& e, std::uint64_t seed) : engine_(e), random_(seed), client_(seed) {}

  void put(std::string_view key, std::string_view value, std::uint64_t expires_at_ms = 0) {
    ++request_;
    run({.kind = op_kind::put,
         .level = durability::sync,
         .key = key,
         .value = value,
         .expires_at_ms = expires_at_ms,
         .request = {client_, request_, request_}});
  }
  void erase(std::string_view key) {
    run({.kind = op_kind::erase, .level = durability::sync, .key = key});
  }
  void put_all(std::string_view value) {
    std::vector<std::string> keys;
    std::vector<operation> operations;
    for (int i = 0; i < 5; ++i) keys.push_back(fmt::format("all-{}", i));
    for (const auto& key : keys)
      operations.push_back(
          {.kind = op_kind::put, .level = durability::sync, .key = key, .value = value});
    std::vector<op_reply> replies(operations.size());
    arena_.clear();
    if (engine_.execute_atomic(operations, replies, arena_) != op_code::ok)
      throw std::runtime_error("a transaction failed");
    for (std::size_t i = 0; i < operations.size(); ++i) note(operations[i], replies[i]);
  }
  /// A few writes of each sort to every shard.
  void some(int round) {
    for (int i = 0; i < 6; ++i) {
      const auto key = fmt::format("key-{}-{}", round % 5, i);
      put(key, noise(random_, random_() % 60));
    }
    put(fmt::format("empty-{}", round % 3), "");
    put(fmt::format("later-{}", round % 3), "expires", 4'000'000'000'000);
    put_all(fmt::format("round {}", round));
    erase(fmt::format("key-{}-{}", (round + 2) % 5, round % 6));
  }
  /// Values that are kept beside the table, one of them compressed in the log.
  void large() {
    put("compressed", std::string(20'000, 'c') + noise(random_, 100));
    put("large", noise(random_, 17'000));
  }

private:
  void run(const operation& op) {
    op_reply reply;
    arena_.clear();
    engine_.execute({&op, 1}, {&reply, 1}, arena_);
    if (reply.code != op_code::ok && reply.code != op_code::not_found)
      throw std::runtime_error(fmt::format("a write failed: {}", to_string(reply.code)));
    note(op, reply);
  }
  void note(const operation& op, const op_reply& reply) {
    if (reply.code != op_code::ok) return;
    logged_change change{engine_.shard_of(op.key).value, reply.durable_at, std::string{op.key}, {}};
    if (op.kind == op_kind::put) change.value = op.value;
    journal.push_back(std::move(change));
  }

  engine& engine_;
  std::mt19937_64 random_;
  const std::uint64_t client_;
  std::uint64_t request_ = 0;
  value_arena arena_;
};

universe_content content_now(engine& e) {
  universe_content all(e.shard_count());
  scan_page page;
  do {
    require(e.scan(page.next_cursor, "", 1'000, page), "scan");
    for (const auto& entry : page.entries)
      all[e.shard_of(entry.key).value][std::string{entry.key}] = {
          std::string{entry.large ? entry.large.view() : entry.value}, entry.version};
  } while (page.next_cursor != 0);
  return all;
}

void add(std::vector<logged_change>& to, std::vector<logged_change>& from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

void run_rounds(engine& e) {
  for (std::uint32_t s = 0; s < e.stream_count(); ++s) e.run_stream(s, {});
}

std::unique_ptr<engine> opened(file_system& files, const damage_universe_options& how) {
  auto e = engine::open(damage_options(files, how.shards, how.streams));
  require(e.status(), "open");
  return std::move(*e);
}

} // namespace

engine_options damage_options(file_system& files, std::uint32_t shards, std::uint32_t streams) {
  return {.folder = damage_universe::folder,
          .shard_count = shards,
          .wal_streams = streams,
          .segment_bytes = 64 * 1024,
          .wal_max_bytes = 4u << 20,
          .log_buffer_bytes = 256 * 1024,
          .flush_interval = std::chrono::seconds{10}, // rounds and idle marks when the test says so
          .checkpoint_interval = std::chrono::hours{1},
          .recovery_threads = 1,
          .files = &files};
}

folder_image image_of(const memory_file_system& files, const std::string& folder) {
  folder_image image;
  auto& f = const_cast<memory_file_system&>(files);
  for (const auto& sub : {std::string{}, std::string{"/wal"}, std::string{"/checkpoint"}}) {
    const auto names = f.list(folder + sub);
    if (!names) continue;
    for (const auto& name : *names) {
      const auto path = folder + sub + "/" + name;
      if (auto there = f.open(path, open_mode::read); there) image[path] = files.bytes(path);
    }
  }
  return image;
}

damage_universe::damage_universe(const damage_universe_options& options) : how(options) {
  auto memory = std::make_unique<memory_file_system>();
  { // a first life, which ends without a stop
    auto e = opened(*memory, how);
    author writes{*e, how.seed};
    for (int round = 0; round < 3; ++round) {
      writes.some(round);
      run_rounds(*e);
    }
    writes.large();
    run_rounds(*e);
    add(journal, writes.journal);
  }
  memory->crash(crash_policy::drop_all);
  { // a second one with checkpoints
    auto e = opened(*memory, how);
    author writes{*e, how.seed + 1};
    {
      stream_threads threads{*e};
      for (int round = 3; round < 6; ++round) {
        writes.some(round);
        for (std::uint32_t s = 0; s < how.shards; ++s)
          if ((s + static_cast<std::uint32_t>(round)) % 3 != 0)
            require(e->checkpoint(shard_id{s}), "checkpoint");
      }
      writes.large();
    }
    for (int round = 6; round < 9; ++round) {
      writes.some(round);
      run_rounds(*e);
    }
    add(journal, writes.journal);
    older_content = content_of(*e);
    require(e->close(), "close");
  }
  older = image_of(*memory, folder);
  // and a third one, long enough for a second segment
  auto e = opened(*memory, how);
  author writes{*e, how.seed + 2};
  for (int i = 0; i < 3; ++i) {
    writes.large();
    run_rounds(*e);
  }
  const auto segments = std::string{folder} + "/wal";
  for (int round = 9; round < 19; ++round) {
    std::map<std::string, std::uint64_t> begins;
    const auto listed = list_segments(*memory, segments);
    require(listed.status(), "list");
    const auto known = load_manifest(*memory, folder);
    for (const auto& path : *listed) {
      auto scan = scan_segment(*memory, path, known->universe, known->generation);
      require(scan.status(), "scan");
      begins[path] = scan->info->data_end;
    }
    if (!how.clean) {
      rounds.push_back(content_of(*e));
      round_begins.push_back(std::move(begins));
    }
    writes.some(round);
    run_rounds(*e);
  }
  rounds.push_back(content_of(*e));
  add(journal, writes.journal);
  if (how.clean) require(e->close(), "close");
  e.reset();
  memory->crash(crash_policy::drop_all);
  files = image_of(*memory, folder);
}

universe_content content_of(engine& e) {
  return content_now(e);
}

bool was_there(const damage_universe& u, std::size_t shard,
               const std::map<std::string, held_value>& found) {
  std::map<std::string, held_value> at;
  if (found == at) return true;
  for (const auto& change : u.journal) {
    if (change.shard != shard) continue;
    if (change.value)
      at[change.key] = {*change.value, change.version};
    else
      at.erase(change.key);
    if (found == at) return true;
  }
  return false;
}

void lay_out(const damage_universe& u, memory_file_system& files,
             const std::map<std::string, std::optional<std::string>>& changes) {
  for (const auto* sub : {"", "/wal", "/checkpoint"})
    static_cast<void>(files.create_folder(std::string{damage_universe::folder} + sub));
  for (const auto& [path, bytes] : u.files)
    if (!changes.contains(path)) files.set_bytes(path, bytes);
  for (const auto& [path, bytes] : changes) {
    if (bytes)
      files.set_bytes(path, *bytes);
    else
      static_cast<void>(files.remove(path));
  }
}

// -- opening
// -------------------------------------------------------------------------------------------------------------

damage_opener::damage_opener(const damage_universe& of)
    : of_(of), memory_(std::make_shared<table_memory>()) {
  lay_out(of_, files_);
}

op_result<universe_content> damage_opener::open(const changes& how) {
  for (const auto& [path, bytes] : how) {
    if (bytes)
      files_.set_bytes(path, *bytes);
    else
      static_cast<void>(files_.remove(path));
  }
  const auto restore = [&] {
    for (const auto& [path, bytes] : how) {
      if (const auto it = of_.files.find(path); it != of_.files.end())
        files_.set_bytes(path, it->second);
      else
        static_cast<void>(files_.remove(path));
    }
  };
  static const system_clock time;
  const auto options = damage_options(files_, 0, of_.how.streams);
  auto result = [&]() -> op_result<universe_content> {
    auto folder = data_folder::open(files_, damage_universe::folder, 0);
    if (!folder) return folder.status();
    std::vector<std::unique_ptr<shard>> shards;
    for (std::uint32_t i = 0; i < (*folder)->shard_count(); ++i)
      shards.push_back(std::make_unique<shard>(shard_id{i}, options, time, memory_));
    auto found = recover(files_, **folder, options, 1, shards);
    if (!found) return found.status();
    universe_content content(shards.size());
    for (std::size_t i = 0; i < shards.size(); ++i) {
      auto& held = content[i];
      std::uint64_t cursor = 0;
      do
        cursor = shards[i]->records().walk(cursor, [&](const record& r) {
          held[std::string{r.key()}] = {std::string{r.value()}, r.meta().version};
        });
      while (cursor != 0);
    }
    return content;
  }();
  restore();
  return result;
}

op_result<universe_content> damage_opener::open_whole(const changes& how) {
  memory_file_system files;
  lay_out(of_, files, how);
  const auto before = image_of(files, damage_universe::folder);
  universe_content content;
  for (int again = 0; again < 2; ++again) {
    auto e = engine::open(damage_options(files, 0, of_.how.streams));
    if (!e) {
      if (again == 0 && image_of(files, damage_universe::folder) != before)
        return op_status{op_code::io_error, "a start that was refused has changed the folder"};
      if (again == 1)
        return op_status{op_code::io_error,
                         "after a start that was not refused: " + e.status().to_string()};
      return e.status();
    }
    auto now = content_of(**e);
    if (again == 1 && now != content)
      return op_status{op_code::io_error, "the second start found something else than the first"};
    content = std::move(now);
    if (auto s = (*e)->close(); !s.ok()) return op_status{op_code::io_error, s.message()};
  }
  return content;
}

} // namespace warp::testing
