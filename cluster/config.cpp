#include "cluster/config.hpp"

#include "cluster/config_knobs.hpp"
#include "cluster/config_units.hpp"
#include "physics/entanglement_rule.hpp"
#include "storage/cpu_list.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <toml++/toml.h>
#include <unistd.h>
#include <utility>

namespace warp::cluster {

namespace {

/// Collects what is in force, and every mistake instead of the first alone.
struct loader {
  const config_inputs& inputs;
  loaded_config out;
  std::vector<std::string> mistakes;

  explicit loader(const config_inputs& i) : inputs(i) {
    for (const auto& k : knobs())
      out.settings.push_back({k.name(), k.show(k.read(out.values)), config_origin::built_in, {}});
  }

  static const knob* find(std::string_view name) {
    const auto all = knobs();
    const auto found = std::ranges::find(all, name, &knob::name);
    return found == all.end() ? nullptr : &*found;
  }

  void mistake(std::string_view where, std::string_view what) {
    mistakes.push_back(where.empty() ? std::string(what) : fmt::format("{}: {}", where, what));
  }

  void set(const knob& k, const knob_value& value, config_origin origin, std::string where) {
    k.write(out.values, value);
    auto& setting = out.settings[static_cast<std::size_t>(&k - knobs().data())];
    setting.value = k.show(value);
    setting.origin = origin;
    setting.where = std::move(where);
  }

  void set_text(const knob& k, std::string_view text, config_origin origin, std::string where) {
    auto value = parse_knob(k, text);
    if (value)
      set(k, *value, origin, std::move(where));
    else
      mistake(where, value.status().message());
  }

  static std::vector<std::string> keys_of(std::string_view section) {
    std::vector<std::string> keys;
    for (const auto& k : knobs())
      if (k.section == section) keys.emplace_back(k.key);
    return keys;
  }

  /// "did you mean ...?" for a name that no knob has; empty when nothing is near.
  static std::string meant(std::string_view section, std::string_view key) {
    std::vector<std::string> everywhere;
    for (const auto& k : knobs()) {
      everywhere.push_back(k.name());
      if (k.key == key) return fmt::format("; did you mean {}?", k.name());
    }
    if (const auto near = closest_name(key, keys_of(section)))
      return fmt::format("; did you mean {}?", *near);
    if (const auto near = closest_name(fmt::format("{}.{}", section, key), everywhere))
      return fmt::format("; did you mean {}?", *near);
    return {};
  }

  std::string place(const toml::source_region& source) const {
    return fmt::format("{}:{}", inputs.file_name, source.begin.line);
  }

  void take_file_value(const knob& k, const toml::node& node) {
    const auto where = place(node.source());
    if (const auto* text = node.as_string()) {
      if (k.kind == knob_kind::yes_no || k.kind == knob_kind::count)
        return mistake(where,
                       fmt::format("{} is a text: write {} without quotes", k.name(), text->get()));
      return set_text(k, text->get(), config_origin::file, where);
    }
    if (const auto* flag = node.as_boolean(); flag && k.kind == knob_kind::yes_no)
      return set(k, flag->get(), config_origin::file, where);
    if (const auto* number = node.as_integer();
        number && k.kind >= knob_kind::count && k.kind <= knob_kind::duration) {
      // A number goes the way of a text, so that a bare duration meets the same words.
      return set_text(k, fmt::format("{}", number->get()), config_origin::file, where);
    }
    mistake(where, fmt::format("{} has the wrong type: it must be {}", k.name(), k.range()));
  }

  void take_file() {
    if (!inputs.file_text) return;
    toml::table root;
    try {
      root = toml::parse(*inputs.file_text, inputs.file_name);
    } catch (const toml::parse_error& e) {
      return mistake(place(e.source()), e.description());
    }
    std::vector<std::string> sections;
    for (const auto& k : knobs())
      if (sections.empty() || sections.back() != k.section) sections.emplace_back(k.section);
    for (const auto& [section, node] : root) {
      if (std::ranges::find(sections, section.str()) == sections.end()) {
        const auto near = closest_name(section.str(), sections);
        auto hint = near ? fmt::format("; did you mean [{}]?", *near)
                         : fmt::format("; sections are {}", fmt::join(sections, ", "));
        if (!node.is_table())
          for (const auto& k : knobs())
            if (k.key == section.str())
              hint = fmt::format("; did you mean {} in section [{}]?", k.key, k.section);
        mistake(place(section.source()),
                fmt::format("there is no {} \"{}\"{}",
                            node.is_table() ? "section" : "setting outside a section",
                            section.str(), hint));
        continue;
      }
      const auto* entries = node.as_table();
      if (!entries) {
        mistake(place(section.source()),
                fmt::format("{0} is a section: write [{0}] and its settings below", section.str()));
        continue;
      }
      for (const auto& [key, value] : *entries) {
        if (const auto* k = find(fmt::format("{}.{}", section.str(), key.str())))
          take_file_value(*k, value);
        else
          mistake(place(key.source()),
                  fmt::format("there is no setting \"{}\" in section [{}]{}", key.str(),
                              section.str(), meant(section.str(), key.str())));
      }
    }
  }

  void take_environment() {
    for (const auto& [name, value] : inputs.environment) {
      if (!name.starts_with("WARP_")) continue;
      const auto all = knobs();
      const auto found = std::ranges::find(all, name, &knob::variable);
      if (found != all.end()) {
        set_text(*found, value, config_origin::environment, name);
        continue;
      }
      // Only a warning: an orchestrator adds variables of its own (WARP_RPC_SERVICE_HOST for a
      // service named warp-rpc).
      for (std::string_view section; const auto& k : all) {
        if (k.section == std::exchange(section, k.section)) continue;
        const auto prefix = k.variable().substr(0, sizeof "WARP_" + k.section.size());
        if (!name.starts_with(prefix)) continue;
        std::string key = name.substr(prefix.size());
        std::ranges::transform(key, key.begin(),
                               [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        if (const auto near = closest_name(key, keys_of(section)))
          out.warnings.push_back(
              fmt::format("the environment variable {} is not known and ignored; did you mean {}?",
                          name, find(fmt::format("{}.{}", section, *near))->variable()));
      }
    }
  }

  void take_flags() {
    for (const auto& [name, value] : inputs.flags) {
      if (const auto* k = find(name)) {
        set_text(*k, value, config_origin::flag, "--" + name);
        continue;
      }
      std::vector<std::string> names;
      for (const auto& k : knobs()) names.push_back(k.name());
      const auto near = closest_name(name, names);
      mistake("--" + name, near ? fmt::format("there is no such setting; did you mean {}?", *near)
                                : std::string("there is no such setting"));
    }
  }

  /// Where a knob was set, for a contradiction between several.
  std::string where_of(std::string_view name) const {
    const auto found = std::ranges::find(out.settings, name, &config_setting::name);
    return found->where.empty() ? "default" : found->where;
  }

  void contradiction(std::string_view name, std::string_view what) {
    mistake(where_of(name), what);
  }

  void check_storage() {
    const auto& c = out.values;
    const auto& e = c.engine;
    if (e.shard_count != 0 && !std::has_single_bit(e.shard_count))
      contradiction("storage.shards",
                    fmt::format("storage.shards = {} is not a power of two: use {} or {}",
                                e.shard_count, std::bit_floor(e.shard_count),
                                std::bit_ceil(e.shard_count)));
    if (e.shard_count != 0 && e.wal_streams > e.shard_count)
      contradiction(
          "storage.wal_streams",
          fmt::format("storage.wal_streams = {} is more than the {} shards (storage.shards, {})",
                      e.wal_streams, e.shard_count, where_of("storage.shards")));
    if (e.wal_max_bytes < 2 * e.segment_bytes)
      contradiction(
          "storage.wal_max",
          fmt::format(
              "storage.wal_max = {} is less than two log files of {} (storage.segment_size, {}): "
              "give it at least {}",
              format_size(e.wal_max_bytes), format_size(e.segment_bytes),
              where_of("storage.segment_size"), format_size(2 * e.segment_bytes)));
    if (const auto cpus = storage::parse_cpu_list(e.wal_cpus); !cpus)
      contradiction("storage.wal_cpus",
                    fmt::format("storage.wal_cpus: {}", cpus.status().message()));
    const auto folder_set =
        std::ranges::find(out.settings, "storage.folder", &config_setting::name)->origin !=
        config_origin::built_in;
    if (c.memory_only && folder_set)
      contradiction(
          "storage.memory_only",
          fmt::format(
              "storage.memory_only = true contradicts storage.folder ({}): remove one of them",
              where_of("storage.folder")));
    const auto level_set =
        std::ranges::find(out.settings, "storage.durability", &config_setting::name)->origin !=
        config_origin::built_in;
    if (c.memory_only && level_set && e.default_level != durability::memory)
      contradiction(
          "storage.durability",
          fmt::format(
              "storage.durability asks for a log, and storage.memory_only = true ({}) has none: "
              "remove one of them",
              where_of("storage.memory_only")));
    if (c.memory_only && c.checkpoint_on_stop)
      contradiction(
          "storage.checkpoint_on_stop",
          fmt::format(
              "storage.checkpoint_on_stop = true contradicts storage.memory_only = true ({})",
              where_of("storage.memory_only")));
  }

  void check_physics() {
    for (const auto& rule : out.values.physics_rules())
      if (!physics::entanglement_rule::parse(rule))
        contradiction("physics.rules",
                      fmt::format("physics.rules: '{}' is no rule: it looks like \"user:* -> "
                                  "profile:*, settings:*\", with one * on each side of each; "
                                  "between rules stands a semicolon",
                                  rule));
  }

  void check_listen(std::string_view name, const std::string& listen) {
    const auto address = parse_address(listen);
    if (!address || is_loopback(*address) || out.values.insecure) return;
    contradiction(
        name, fmt::format(
                  "{} = \"{}\" can be reached from other machines, and there is neither encryption "
                  "nor login yet: anybody "
                  "there could read and change the data. Listen on 127.0.0.1, or accept that with "
                  "security.insecure = true (--insecure)",
                  name, listen));
  }

  void check_cluster() {
    const auto& c = out.values.cluster;
    if (c.name.empty()) {
      if (c.node != 0)
        contradiction("cluster.node", "cluster.node needs the name of the cluster: "
                                      "set cluster.name");
      return;
    }
    if (c.node == 0)
      contradiction("cluster.name", "cluster.name needs the id of this node: set cluster.node, "
                                    "from 1 on");
    if (out.values.memory_only)
      contradiction("cluster.name",
                    fmt::format("a node of a cluster needs a data folder, and storage.memory_only "
                                "= true ({}) has none",
                                where_of("storage.memory_only")));
    if (c.ca.empty() != c.cert.empty() || c.ca.empty() != c.key.empty())
      contradiction("cluster.ca", "TLS between nodes needs all three of cluster.ca, cluster.cert "
                                  "and cluster.key");
    if (!c.ca.empty()) return;
    check_listen("cluster.listen", c.listen);
    check_listen("cluster.checkpoints", c.checkpoints);
  }

  void check() {
    check_storage();
    check_cluster();
    check_physics();
    const auto& c = out.values;
    if (c.cluster.name.empty() &&
        (c.resp_durability == "replicated" || c.resp_durability == "durable"))
      contradiction("resp.durability",
                    fmt::format("resp.durability = \"{}\" needs other nodes: set cluster.name",
                                c.resp_durability));
    check_listen("rpc.listen", c.rpc.listen);
    check_listen("resp.listen", c.resp.listen);
    check_listen("http.listen", c.http.listen);
    if (c.memory_only && c.resp_durability != "default" && c.resp_durability != "memory")
      contradiction("resp.durability",
                    fmt::format("resp.durability asks for a log, and storage.memory_only = true "
                                "({}) has none: remove one of them",
                                where_of("storage.memory_only")));
    if (c.backup.interval.count() != 0 && c.backup.folder.empty())
      contradiction("backup.interval", "backup.interval needs a folder: set backup.folder");
    if (c.backup.interval.count() != 0 && c.memory_only)
      contradiction("backup.interval",
                    fmt::format("backup.interval contradicts storage.memory_only = true ({})",
                                where_of("storage.memory_only")));
    const auto rpc = parse_address(c.rpc.listen), http = parse_address(c.http.listen);
    if (const auto cpus = storage::parse_cpu_list(c.rpc.cpus); !cpus)
      contradiction("rpc.cpus", fmt::format("rpc.cpus: {}", cpus.status().message()));
    const auto resp = parse_address(c.resp.listen);
    const auto apart = [&](std::string_view name, const auto& at, std::string_view other_name,
                           const auto& other) {
      if (at && other && at->port != 0 && at->port == other->port &&
          (at->host == other->host || at->host == "*" || other->host == "*"))
        contradiction(name, fmt::format("{} and {} ({}) are the same port {}", name, other_name,
                                        where_of(other_name), at->port));
    };
    apart("http.listen", http, "rpc.listen", rpc);
    apart("resp.listen", resp, "rpc.listen", rpc);
    apart("resp.listen", resp, "http.listen", http);
  }
};

} // namespace

op_result<loaded_config> load_config(const config_inputs& inputs) {
  loader l(inputs);
  l.take_file();
  l.take_environment();
  l.take_flags();
  // Values that are wrong on their own would only cause a second, misleading message together.
  if (l.mistakes.empty()) l.check();
  if (!l.mistakes.empty())
    return op_status(op_code::invalid_argument, fmt::format("{}", fmt::join(l.mistakes, "\n")));
  // Without a log there is one level only, so nobody needs to say so.
  if (l.out.values.memory_only) l.out.values.engine.default_level = durability::memory;
  return std::move(l.out);
}

op_result<config_inputs> read_config_file(const std::string& path) {
  config_inputs inputs;
  if (path.empty()) return inputs;
  std::string text;
  errno = 0;
  if (std::FILE* file = std::fopen(path.c_str(), "rb")) {
    char buffer[4096];
    for (std::size_t n; (n = std::fread(buffer, 1, sizeof buffer, file)) > 0;)
      text.append(buffer, n);
    if (std::ferror(file) == 0) errno = 0;
    std::fclose(file);
  }
  if (errno != 0) {
    const auto code = errno == ENOENT ? op_code::not_found : op_code::io_error;
    return op_status(
        code, fmt::format("cannot read the configuration {}: {}", path, std::strerror(errno)));
  }
  inputs.file_name = path;
  inputs.file_text = std::move(text);
  return inputs;
}

std::vector<std::pair<std::string, std::string>> process_environment() {
  std::vector<std::pair<std::string, std::string>> all;
  for (char** entry = environ; entry && *entry; ++entry) {
    const std::string_view text = *entry;
    const auto equals = text.find('=');
    if (equals != std::string_view::npos)
      all.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return all;
}

std::vector<std::string> server_config::physics_rules() const {
  std::vector<std::string> out;
  for (std::string_view rest = physics.rules; !rest.empty();) {
    const auto end = rest.find(';');
    auto one = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
    const auto first = one.find_first_not_of(' ');
    if (first == std::string_view::npos) continue;
    one = one.substr(first, one.find_last_not_of(' ') - first + 1);
    if (one == "examples")
      out.insert(out.end(), std::begin(example_rules), std::end(example_rules));
    else
      out.emplace_back(one);
  }
  return out;
}

} // namespace warp::cluster
