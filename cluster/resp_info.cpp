#include "cluster/resp_info.hpp"

#include "cluster/resp_io_thread.hpp"
#include "cluster/resp_text.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

namespace warp::cluster {

namespace {

std::string human(std::uint64_t bytes) {
  constexpr const char* units[] = {"B", "K", "M", "G", "T"};
  auto amount = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; amount >= 1024 && unit + 1 < std::size(units); ++unit) amount /= 1024;
  return unit == 0 ? fmt::format("{}B", bytes) : fmt::format("{:.2f}{}", amount, units[unit]);
}

std::uint64_t resident_bytes() {
  std::uint64_t size = 0, resident = 0;
  if (std::FILE* in = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(in, "%lu %lu", &size, &resident) != 2) resident = 0;
    std::fclose(in);
  }
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

double seconds(const timeval& t) {
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
}

resp_counters sum_of(resp_shared& shared) {
  resp_counters sum;
  for (const auto& thread : shared.threads) sum.add(thread->counters());
  return sum;
}

/// What CONFIG RESETSTAT sets to 0.
using counter = std::atomic<std::uint64_t> resp_counters::*;
constexpr counter resettable[] = {&resp_counters::connections_opened,
                                  &resp_counters::connections_refused,
                                  &resp_counters::connections_dropped,
                                  &resp_counters::slow_consumers_dropped,
                                  &resp_counters::commands,
                                  &resp_counters::errors,
                                  &resp_counters::bytes_received,
                                  &resp_counters::bytes_sent,
                                  &resp_counters::transactions,
                                  &resp_counters::transactions_aborted,
                                  &resp_counters::hits,
                                  &resp_counters::misses};

class page {
public:
  explicit page(resp_shared& shared) : shared_(shared), counters_(sum_of(shared)) {
    for (const auto which : resettable) counters_.*which -= of(shared.reset_at.*which);
  }

  void write(std::string_view section) {
    const auto begin = text_.size();
    for (const auto& [name, writer] : writers)
      if (same_word(name, section)) {
        if (begin != 0) text_ += "\r\n";
        text_ += fmt::format("# {}\r\n", name);
        (this->*writer)();
      }
  }
  [[nodiscard]] std::string take() { return std::move(text_); }

  static constexpr std::string_view usual[] = {
      "Server", "Clients", "Memory",     "Persistence", "Stats",   "Replication",
      "CPU",    "Modules", "Errorstats", "Cluster",     "Keyspace"};

private:
  template <class Value>
  void row(std::string_view name, const Value& value) {
    text_ += fmt::format("{}:{}\r\n", name, value);
  }
  static std::uint64_t of(const std::atomic<std::uint64_t>& counter) {
    return counter.load(std::memory_order_relaxed);
  }
  const resp_memory_use& memory() {
    if (!memory_) memory_ = resp_memory(shared_);
    return *memory_;
  }

  void server() {
    utsname system{};
    ::uname(&system);
    const auto up =
        static_cast<std::int64_t>(shared_.now_ms() / 1'000) - shared_.started_at_ms / 1'000;
    row("redis_version", redis_version);
    row("warp_version", shared_.options.version);
    row("redis_git_sha1", "00000000");
    row("redis_git_dirty", 0);
    row("redis_mode", shared_.options.cluster != nullptr ? "cluster" : "standalone");
    row("os", fmt::format("{} {} {}", system.sysname, system.release, system.machine));
    row("arch_bits", 64);
    row("monotonic_clock", "POSIX clock_gettime");
    row("multiplexing_api", "epoll");
    row("process_id", ::getpid());
    row("process_supervised", "no");
    row("run_id", shared_.run_id);
    row("tcp_port", shared_.port);
    row("server_time_usec", shared_.time->now_us());
    row("uptime_in_seconds", up);
    row("uptime_in_days", up / 86'400);
    row("hz", 10);
    row("configured_hz", 10);
    row("io_threads_active", shared_.threads.size() > 1 ? 1 : 0);
  }

  void clients() {
    std::uint64_t subscribed = 0, watching = 0, blocked = 0, in = 0, out = 0;
    for (const auto& card : shared_.clients.all()) {
      subscribed += card->channels + card->patterns + card->shard_channels != 0;
      watching += card->watched != 0;
      blocked += card->blocked;
      in = std::max(in, card->input_bytes.load(std::memory_order_relaxed));
      out = std::max(out, card->output_bytes.load(std::memory_order_relaxed));
    }
    row("connected_clients", shared_.connections_open.load(std::memory_order_relaxed));
    row("cluster_connections", 0);
    row("maxclients", shared_.options.connections_max);
    row("client_recent_max_input_buffer", in);
    row("client_recent_max_output_buffer", out);
    row("blocked_clients", blocked);
    row("tracking_clients", 0);
    row("pubsub_clients", subscribed);
    row("watching_clients", watching);
    row("clients_in_timeout_table", 0);
  }

  void memory_section() {
    const auto& m = memory();
    const auto resident = resident_bytes();
    const auto most = shared_.engine.options().max_memory_bytes;
    row("used_memory", m.used);
    row("used_memory_human", human(m.used));
    row("used_memory_rss", resident);
    row("used_memory_rss_human", human(resident));
    row("used_memory_peak", resident);
    row("used_memory_peak_human", human(resident));
    row("used_memory_overhead", m.used - m.records);
    row("used_memory_dataset", m.records);
    row("used_memory_lua", 0);
    row("used_memory_scripts", 0);
    row("number_of_cached_scripts", 0);
    row("maxmemory", most);
    row("maxmemory_human", human(most));
    row("maxmemory_policy", "noeviction");
    row("mem_fragmentation_ratio",
        fmt::format("{:.2f}", m.used == 0
                                  ? 1.0
                                  : static_cast<double>(resident) / static_cast<double>(m.used)));
    row("mem_allocator", "warp");
    row("active_defrag_running", 0);
    row("lazyfree_pending_objects", shared_.engine.keys_being_freed());
  }

  void persistence() {
    auto& engine = shared_.engine;
    const bool logged = !engine.options().folder.empty();
    const auto log = engine.stats_of_log();
    std::uint64_t unsaved = 0;
    for (std::uint32_t i = 0; i < engine.shard_count(); ++i) {
      const auto s = engine.stats(shard_id{i});
      unsaved += s.last_lsn > s.checkpoint_lsn ? s.last_lsn - s.checkpoint_lsn : 0;
    }
    const bool failed = engine.log_failed();
    row("loading", 0);
    row("async_loading", 0);
    row("rdb_changes_since_last_save", unsaved);
    row("rdb_bgsave_in_progress", shared_.saving.load() ? 1 : 0);
    row("rdb_last_save_time", shared_.last_save_s.load());
    row("rdb_last_bgsave_status", "ok");
    row("rdb_last_bgsave_time_sec", -1);
    row("rdb_current_bgsave_time_sec", -1);
    row("aof_enabled", logged ? 1 : 0);
    row("aof_rewrite_in_progress", 0);
    row("aof_rewrite_scheduled", 0);
    row("aof_last_rewrite_time_sec", -1);
    row("aof_current_rewrite_time_sec", -1);
    row("aof_last_bgrewrite_status", "ok");
    row("aof_last_write_status", failed ? "err" : "ok");
    if (!logged) return;
    row("aof_current_size", log.bytes);
    row("aof_base_size", 0);
    row("aof_pending_bio_fsync", of(counters_.waiting_durable));
  }

  void stats() {
    const auto& m = memory();
    row("total_connections_received", of(counters_.connections_opened));
    row("total_commands_processed", of(counters_.commands));
    row("instantaneous_ops_per_sec", 0);
    row("total_net_input_bytes", of(counters_.bytes_received));
    row("total_net_output_bytes", of(counters_.bytes_sent));
    row("instantaneous_input_kbps", "0.00");
    row("instantaneous_output_kbps", "0.00");
    row("rejected_connections", of(counters_.connections_refused));
    row("expired_keys", m.expired);
    row("evicted_keys", 0);
    row("keyspace_hits", of(counters_.hits));
    row("keyspace_misses", of(counters_.misses));
    row("pubsub_channels", shared_.pubsub.names(channel_kind::channel));
    row("pubsub_patterns", shared_.pubsub.names(channel_kind::pattern));
    row("pubsubshard_channels", shared_.pubsub.names(channel_kind::shard));
    row("latest_fork_usec", 0);
    row("total_forks", 0);
    row("total_error_replies", of(counters_.errors));
    row("client_query_buffer_limit_disconnections", of(counters_.connections_dropped));
    row("client_output_buffer_limit_disconnections", of(counters_.slow_consumers_dropped));
    row("warp_transactions", of(counters_.transactions));
    row("warp_transactions_aborted", of(counters_.transactions_aborted));
  }

  void replication() {
    row("role", "master");
    row("connected_slaves", 0);
    row("master_failover_state", "no-failover");
    row("master_replid", shared_.run_id);
    row("master_replid2", std::string(40, '0'));
    row("master_repl_offset", 0);
    row("second_repl_offset", -1);
    row("repl_backlog_active", 0);
    row("repl_backlog_size", 0);
    row("repl_backlog_first_byte_offset", 0);
    row("repl_backlog_histlen", 0);
  }

  void cpu() {
    rusage self{};
    ::getrusage(RUSAGE_SELF, &self);
    row("used_cpu_sys", fmt::format("{:.6f}", seconds(self.ru_stime)));
    row("used_cpu_user", fmt::format("{:.6f}", seconds(self.ru_utime)));
    row("used_cpu_sys_children", "0.000000");
    row("used_cpu_user_children", "0.000000");
  }

  void modules() {}
  void errorstats() {}

  void commandstats() {
    for (const auto& command : all_commands()) {
      std::uint64_t calls = 0, us = 0, rejected = 0, failed = 0;
      for (const auto& thread : shared_.threads) {
        const auto& count = thread->count_of(command.number);
        calls += of(count.calls);
        us += of(count.took_us);
        rejected += of(count.rejected);
        failed += of(count.failed);
      }
      if (calls + rejected == 0) continue;
      row(fmt::format("cmdstat_{}", command.name),
          fmt::format("calls={},usec={},usec_per_call={:.2f},rejected_calls={},failed_calls={}",
                      calls, us,
                      calls == 0 ? 0.0 : static_cast<double>(us) / static_cast<double>(calls),
                      rejected, failed));
    }
  }

  /// As CLUSTER answers for the one node of a cluster, which redis-cli --cluster asks here. The
  /// mode is "standalone" all the same: keys of any slots may meet in a command. It is "cluster"
  /// where the node belongs to one.
  void cluster() { row("cluster_enabled", 1); }

  void keyspace() {
    const auto& m = memory();
    if (m.keys != 0) row("db0", fmt::format("keys={},expires={},avg_ttl=0", m.keys, m.expiring));
  }

  static constexpr std::pair<std::string_view, void (page::*)()> writers[] = {
      {"Server", &page::server},
      {"Clients", &page::clients},
      {"Memory", &page::memory_section},
      {"Persistence", &page::persistence},
      {"Stats", &page::stats},
      {"Replication", &page::replication},
      {"CPU", &page::cpu},
      {"Modules", &page::modules},
      {"Errorstats", &page::errorstats},
      {"Commandstats", &page::commandstats},
      {"Cluster", &page::cluster},
      {"Keyspace", &page::keyspace}};

  resp_shared& shared_;
  resp_counters counters_;
  std::optional<resp_memory_use> memory_;
  std::string text_;
};

} // namespace

resp_memory_use resp_memory(resp_shared& shared) {
  resp_memory_use sum;
  for (std::uint32_t i = 0; i < shared.engine.shard_count(); ++i) {
    const auto s = shared.engine.stats(shard_id{i});
    sum.keys += s.table.keys;
    sum.expiring += s.table.expiring_keys;
    sum.records += s.table.record_bytes;
    sum.used += s.table.record_bytes + s.table.index_bytes;
    sum.expired += s.expired;
  }
  return sum;
}

void reset_info(resp_shared& shared) {
  const auto now = sum_of(shared);
  for (const auto which : resettable)
    shared.reset_at.*which = (now.*which).load(std::memory_order_relaxed);
}

std::string resp_info(resp_shared& shared, resp_arguments sections) {
  page text{shared};
  std::vector<std::string_view> wanted;
  const auto add = [&](std::string_view name) {
    if (std::ranges::none_of(wanted, [&](auto w) { return same_word(w, name); }))
      wanted.push_back(name);
  };
  for (const auto section : sections) {
    const bool all = same_word(section, "all") || same_word(section, "everything");
    if (all || same_word(section, "default"))
      for (const auto name : page::usual) add(name);
    if (all)
      add("Commandstats");
    else if (!same_word(section, "default"))
      add(section);
  }
  if (sections.empty()) wanted.assign(std::begin(page::usual), std::end(page::usual));
  for (const auto section : wanted) text.write(section);
  return text.take();
}

bool is_in_category(const resp_command& command, std::string_view category) {
  using namespace command_flags;
  const auto has = [&](std::uint32_t flag) { return (command.flags & flag) != 0; };
  if (same_word(category, "write")) return has(write);
  if (same_word(category, "read")) return has(readonly);
  if (same_word(category, "admin")) return has(admin);
  if (same_word(category, "dangerous")) return has(admin | dangerous);
  if (same_word(category, "fast")) return has(fast);
  if (same_word(category, "slow")) return !has(fast);
  if (same_word(category, "blocking")) return has(blocking);
  if (same_word(category, "pubsub")) return command.group == "pubsub";
  if (same_word(category, "keyspace"))
    return command.group == "generic" || command.kind == command_kind::whole;
  if (same_word(category, "transaction")) return command.group == "transactions";
  return same_word(category, command.group);
}

} // namespace warp::cluster
