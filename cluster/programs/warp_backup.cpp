#include "cluster/moment.hpp"
#include "cluster/programs/progress_bar.hpp"
#include "cluster/programs/tool.hpp"
#include "storage/backup_repository.hpp"
#include "storage/backup_restore.hpp"
#include "storage/backup_verify.hpp"

#include <filesystem>
#include <fmt/format.h>
#include <unistd.h>

namespace warp::programs {

namespace {

/// The server answers when there is something to show, or after so long that it is asked again.
constexpr std::chrono::seconds wait_max{30};

struct backup_arguments {
  std::string repository, name, folder, to;
  std::vector<std::string> names;
  std::uint32_t shard = 0;
  lsn_t to_lsn = 0;
  std::uint64_t keep = 0;
  CLI::Option *shard_option = nullptr, *lsn_option = nullptr;
};

std::unique_ptr<storage::backup_store> open_repository(const std::string& folder) {
  return storage::open_backup_folder(storage::posix_file_system(), folder);
}

double share(std::uint64_t done, std::uint64_t total) {
  return total == 0 ? 0.0 : 100.0 * static_cast<double>(done) / static_cast<double>(total);
}

/// One line on a terminal that is written over and over.
void show_progress(const tool& t, std::uint64_t done, std::uint64_t total) {
  if (t.json || ::isatty(STDERR_FILENO) == 0) return;
  fmt::print(stderr, "\r{:>3.0f} % of {}   ", std::min(100.0, share(done, total)),
             readable_bytes(total));
}
void end_progress(const tool& t) {
  if (!t.json && ::isatty(STDERR_FILENO) != 0)
    fmt::print(stderr, "\r                              \r");
}

void create(tool& t, const backup_arguments& a) {
  const auto c = t.connect();
  if (!c) return;
  std::string folder;
  if (!a.repository.empty()) {
    std::error_code failed;
    folder = std::filesystem::absolute(a.repository, failed).lexically_normal().string();
    if (failed) return t.misuse(fmt::format("{}: {}", a.repository, failed.message()));
  }
  const auto begin = std::chrono::steady_clock::now();
  const auto ticket = c->admin().order_backup(folder);
  if (!t.check(ticket.status(), "backup create")) return;
  op_result<backup_summary> state = backup_summary{};
  while (!state->done) {
    state = c->admin().wait_backup(*ticket, state->bytes_done, wait_max);
    if (!t.check(state.status(), "backup create")) return;
    show_progress(t, state->bytes_done, state->bytes_total);
  }
  end_progress(t);
  if (!t.check(state->result, "backup create")) return;
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - begin);
  if (t.json)
    fmt::print("{{\"name\": \"{}\", \"bytes\": {}, \"new_bytes\": {}, \"taken\": \"{}\", "
               "\"taken_us\": {}, {}, \"elapsed_ms\": {}}}\n",
               state->name, state->bytes, state->new_bytes, cluster::show_moment(state->taken_us),
               state->taken_us, json_bytes("anew", state->anew), took.count());
  else
    fmt::print("backup {}: {}, {} of it new, in {}\n", state->name, readable_bytes(state->bytes),
               readable_bytes(state->new_bytes), readable_duration(took));
  if (!t.json && !state->anew.empty())
    fmt::print("no moment between the backup before and this one can be restored: {}\n",
               printable(state->anew));
}

void list(tool& t, const backup_arguments& a) {
  const auto store = open_repository(a.repository);
  const auto all = storage::list_backups(*store);
  if (!t.check(all.status(), "backup list")) return;
  if (t.json) {
    fmt::print("[");
    for (const auto& b : *all) {
      fmt::print("{}\n  {{{}", &b == all->data() ? "" : ",", json_bytes("name", b.name));
      if (b.status.ok())
        fmt::print(", \"universe\": \"{}\", \"generation\": \"{:016x}\", \"shards\": {}, "
                   "\"taken\": \"{}\", \"taken_us\": {}, \"from\": \"{}\", \"from_us\": {}, "
                   "\"bytes\": {}, \"new_bytes\": {}, \"follows\": \"{}\", {}",
                   storage::to_string(b.manifest.universe), b.manifest.generation,
                   b.manifest.shards.size(), cluster::show_moment(b.manifest.taken_us),
                   b.manifest.taken_us, cluster::show_moment(b.from_us), b.from_us,
                   b.manifest.bytes(), b.manifest.new_bytes, b.manifest.follows,
                   json_bytes("anew", b.manifest.anew));
      else
        fmt::print(", {}", json_bytes("error", b.status.message()));
      fmt::print("}}");
    }
    fmt::print("\n]\n");
    return;
  }
  fmt::print("{:<18}  {:>9}  {:>9}  {:<8}  {}\n", "name", "size", "new", "universe",
             "any moment can be restored");
  for (const auto& b : *all) {
    if (b.status.ok()) {
      fmt::print("{:<18}  {:>9}  {:>9}  {:<8}  from {} to {}\n", b.name,
                 readable_bytes(b.manifest.bytes()), readable_bytes(b.manifest.new_bytes),
                 storage::to_string(b.manifest.universe).substr(0, 8),
                 cluster::show_moment(b.from_us), cluster::show_moment(b.manifest.taken_us));
      if (!b.manifest.anew.empty())
        fmt::print("{:<18}  begins anew: {}\n", "", printable(b.manifest.anew));
    } else {
      fmt::print("{:<18}  {}\n", b.name, b.status.message());
      t.exit = tool_exit::failure;
    }
  }
}

void verify(tool& t, const backup_arguments& a) {
  const auto store = open_repository(a.repository);
  const auto begin = std::chrono::steady_clock::now();
  const auto found =
      storage::verify_backups(*store, a.name, [&](const storage::backup_progress& p) {
        show_progress(t, p.bytes_done, p.bytes_total);
      });
  end_progress(t);
  if (!t.check(found.status(), "backup verify")) return;
  if (!found->problems.empty()) t.exit = tool_exit::failure;
  if (t.json) {
    fmt::print("{{\"backups\": {}, \"objects\": {}, \"bytes\": {}, \"problems\": [", found->backups,
               found->objects, found->bytes);
    for (const auto& problem : found->problems)
      fmt::print("{}{{{}}}", &problem == found->problems.data() ? "" : ", ",
                 json_bytes("problem", problem));
    fmt::print("]}}\n");
    return;
  }
  for (const auto& problem : found->problems) fmt::print("{}\n", printable(problem));
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - begin);
  fmt::print("{} backups, {} objects, {}, read in {}: {}\n", found->backups, found->objects,
             readable_bytes(found->bytes), readable_duration(took),
             found->problems.empty() ? "all is well"
                                     : fmt::format("{} problems", found->problems.size()));
}

void restore(tool& t, const backup_arguments& a) {
  storage::restore_options options;
  options.name = a.name;
  if (!a.to.empty()) {
    options.to_us = cluster::parse_moment(a.to);
    if (!options.to_us)
      return t.misuse(fmt::format("--to {}: write a moment as 2026-11-21T16:30:00Z or in seconds "
                                  "since 1970",
                                  a.to));
  }
  if (a.shard_option->count() != 0) options.shard = shard_id{a.shard};
  if (a.lsn_option->count() != 0) options.to_lsn = a.to_lsn;
  if (options.to_us && options.to_lsn) return t.misuse("--to and --to-lsn: give one of them");
  options.on_progress = [&](const storage::backup_progress& p) {
    show_progress(t, p.bytes_done, p.bytes_total);
  };
  const auto store = open_repository(a.repository);
  const auto begin = std::chrono::steady_clock::now();
  const auto done =
      storage::restore_backup(*store, storage::posix_file_system(), a.folder, options);
  end_progress(t);
  if (!t.check(done.status(), "backup restore")) return;
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - begin);
  if (t.json) {
    fmt::print("{{\"name\": \"{}\", \"base\": \"{}\", \"records\": {}, \"bytes\": {}, "
               "\"log_records\": {}, \"newest_us\": {}, \"transactions_cut\": {}, "
               "\"elapsed_ms\": {}}}\n",
               done->name, done->base, done->records, done->bytes, done->log_records,
               done->newest_us, done->transactions_cut, took.count());
    return;
  }
  fmt::print("{}: {} records of backup {}{}, in {}\n"
             "start it with: warpd --storage.folder {}\n",
             a.folder, with_commas(done->records), done->name,
             done->newest_us == 0 ? std::string{}
                                  : ", the last change at " + cluster::show_moment(done->newest_us),
             readable_duration(took), a.folder);
}

void show_removed(tool& t, const op_result<storage::removed_backups>& removed) {
  if (!t.check(removed.status(), "backup remove")) return;
  if (t.json)
    fmt::print("{{\"removed\": {}, \"objects\": {}, \"bytes\": {}}}\n", removed->names.size(),
               removed->objects, removed->bytes);
  else
    fmt::print("{} backups removed, {} free again\n", removed->names.size(),
               readable_bytes(removed->bytes));
}

} // namespace

void add_backup_commands(CLI::App& app, tool& t) {
  const auto a = std::make_shared<backup_arguments>();
  auto* backup = app.add_subcommand("backup", "Back up a running server, and restore");
  backup->group("Operation");
  backup->require_subcommand(1);
  backup->fallthrough();
  const auto add = [&](const char* name, const char* what) {
    auto* command = backup->add_subcommand(name, what);
    command->add_option("repository", a->repository, "Folder that holds the backups")
        ->required()
        ->type_name("REPO");
    return command;
  };

  auto* c = backup->add_subcommand(
      "create", "Back up the server into a folder on its machine: what is not there yet");
  c->add_option("repository", a->repository,
                "Folder that holds the backups; none: the server's backup.folder")
      ->type_name("REPO");
  c->callback([&t, a] { create(t, *a); });

  add("list", "Backups, their size, and the moments that can be restored")->callback([&t, a] {
    list(t, *a);
  });

  auto* v = add("verify", "Read every byte of a backup, or of all, and check it");
  v->add_option("name", a->name, "One backup")->type_name("NAME");
  v->callback([&t, a] { verify(t, *a); });

  auto* r = add("restore", "Make a data folder of a backup, as it was or at a moment before");
  r->add_option("folder", a->folder, "The data folder to be made: absent or empty")
      ->required()
      ->type_name("FOLDER");
  r->add_option("name", a->name, "The backup; none: the newest that has the moment")
      ->type_name("NAME");
  r->add_option("--to", a->to, "The moment: 2026-11-21T16:30:00Z, or seconds since 1970")
      ->type_name("TIME");
  a->shard_option = r->add_option("--shard", a->shard, "This shard alone");
  a->lsn_option = r->add_option("--to-lsn", a->to_lsn, "With --shard: as it was after this LSN")
                      ->type_name("LSN")
                      ->needs(a->shard_option);
  r->callback([&t, a] { restore(t, *a); });

  auto* d = add("remove", "Remove backups, and what only they needed");
  d->add_option("names", a->names, "Backups")->required()->type_name("NAME");
  d->callback([&t, a] {
    show_removed(t, storage::remove_backups(*open_repository(a->repository), a->names));
  });

  auto* p = add("prune", "Remove all but the newest backups");
  p->add_option("--keep", a->keep, "So many stay")->required()->check(CLI::Range(1, 1'000'000));
  p->callback([&t, a] {
    show_removed(t, storage::prune_backups(*open_repository(a->repository), a->keep));
  });
}

} // namespace warp::programs
