#include "cluster/line_source.hpp"
#include "cluster/ndjson.hpp"
#include "cluster/programs/bulk_writer.hpp"
#include "cluster/programs/load_state.hpp"
#include "cluster/programs/progress_bar.hpp"
#include "cluster/programs/tool.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace warp::programs {

namespace {

struct load_arguments {
  std::string file, level, state_path;
  std::uint64_t from_line = 1;
  bool keep_going = false;
};

/// Mistakes that are shown in full; the rest is only counted.
constexpr std::uint64_t mistakes_shown_max = 20;

struct loader {
  tool& t;
  const load_arguments& a;
  int fd = -1;
  std::uint64_t bytes_total = 0;
  std::uint64_t bad_lines = 0, not_stored = 0;
  op_status first_failure;
  load_state state;
  std::chrono::steady_clock::time_point state_written = std::chrono::steady_clock::now();

  ~loader() {
    if (fd > STDIN_FILENO) ::close(fd);
  }

  std::string file_name() const { return a.file == "-" ? "standard input" : a.file; }

  bool open_file() {
    if (a.file == "-") {
      fd = STDIN_FILENO;
      return true;
    }
    fd = ::open(a.file.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat info {};
    if (fd < 0 || ::fstat(fd, &info) != 0) {
      t.fail({op_code::io_error, fmt::format("cannot read {}: {}", a.file, std::strerror(errno))},
             "load");
      return false;
    }
    if (S_ISREG(info.st_mode)) bytes_total = static_cast<std::uint64_t>(info.st_size);
    return true;
  }

  /// What this load writes at: sync, as group commit makes it cheap, unless the universe has no
  /// disk.
  std::optional<durability> level_for(client& c) {
    const auto info = c.info();
    if (!info) {
      t.fail(info.status(), "load");
      return {};
    }
    if (!a.level.empty()) return durability_of(a.level);
    return info->in_memory_only ? durability::memory : durability::sync;
  }

  void show_mistake(progress_bar& bar, std::uint64_t line, std::string_view message) {
    if (bad_lines + not_stored > mistakes_shown_max) return;
    bar.hide();
    fmt::print(stderr, "warp: {}:{}: {}\n", a.file == "-" ? "stdin" : a.file, line, message);
    if (bad_lines + not_stored == mistakes_shown_max)
      fmt::print(stderr, "warp: further mistakes are counted, not shown\n");
  }

  void run() {
    if (!a.state_path.empty()) {
      if (a.file == "-")
        return t.misuse("--resume needs a file that can be read again, not standard input");
      if (a.level == "memory" || a.level == "async")
        return t.misuse(fmt::format(
            "--resume records what is on disk for good: it goes with --durability sync, not {}",
            a.level));
    }
    if (!open_file()) return;
    if (!a.state_path.empty()) {
      auto found = load_state::read(a.state_path, a.file, bytes_total);
      if (!t.check(found.status(), "load")) return;
      state = std::move(*found);
    }
    const auto c = t.connect(std::chrono::minutes(2));
    if (!c) return;
    const auto level = level_for(*c);
    if (!level) return;
    progress_bar bar(bytes_total);
    auto stream = c->stream_puts({.level = *level});
    if (!t.check(stream.status(), "load")) return;
    bulk_writer writer(std::move(*stream), [&](std::uint64_t line, const op_status& status) {
      ++not_stored;
      if (first_failure.ok()) first_failure = status;
      show_mistake(bar, line, "not stored: " + status.to_string());
    });
    const auto failed = read_lines(writer, bar);
    const auto on_disk = writer.finish();
    write_state(writer, true);
    bar.hide();
    report(writer, bar, failed.ok() ? on_disk : failed);
  }

  /// Not ok: reading itself failed.
  op_status read_lines(bulk_writer& writer, progress_bar& bar) {
    cluster::line_source lines(cluster::read_descriptor(fd, file_name()));
    cluster::ndjson_parser parser;
    cluster::ndjson_record record;
    const auto first = std::max(a.from_line, state.lines + 1);
    std::string_view line;
    for (;;) {
      const auto got = lines.next(line);
      if (!got) return got.status();
      if (*got == cluster::line_source::outcome::end) return {};
      const auto number = lines.line_number();
      if (number < first) {
        writer.skip(number);
        continue;
      }
      if (*got == cluster::line_source::outcome::line &&
          line.find_first_not_of(" \t\r") == std::string_view::npos) {
        writer.skip(number);
        continue;
      }
      const auto parsed =
          *got == cluster::line_source::outcome::too_long
              ? op_status(op_code::invalid_argument, "the line is longer than 1 GiB")
              : parser.parse(line, record);
      if (parsed.ok()) {
        if (!writer
                 .put(number, record.key, record.value, record.expires_at_ms,
                      std::chrono::milliseconds(record.ttl_ms), record.type)
                 .ok())
          return {}; // the stream has ended: finish() says why
      } else {
        ++bad_lines;
        show_mistake(bar, number, parsed.message());
        if (!a.keep_going) return {};
        writer.skip(number);
      }
      if (not_stored > 0 && !a.keep_going) return {};
      bar.update(lines.bytes_read(), writer.stored());
      write_state(writer, false);
    }
  }

  void write_state(const bulk_writer& writer, bool last) {
    if (a.state_path.empty()) return;
    const auto now = std::chrono::steady_clock::now();
    if (!last && now - state_written < std::chrono::seconds(1)) return;
    state_written = now;
    if (writer.finished_line() <= state.lines) return;
    state.lines = writer.finished_line();
    t.check(state.write(a.state_path), "load");
  }

  void report(const bulk_writer& writer, const progress_bar& bar, const op_status& failed) {
    const auto took = bar.elapsed();
    not_stored = writer.failed(); // of very many, not each was named
    const auto rate = took.count() > 0
                          ? writer.stored() * 1'000 / static_cast<std::uint64_t>(took.count())
                          : writer.stored();
    if (t.json) {
      fmt::print("{{\"stored\": {}, \"bad_lines\": {}, \"not_stored\": {}, \"elapsed_ms\": {}, "
                 "\"finished_line\": {}}}\n",
                 writer.stored(), bad_lines, not_stored, took.count(), writer.finished_line());
    } else {
      fmt::print("loaded {} records in {} ({}/s)", with_commas(writer.stored()),
                 readable_duration(took), with_commas(rate));
      if (bad_lines > 0)
        fmt::print(", {} bad {}", with_commas(bad_lines), bad_lines == 1 ? "line" : "lines");
      if (not_stored > 0) fmt::print(", {} not stored", with_commas(not_stored));
      fmt::print("\n");
    }
    if (!failed.ok()) {
      t.exit = failed == op_code::corruption || failed == op_code::io_error
                   ? tool_exit::failure
                   : exit_for(failed.code());
      fmt::print(stderr, "warp: {}: {}\n", file_name(), failed.to_string());
      if (writer.open() > 0)
        fmt::print(stderr, "warp: {} records were sent and are not stored for certain\n",
                   with_commas(writer.open()));
    } else if (not_stored > 0) {
      t.exit = exit_for(first_failure.code());
      if (t.exit == tool_exit::usage)
        t.exit = tool_exit::failure; // a value that is too long is no mistake on the command line
    } else if (bad_lines > 0) {
      t.exit = tool_exit::failure;
    }
    if (t.exit != tool_exit::done && !a.keep_going && !t.json)
      fmt::print(stderr,
                 "warp: stopped there; what is correct behind it was not loaded. Load it all the "
                 "same with --keep-going{}\n",
                 writer.finished_line() > 0
                     ? fmt::format(", or go on with --from-line {}", writer.finished_line() + 1)
                     : "");
  }
};

constexpr const char* details =
    "A line is {\"key\": \"city:AD:1\", \"value\": ..., \"ttl_ms\": 60000}; ttl_ms (or "
    "expires_at_ms) may be left out. A value that is a string is\n"
    "stored as its own bytes; any other JSON is stored exactly as it stands in the line. "
    "key_base64 and value_base64 take other bytes; \"fields\": {\"name\": \"value\"} in place of a "
    "value makes a hash.\n"
    "Of two lines with the same key the later one wins. Returns when all of it is on disk.\n"
    "Exit code 1 if a line was bad; without --keep-going it stops there.";

} // namespace

void add_load_command(CLI::App& app, tool& t) {
  const auto a = std::make_shared<load_arguments>();
  auto* c = app.add_subcommand("load", "Load records from NDJSON, plain or compressed with zstd");
  c->group("Many keys");
  c->footer(details);
  c->add_option("file", a->file, "NDJSON; - reads standard input")->required()->type_name("FILE");
  c->add_flag("--keep-going", a->keep_going, "Pass over bad lines and load the rest");
  c->add_option("--from-line", a->from_line, "Begin with this line; the first is 1")
      ->check(CLI::PositiveNumber);
  c->add_option("--resume", a->state_path,
                "Keep in this file how far the load is, and begin there if it exists")
      ->type_name("STATE");
  add_durability(*c, a->level)
      ->description("memory: stored, and gone after a crash; async, sync: on disk when it counts "
                    "as stored. Default: sync");
  c->callback([&t, a] { loader{t, *a}.run(); });
}

} // namespace warp::programs
