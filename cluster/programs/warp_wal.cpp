#include "cluster/log_dump.hpp"
#include "cluster/programs/tool.hpp"

#include <ctime>
#include <fmt/format.h>

namespace warp::programs {

namespace {

struct wal_arguments {
  std::string folder;
  std::uint32_t shard = 0;
  lsn_t from = 0;
  std::uint64_t limit = 0;
  bool values = false;
  CLI::Option* shard_option = nullptr;
};

/// "2024-05-01T10:00:00.123456Z"
std::string utc(std::uint64_t us) {
  const auto seconds = static_cast<std::time_t>(us / 1'000'000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%FT%T", &parts);
  return fmt::format("{}.{:06}Z", text, us % 1'000'000);
}

struct wal_dump {
  tool& t;
  const wal_arguments& a;
  output out;
  std::uint64_t shown = 0;

  /// False: the limit is reached.
  bool show(shard_id shard, const log_frame_summary& frame, const cluster::log_place* place) {
    for (const auto& r : frame.records) {
      if (r.lsn < a.from) continue;
      if (a.limit != 0 && shown == a.limit) return false;
      ++shown;
      t.json ? show_json(shard, frame, r, place) : show_text(shard, frame, r);
    }
    return true;
  }

  void show_json(shard_id shard, const log_frame_summary& frame, const log_record_summary& r,
                 const cluster::log_place* place) {
    auto line = fmt::format("{{\"shard\": {}, \"lsn\": {}, \"op\": \"{}\", {}", shard.value, r.lsn,
                            r.operation, json_bytes("key", r.key));
    if (r.operation == "put") line += fmt::format(", \"value_bytes\": {}", r.value_bytes);
    if (r.operation == "put" && a.values) line += ", " + json_bytes("value", r.value);
    if (r.expires_at_ms != 0) line += fmt::format(", \"expires_at_ms\": {}", r.expires_at_ms);
    if (r.request)
      line += fmt::format(", \"client\": {}, \"request\": {}", r.request.client, r.request.number);
    line += fmt::format(", \"epoch\": {}, \"timestamp_us\": {}, \"frame_first_lsn\": {}, "
                        "\"frame_last_lsn\": {}, \"frame_previous_lsn\": {}",
                        frame.epoch, frame.timestamp_us, frame.first_lsn, frame.last_lsn,
                        frame.previous_lsn);
    if (place != nullptr) {
      line += fmt::format(", {}, \"offset\": {}, \"stream\": {}", json_bytes("file", place->path),
                          place->offset, place->stream);
      if (place->cuts) line += ", \"cuts\": true";
    }
    out.line(line + "}");
  }

  void show_text(shard_id shard, const log_frame_summary& frame, const log_record_summary& r) {
    auto line = fmt::format("{}  shard {:<5} lsn {:<10} {:<7} {}", utc(frame.timestamp_us),
                            shard.value, r.lsn, r.operation, printable(r.key));
    if (r.operation == "put")
      line += a.values ? "  " + printable(r.value) : fmt::format("  ({} B)", r.value_bytes);
    if (r.expires_at_ms != 0) line += "  expires " + utc(r.expires_at_ms * 1'000);
    out.line(line);
  }

  void from_folder() {
    cluster::log_selection wanted{.from = a.from, .with_values = a.values};
    if (a.shard_option->count() > 0) wanted.shard = shard_id(a.shard);
    const auto status = cluster::read_log(
        storage::posix_file_system(), a.folder, wanted,
        [&](const auto& place, const auto& frame) { return show(place.shard, frame, &place); });
    end(status);
  }

  void from_server() {
    if (a.shard_option->count() == 0)
      return t.misuse(
          "give --shard N to ask the server, or --folder PATH to read the files of a data folder");
    const auto c = t.connect();
    if (!c) return;
    for (lsn_t next = a.from;;) {
      const auto page = c->admin().log_frames(shard_id(a.shard), next, 1'000, a.values);
      if (!page) return end(page.status());
      for (const auto& frame : page->frames)
        if (!show(shard_id(a.shard), frame, nullptr)) return end({});
      if (page->next_lsn == 0) return end({});
      next = page->next_lsn;
    }
  }

  void end(const op_status& status) {
    const auto written = out.finish();
    if (t.check(status, "wal dump")) t.check(written, "wal dump");
    if (status.code() == op_code::not_found) t.exit = tool_exit::failure;
  }
};

} // namespace

void add_wal_command(CLI::App& app, tool& t) {
  const auto a = std::make_shared<wal_arguments>();
  auto* wal = app.add_subcommand("wal", "Look into the write-ahead log");
  wal->group("Operation");
  wal->require_subcommand(1);
  wal->fallthrough();
  auto* dump = wal->add_subcommand(
      "dump",
      "Show the records of the log: of a server's shard, or from the files of a data folder");
  dump->add_option("--folder", a->folder,
                   "Data folder to read without a server (it may run beside it)")
      ->type_name("PATH");
  a->shard_option =
      dump->add_option("--shard", a->shard, "One shard; without it all (only with --folder)");
  dump->add_option("--from", a->from, "First LSN")->type_name("LSN");
  dump->add_option("-n,--limit", a->limit, "At most this many records; 0: all");
  dump->add_flag("--values", a->values, "Values too");
  dump->callback([&t, a] {
    wal_dump d{t, *a, {}};
    a->folder.empty() ? d.from_server() : d.from_folder();
  });
}

} // namespace warp::programs
