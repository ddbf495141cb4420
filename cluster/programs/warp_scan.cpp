#include "cluster/ndjson.hpp"
#include "cluster/programs/tool.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace warp::programs {

namespace {

struct scan_arguments {
  std::string prefix;
  std::uint64_t limit = 0;
  bool keys_only = false;
};

std::size_t terminal_width() {
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 100;
}

/// A value for people; of a hash its fields as an object.
std::string text_of(const client_record& r, std::size_t most = std::string::npos) {
  if (r.type == value_type::hash) return printable_fields(r.value);
  return printable(std::string_view{r.value}.substr(0, most));
}

void append_record(std::string& line, value_type type, std::string_view key, std::string_view value,
                   std::uint64_t expires_at_ms) {
  if (type == value_type::hash)
    cluster::append_hash_ndjson(line, key, value, expires_at_ms);
  else
    cluster::append_ndjson(line, key, value, expires_at_ms);
}

/// A record on one line of a terminal; cut where the line ends, never inside a character.
std::string record_line(const client_record& r, bool keys_only, std::size_t width) {
  auto line = printable(r.key);
  if (!keys_only) line += "  " + text_of(r, width);
  if (line.size() <= width) return line;
  auto end = width - 3;
  while (end > 0 && (static_cast<unsigned char>(line[end]) & 0xC0) == 0x80) --end;
  return line.substr(0, end) + "...";
}

void scan(tool& t, const scan_arguments& a) {
  const auto c = t.connect();
  if (!c) return;
  output out;
  const bool terminal = stdout_is_terminal() && !t.json;
  const auto width = terminal ? terminal_width() : 0;
  std::uint64_t shown = 0;
  bool more = false;
  op_status written;
  const auto status = c->scan(
      a.prefix,
      [&](const client_record& r) {
        if (a.limit != 0 && shown == a.limit) {
          more = true;
          return false;
        }
        ++shown;
        if (t.json) {
          std::string line = "{" + json_bytes("key", r.key);
          if (!a.keys_only)
            line += ", " + (r.type == value_type::hash ? json_fields(r.value)
                                                       : json_bytes("value", r.value));
          out.line(line + fmt::format(", \"version\": {}, \"expires_at_ms\": {}}}", r.version,
                                      r.expires_at_ms));
        } else if (terminal) {
          out.line(record_line(r, a.keys_only, width));
        } else {
          out.line(a.keys_only ? printable(r.key) : printable(r.key) + "\t" + text_of(r));
        }
        return true;
      },
      a.keys_only);
  written = out.finish();
  if (!t.check(status, "scan") || !t.check(written, "scan")) return;
  if (!more) return;
  fmt::print(stderr, "warp: there are more: --limit 0 shows all\n");
}

void dump(tool& t, const scan_arguments& a) {
  const auto c = t.connect(std::chrono::minutes(1));
  if (!c) return;
  output out;
  std::string line;
  std::uint64_t count = 0;
  // A reader that has gone is noticed page by page, not only at the end.
  std::uint64_t cursor = 0;
  do {
    auto page = c->scan_page(cursor, a.prefix);
    if (!page) return t.fail(page.status(), "dump");
    for (const auto& r : page->records) {
      line.clear();
      if (r.value_omitted) {
        const auto whole = r.type == value_type::hash ? c->hash_all(r.key) : c->get(r.key);
        if (whole.code() == op_code::not_found) continue; // gone since
        if (!t.check(whole.status, "dump " + r.key)) return;
        append_record(line, r.type, r.key, whole.value, whole.expires_at_ms);
      } else {
        append_record(line, r.type, r.key, r.value, r.expires_at_ms);
      }
      out.line(line);
      ++count;
    }
    if (!t.check(out.finish(), "dump")) return;
    cursor = page->next_cursor;
  } while (cursor != 0);
  if (!stdout_is_terminal() && ::isatty(STDERR_FILENO))
    fmt::print(stderr, "dumped {} records\n", with_commas(count));
}

} // namespace

void add_scan_commands(CLI::App& app, tool& t) {
  const auto a = std::make_shared<scan_arguments>();
  auto* s = app.add_subcommand("scan", "List records by prefix, in no particular order");
  s->group("Many keys");
  s->add_option("-p,--prefix", a->prefix, "Only keys that begin with this");
  auto* limit = s->add_option("-n,--limit", a->limit,
                              "At most this many; 0: all. Default: 100 on a terminal, else all");
  s->add_flag("-k,--keys-only", a->keys_only, "Keys without values");
  s->callback([&t, a, limit] {
    if (limit->count() == 0 && stdout_is_terminal() && !t.json) a->limit = 100;
    scan(t, *a);
  });

  auto* d =
      app.add_subcommand("dump", "Write all records as NDJSON, as load takes it: values that are "
                                 "JSON as they are, other text as a string, other bytes in base64");
  d->group("Many keys");
  d->add_option("-p,--prefix", a->prefix, "Only keys that begin with this");
  d->callback([&t, a] { dump(t, *a); });
}

} // namespace warp::programs
