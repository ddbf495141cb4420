#include "cluster/programs/tool.hpp"
#include "messages/packed_fields.hpp"

#include <atomic>
#include <csignal>
#include <fmt/format.h>
#include <memory>
#include <pthread.h>
#include <unistd.h>

namespace warp::programs {

namespace {

struct watch_arguments {
  std::string key, prefix;
  std::uint64_t from = 0, count = 0;
  bool state = false, durable = false;
};

std::string_view name_of(const watch_event& e) {
  switch (e.kind) {
  case watch_kind::put:
    return e.state ? "state" : "put";
  case watch_kind::erase:
    return e.state ? "absent" : "erase";
  case watch_kind::expire:
    return "expire";
  case watch_kind::lost:
    return "lost";
  case watch_kind::state_end:
    return "state_end";
  case watch_kind::lagged:
    return "lagged";
  case watch_kind::synced:
    return "synced";
  case watch_kind::fields_set:
    return "fields_set";
  case watch_kind::fields_erased:
    return "fields_erased";
  case watch_kind::ended:
    break;
  }
  return "ended";
}

bool has_fields(const watch_event& e) {
  return e.kind == watch_kind::fields_set ||
         (e.kind == watch_kind::put && e.type == value_type::hash);
}

std::string json_line(const watch_event& e) {
  auto line = fmt::format("{{\"event\": \"{}\"", name_of(e));
  if (e.kind == watch_kind::lost || e.kind == watch_kind::state_end)
    line += fmt::format(", \"shard\": {}", e.shard.value);
  if (e.is_change()) line += ", " + json_bytes("key", e.key);
  if (has_fields(e))
    line += ", " + json_fields(e.value);
  else if (e.kind == watch_kind::fields_erased)
    line += ", " + json_names(e.value);
  else if (e.kind == watch_kind::put)
    line += ", " + json_bytes("value", e.value);
  if (e.is_change()) line += fmt::format(", \"version\": {}", e.version);
  if (e.kind == watch_kind::put || e.kind == watch_kind::expire)
    line += fmt::format(", \"expires_at_ms\": {}", e.expires_at_ms);
  return line + "}";
}

std::string text_line(const watch_event& e, std::string_view gap) {
  auto line = fmt::format("{}{}{}{}{}", e.version, gap, name_of(e), gap, printable(e.key));
  if (has_fields(e))
    line += fmt::format("{}{}", gap, printable_fields(e.value));
  else if (e.kind == watch_kind::fields_erased)
    for_each_name(e.value, [&](std::string_view name) { line += gap, line += printable(name); });
  else if (e.kind == watch_kind::put)
    line += fmt::format("{}{}", gap, printable(e.value));
  return line;
}

/// Prints events as they come, on the client's thread, and says when it is over.
class printer {
public:
  printer(const tool& t, std::uint64_t count)
      : json_(t.json), left_(count == 0 ? ~std::uint64_t{0} : count),
        gap_(stdout_is_terminal() ? "  " : "\t") {}

  void take(const watch_event& e) {
    if (over_) return;
    if (e.kind == watch_kind::ended) return finish({e.code, std::string{e.message}});
    if (json_) {
      out_.line(json_line(e));
    } else if (e.is_change()) {
      out_.line(text_line(e, gap_));
    } else if (e.kind == watch_kind::lost) {
      fmt::print(stderr,
                 "warp: changes may be missing here: what follows is how the keys of "
                 "shard {} are now\n",
                 e.shard.value);
    } else if (e.kind == watch_kind::lagged) {
      fmt::print(stderr, "warp: too slow for the changes: what follows is read from the log\n");
    }
    // Line by line: whoever reads is waiting.
    if (auto status = out_.finish(); !status.ok()) return finish(std::move(status));
    if (e.is_change() && --left_ == 0) finish({});
  }
  /// Behind the end of the watch.
  [[nodiscard]] const op_status& end() const { return end_; }

private:
  void finish(op_status why) {
    over_ = true;
    end_ = std::move(why);
    ::pthread_kill(waiting_, SIGTERM);
  }

  const bool json_;
  std::uint64_t left_;
  const std::string_view gap_;
  const pthread_t waiting_ = ::pthread_self();
  output out_;
  bool over_ = false;
  op_status end_;
};

void watch(tool& t, const watch_arguments& a, bool has_prefix, bool has_from) {
  if (has_prefix == !a.key.empty())
    return t.misuse("watch what? Give a KEY, or --prefix P (\"\" for all keys)");
  if (has_from && has_prefix)
    return t.misuse("--from goes with a KEY: the versions of keys in different shards do not "
                    "compare");
  if (has_from && a.state) return t.misuse("--from and --state exclude each other");
  // Ctrl-C is waited for; blocked before any thread is there, so in all of them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  const auto patience = duration_of(t.deadline);
  const auto c = t.connect();
  if (!c) return;
  watch_options what{.key = has_prefix ? a.prefix : a.key, .prefix = has_prefix};
  what.level = a.durable ? watch_level::durable : watch_level::applied;
  what.start = a.state ? watch_start::state : has_from ? watch_start::after : watch_start::now;
  what.version = a.from;
  printer shown{t, a.count};
  auto made = c->watch(
      what, [&](const watch_event& e) { shown.take(e); }, *patience);
  if (!made) return t.fail(made.status(), "watch");
  if (!t.json && ::isatty(STDERR_FILENO) != 0) fmt::print(stderr, "watching; Ctrl-C ends it\n");
  int signal = 0;
  ::sigwait(&signals, &signal);
  (*made)->cancel();
  if (!shown.end().ok()) t.fail(shown.end(), "watch");
}

} // namespace

void add_watch_command(CLI::App& app, tool& t) {
  const auto a = std::make_shared<watch_arguments>();
  auto* w = app.add_subcommand("watch", "Print the changes of a key, or of all keys with a prefix, "
                                        "as they are made");
  w->group("Many keys");
  w->add_option("key", a->key, "The key to watch");
  auto* prefix =
      w->add_option("-p,--prefix", a->prefix, "Watch all keys that begin with this; \"\": all");
  auto* from =
      w->add_option("--from", a->from, "Begin with the first change after this version of the key")
          ->type_name("VERSION");
  w->add_flag("--state", a->state, "Begin with what is there");
  w->add_option("-n,--count", a->count, "End after this many changes")->type_name("N");
  w->add_flag("--durable", a->durable,
              "Show a change when it is on disk, not as soon as it is made");
  w->callback([&t, a, prefix, from] { watch(t, *a, prefix->count() != 0, from->count() != 0); });
}

} // namespace warp::programs
