#include "cluster/programs/tool.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <fmt/format.h>
#include <fstream>

namespace warp::programs {

namespace {

/// What the key commands take from the command line. Shared, because only one of them runs.
struct arguments {
  std::string key, value, file, output_file, level, ttl, priority_name, pattern_name;
  std::vector<std::string> keys;
  std::uint64_t version = 0;
  std::int64_t delta = 1;
  bool hex = false, if_absent = false, if_present = false, keep_ttl = false;
  CLI::Option* if_version = nullptr;         ///< of put
  std::vector<CLI::Option*> value_positions; ///< of put and cas
};

op_result<std::string> from_hex(std::string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    unsigned byte = 0;
    const auto [end, error] = std::from_chars(text.data() + i, text.data() + i + 2, byte, 16);
    if (error != std::errc{} || end != text.data() + i + 2) break;
    bytes += static_cast<char>(byte);
  }
  if (bytes.size() * 2 != text.size())
    return op_status(op_code::invalid_argument,
                     fmt::format("\"{}\" is no hexadecimal text: two digits a byte, as in 00ff",
                                 text.substr(0, 60)));
  return bytes;
}

std::uint64_t now_ms() {
  using namespace std::chrono;
  return static_cast<std::uint64_t>(
      duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count());
}

struct key_commands {
  tool& t;
  arguments a;

  // -- what the arguments stand for; an empty result means that the mistake has been shown

  std::optional<std::string> bytes_of(const std::string& text) {
    if (!a.hex) return text;
    auto bytes = from_hex(text);
    if (bytes) return std::move(*bytes);
    t.misuse(bytes.status().message());
    return {};
  }

  std::optional<std::string> value_of() {
    const bool given =
        std::ranges::any_of(a.value_positions, [](auto* o) { return o->count() > 0; });
    if (given && !a.file.empty()) {
      t.misuse("give the value or --file, not both");
      return {};
    }
    if (!given && a.file.empty()) {
      t.misuse("the value is missing: give it, or --file FILE, or - for standard input");
      return {};
    }
    if (given && a.value != "-") return bytes_of(a.value);
    auto whole = read_whole(given ? "-" : a.file);
    if (whole) return std::move(*whole);
    t.fail(whole.status(), "read the value");
    return {};
  }

  std::optional<client_write_options> options_of() {
    client_write_options o;
    o.level = durability_of(a.level);
    o.keep_expiry = a.keep_ttl;
    if (a.if_absent + a.if_present + (a.if_version->count() > 0) > 1) {
      t.misuse("give one of --if-absent, --if-present and --if-version");
      return {};
    }
    if (a.if_absent) o.condition = write_condition::if_absent;
    if (a.if_present) o.condition = write_condition::if_present;
    if (a.if_version->count() > 0) {
      o.condition = write_condition::if_version;
      o.expected_version = a.version;
    }
    if (!a.ttl.empty()) {
      if (a.keep_ttl) {
        t.misuse("give one of --ttl and --keep-ttl");
        return {};
      }
      const auto ttl = duration_of(a.ttl);
      if (!ttl || ttl->count() == 0) {
        t.misuse(fmt::format("--ttl {}: write a number above 0 with its unit, as in 500ms, 10s, 2h",
                             a.ttl));
        return {};
      }
      o.time_to_live = *ttl;
    }
    if (a.priority_name == "critical") o.rank = priority::critical;
    if (a.priority_name == "high") o.rank = priority::high;
    if (a.priority_name == "low") o.rank = priority::low;
    if (a.priority_name == "background") o.rank = priority::background;
    if (a.pattern_name == "hot") o.pattern = access_pattern::hot;
    if (a.pattern_name == "warm") o.pattern = access_pattern::warm;
    if (a.pattern_name == "cold") o.pattern = access_pattern::cold;
    return o;
  }

  // -- the commands

  void show_version(const client_reply& r) {
    if (t.json)
      fmt::print("{{\"version\": {}, \"shard\": {}}}\n", r.version, r.shard.value);
    else
      fmt::print("ok, version {}\n", r.version);
  }

  void put() {
    const auto options = options_of();
    if (!options) return;
    const auto key = bytes_of(a.key);
    if (!key) return;
    const auto value = value_of();
    if (!value) return;
    const auto c = t.connect();
    if (!c) return;
    const auto r = c->put(*key, *value, *options);
    if (t.check(r.status, "put " + a.key)) show_version(r);
  }

  void cas() {
    const auto options = options_of();
    if (!options) return;
    const auto key = bytes_of(a.key);
    if (!key) return;
    const auto value = value_of();
    if (!value) return;
    const auto c = t.connect();
    if (!c) return;
    const auto r = c->compare_and_set(*key, a.version, *value, *options);
    if (r.ok()) return show_version(r);
    if (r.code() != op_code::version_mismatch || !t.json) return t.fail(r.status, "cas " + a.key);
    t.exit = tool_exit::condition;
    fmt::print("{{\"error\": \"version_mismatch\", \"version\": {}}}\n", r.version);
  }

  void get() {
    const auto key = bytes_of(a.key);
    if (!key) return;
    const auto c = t.connect();
    if (!c) return;
    const auto r = c->get(*key, durability_of(a.level));
    if (!t.check(r.status, "get " + a.key)) return;
    if (!a.output_file.empty()) return write_file(r.value);
    output out;
    if (t.json) {
      out.line(fmt::format("{{{}, {}, \"version\": {}, \"expires_at_ms\": {}}}",
                           json_bytes("key", *key), json_bytes("value", r.value), r.version,
                           r.expires_at_ms));
    } else if (stdout_is_terminal()) {
      out.line(printable(r.value));
    } else {
      out.write(r.value); // exactly the value: no line feed behind it
    }
    t.check(out.finish(), "get");
  }

  void write_file(const std::string& value) {
    std::ofstream file(a.output_file, std::ios::binary | std::ios::trunc);
    file.write(value.data(), static_cast<std::streamsize>(value.size()));
    file.close();
    if (!file) t.fail({op_code::io_error, fmt::format("cannot write {}", a.output_file)}, "get");
  }

  void erase() {
    const auto options = options_of();
    if (!options) return;
    client_batch batch;
    for (const auto& text : a.keys) {
      const auto key = bytes_of(text);
      if (!key) return;
      batch.erase(*key, *options);
    }
    const auto c = t.connect();
    if (!c) return;
    const auto replies = c->execute(batch);
    std::size_t deleted = 0, absent = 0;
    for (std::size_t i = 0; i < replies.size(); ++i) {
      if (replies[i].ok())
        ++deleted;
      else if (replies[i].code() == op_code::not_found)
        ++absent;
      else
        return t.fail(replies[i].status,
                      fmt::format("del {} ({} of {} deleted)", a.keys[i], deleted, replies.size()));
    }
    if (t.json)
      fmt::print("{{\"deleted\": {}, \"absent\": {}}}\n", deleted, absent);
    else
      fmt::print("deleted {} of {}\n", deleted, a.keys.size());
    if (absent > 0) t.exit = tool_exit::absent;
  }

  void exists() {
    const auto key = bytes_of(a.key);
    if (!key) return;
    const auto c = t.connect();
    if (!c) return;
    const auto r = c->exists(*key, durability_of(a.level));
    if (r.code() == op_code::not_found) {
      fmt::print("{}\n", t.json ? "{\"exists\": false}" : "no");
      t.exit = tool_exit::absent;
      return;
    }
    if (!t.check(r.status, "exists " + a.key)) return;
    if (t.json)
      fmt::print("{{\"exists\": true, \"version\": {}, \"expires_at_ms\": {}}}\n", r.version,
                 r.expires_at_ms);
    else
      fmt::print("yes, version {}\n", r.version);
  }

  void ttl() {
    const auto key = bytes_of(a.key);
    if (!key) return;
    const auto c = t.connect();
    if (!c) return;
    const auto r = c->exists(*key, durability_of(a.level));
    if (!t.check(r.status, "ttl " + a.key)) return;
    const auto left = r.expires_at_ms - std::min(r.expires_at_ms, now_ms());
    if (t.json)
      fmt::print("{{\"ttl_ms\": {}, \"expires_at_ms\": {}}}\n",
                 r.expires_at_ms == 0 ? "null" : fmt::format("{}", left), r.expires_at_ms);
    else if (r.expires_at_ms == 0)
      fmt::print("never expires\n");
    else
      fmt::print("{}\n", readable_duration(std::chrono::milliseconds(left)));
  }

  void expire() {
    const bool never = a.ttl == "never";
    if (never) a.ttl.clear();
    const auto options = options_of();
    if (!options) return;
    const auto key = bytes_of(a.key);
    if (!key) return;
    const auto c = t.connect();
    if (!c) return;
    const auto r = c->expire(*key, *options);
    if (t.check(r.status, "expire " + a.key)) show_version(r);
  }

  void increment() {
    const auto key = bytes_of(a.key);
    if (!key) return;
    const auto c = t.connect();
    if (!c) return;
    const auto r = c->increment(*key, a.delta, durability_of(a.level));
    if (!t.check(r.status, "incr " + a.key)) return;
    if (t.json)
      fmt::print("{{\"number\": {}, \"version\": {}}}\n", r.number, r.version);
    else
      fmt::print("{}\n", r.number);
  }

  // -- options

  void takes_key(CLI::App* c) { c->add_option("key", a.key, "Key, 1 B to 64 KiB")->required(); }
  void takes_value(CLI::App* c) {
    a.value_positions.push_back(c->add_option("value", a.value, "Value; - reads standard input"));
    c->add_option("-f,--file", a.file, "Takes the value from a file")->type_name("FILE");
  }
  void takes_write_options(CLI::App* c) {
    add_durability(*c, a.level);
    c->add_option("--ttl", a.ttl, "Time to live: 500ms, 10s, 2h")->type_name("TIME");
    c->add_flag("--keep-ttl", a.keep_ttl, "Keep the expiry that the record has");
    c->add_option("--priority", a.priority_name, "critical is never demoted")
        ->check(CLI::IsMember({"critical", "high", "normal", "low", "background"}));
    c->add_option("--pattern", a.pattern_name, "Expected access: hot, warm, cold, balanced")
        ->check(CLI::IsMember({"hot", "warm", "cold", "balanced"}));
  }
};

} // namespace

void add_key_commands(CLI::App& app, tool& t) {
  const auto k = std::make_shared<key_commands>(key_commands{t, {}});
  const auto command = [&](const char* name, const char* about, void (key_commands::*run)()) {
    auto* c = app.add_subcommand(name, about);
    c->group("Keys");
    c->add_flag("--hex", k->a.hex, "Key and value on the command line are hexadecimal: 00ff");
    c->callback([k, run] { ((*k).*run)(); });
    return c;
  };

  auto* put = command("put", "Store a value", &key_commands::put);
  k->takes_key(put);
  k->takes_value(put);
  k->takes_write_options(put);
  put->add_flag("--if-absent", k->a.if_absent, "Only if the key is not there (else exit code 4)");
  put->add_flag("--if-present", k->a.if_present, "Only if the key is there (else exit code 3)");
  k->a.if_version =
      put->add_option("--if-version", k->a.version,
                      "Only if the record has this version; 0: is absent (else exit code 4)");

  auto* get = command("get", "Show a value; exactly its bytes where the output is no terminal",
                      &key_commands::get);
  k->takes_key(get);
  get->add_option("-o,--output", k->a.output_file, "Writes the value to a file")->type_name("FILE");
  add_durability(*get, k->a.level)->description("sync: answer only what is on disk");

  auto* del =
      command("del", "Delete keys (exit code 3 if one was not there)", &key_commands::erase);
  del->add_option("key", k->a.keys, "Keys")->required();
  add_durability(*del, k->a.level);

  auto* exists = command("exists", "Is the key there? Exit code 0 or 3", &key_commands::exists);
  k->takes_key(exists);
  add_durability(*exists, k->a.level)->description("sync: answer only what is on disk");

  auto* ttl = command("ttl", "How long the record still lives", &key_commands::ttl);
  k->takes_key(ttl);

  auto* expire = command("expire", "Set or remove the time to live", &key_commands::expire);
  k->takes_key(expire);
  expire->add_option("time", k->a.ttl, "From now on: 500ms, 10s, 2h; or never")->required();
  add_durability(*expire, k->a.level);

  auto* cas = command("cas", "Store a value if the record has this version (compare and set)",
                      &key_commands::cas);
  k->takes_key(cas);
  cas->add_option("version", k->a.version,
                  "Version that the record must have; 0: it must be absent")
      ->required();
  k->takes_value(cas);
  k->takes_write_options(cas);

  auto* incr = command("incr", "Add to a number and show the result; an absent key counts as 0",
                       &key_commands::increment);
  k->takes_key(incr);
  incr->add_option("delta", k->a.delta,
                   "What is added; may be negative behind a --: warp incr KEY -- -5")
      ->capture_default_str();
  incr->add_option("--by", k->a.delta, "The same as an option: --by=-5");
  add_durability(*incr, k->a.level);
}

} // namespace warp::programs
