#include "cluster/config_units.hpp"
#include "cluster/programs/bench_load.hpp"
#include "cluster/programs/http_get.hpp"
#include "cluster/programs/tool.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <csignal>
#include <fmt/format.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace warp::programs {

namespace {

using namespace std::chrono_literals;
using clock = bench_client::clock;

struct bench_arguments {
  bench_settings load;
  std::string level, http;
  double seconds = 10;
  bool cleanup = false;
};

/// Ctrl-C ends the measurement, and what was measured is shown.
volatile std::sig_atomic_t interrupted = 0;

double seconds_since(clock::time_point began) {
  return std::chrono::duration<double>(clock::now() - began).count();
}

std::string readable_ns(std::uint64_t ns) {
  const auto value = static_cast<double>(ns);
  if (ns < 10'000) return fmt::format("{:.1f} us", value / 1e3);
  if (ns < 1'000'000) return fmt::format("{:.0f} us", value / 1e3);
  if (ns < 10'000'000) return fmt::format("{:.2f} ms", value / 1e6);
  if (ns < 1'000'000'000) return fmt::format("{:.0f} ms", value / 1e6);
  return fmt::format("{:.2f} s", value / 1e9);
}

std::string readable_rate(double per_second) {
  return with_commas(static_cast<std::uint64_t>(std::llround(per_second)));
}

class bench {
public:
  bench(tool& t, const bench_arguments& a)
      : t_(t), a_(a), load_(a.load), keys_(a.load.keys, a.load.skew), shown_(::isatty(2) != 0) {
    fast_random random{1};
    values_.resize(2 * load_.value_bytes + 64 * 1024);
    for (auto& c : values_) c = static_cast<char>(' ' + random() % 95);
  }

  void run() {
    if (!connect()) return;
    std::signal(SIGINT, [](int) {
      interrupted = 1;
      std::signal(SIGINT, SIG_DFL); // a second one ends it at once
    });
    if (load_.get_percent > 0 && !fill()) return;
    const auto cpu = server_cpu();
    const auto took = measure();
    const auto cpu_after = server_cpu();
    bench_result all;
    for (auto& c : clients_) all.add(c->finish());
    std::optional<double> cpu_us;
    if (cpu && cpu_after && all.operations > 0)
      cpu_us = (*cpu_after - *cpu) * 1e6 / static_cast<double>(all.operations);
    if (t_.json)
      show_json(all, took, cpu_us);
    else
      show(all, took, cpu_us);
    if (all.errors > 0) t_.exit = exit_for(all.first_error.code());
    if (a_.cleanup) clean_up();
  }

private:
  bool connect() {
    for (std::size_t i = 0; i < load_.clients; ++i) {
      auto c = t_.connect();
      if (!c) return false;
      if (i == 0) {
        const auto info = c->info();
        if (!t_.check(info.status(), "bench")) return false;
        server_ = *info;
        if (load_.value_bytes > info->value_bytes_max) {
          t_.misuse(fmt::format("--value {}: the server takes {} bytes at most", load_.value_bytes,
                                info->value_bytes_max));
          return false;
        }
      }
      clients_.push_back(
          std::make_unique<bench_client>(std::move(c), load_, keys_, values_, i + 1));
    }
    return true;
  }

  /// So that gets find something.
  bool fill() {
    const auto began = clock::now();
    auto stream = first().stream_puts({.level = load_.level});
    if (!t_.check(stream.status(), "bench")) return false;
    for (std::uint64_t i = 0; i < load_.keys && !interrupted; ++i) {
      const auto value = std::string_view{values_}.substr(i % (64 * 1024), load_.value_bytes);
      if (auto status = (*stream)->put(bench_key{i}.view(), value); !status.ok())
        return t_.check(status, "bench: storing the keys");
      if (shown_ && i % 4'096 == 0)
        progress(
            fmt::format("storing the keys: {} of {}", with_commas(i), with_commas(load_.keys)));
    }
    auto status = (*stream)->flush();
    if (const auto failures = (*stream)->take_failures(); status.ok() && !failures.empty())
      status = failures.front().status;
    hide();
    filled_s_ = seconds_since(began);
    if (interrupted) t_.exit = tool_exit::failure; // nothing was measured
    return t_.check(status, "bench: storing the keys") && !interrupted;
  }

  /// Returns how long it took, s.
  double measure() {
    const auto began = clock::now();
    const auto end = began + std::chrono::duration_cast<clock::duration>(
                                 std::chrono::duration<double>(a_.seconds));
    // At a given rate the clients take turns.
    const auto turn =
        load_.rate > 0 ? std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(
                             static_cast<double>(load_.batch) / load_.rate))
                       : clock::duration{0};
    for (std::size_t i = 0; i < clients_.size(); ++i)
      clients_[i]->start(began + turn * static_cast<std::int64_t>(i), end);
    auto shown_at = began;
    std::uint64_t operations = 0;
    for (auto now = began; now < end && !interrupted; now = clock::now()) {
      auto next = std::min(end, now + 100ms); // to see an interruption
      if (load_.rate > 0)
        for (auto& c : clients_) next = std::min(next, c->pace());
      std::this_thread::sleep_until(std::max(next, now + 50us));
      if (!shown_ || clock::now() - shown_at < 1s) continue;
      std::uint64_t all = 0, errors = 0;
      for (auto& c : clients_) {
        all += c->operations();
        errors += c->errors();
      }
      progress(fmt::format(
          "{:.0f} s: {}/s, {} errors", seconds_since(began),
          readable_rate(static_cast<double>(all - operations) / seconds_since(shown_at)),
          with_commas(errors)));
      shown_at = clock::now();
      operations = all;
    }
    for (auto& c : clients_) c->stop();
    const auto took = seconds_since(began);
    hide();
    return took;
  }

  /// Processor time of the server so far, s, if its HTTP port tells.
  std::optional<double> server_cpu() {
    if (a_.http == "off") return {};
    const auto text = http_get(http_address(), "/metrics", 2s);
    if (!text) {
      http_failure_ = text.status().message();
      return {};
    }
    for (const std::string_view name :
         {"\nwarp_process_cpu_seconds_total ", "\nprocess_cpu_seconds_total "}) {
      const auto at = text->find(name);
      if (at == std::string::npos) continue;
      double seconds = 0;
      const auto* from = text->data() + at + name.size();
      if (std::from_chars(from, text->data() + text->size(), seconds).ec == std::errc{})
        return seconds;
    }
    http_failure_ = "it does not say";
    return {};
  }
  /// As told, else the usual port beside the server's.
  std::string http_address() const {
    if (!a_.http.empty()) return a_.http;
    const auto first = t_.server.substr(0, t_.server.find(','));
    const auto at = cluster::parse_address(first);
    const auto host = at ? at->host : first;
    return fmt::format("{0}{1}{2}:7480", host.find(':') == std::string::npos ? "" : "[", host,
                       host.find(':') == std::string::npos ? "" : "]");
  }

  std::string settings() const {
    const std::string keys =
        load_.skew == 0 ? "each as often" : fmt::format("zipf {:g}", load_.skew);
    return fmt::format(
        "{} client{}, {} request{} under way on each, {} operation{} in a request; {} % get, {} "
        "keys of {} B ({}), values of {} B, durability {}, {}",
        load_.clients, load_.clients == 1 ? "" : "s", load_.pipeline,
        load_.pipeline == 1 ? "" : "s", load_.batch, load_.batch == 1 ? "" : "s", load_.get_percent,
        with_commas(load_.keys), bench_key::size, keys, load_.value_bytes, level_name(),
        load_.rate == 0 ? "as fast as answers come"
                        : readable_rate(load_.rate) + " operations a second");
  }
  std::string level_name() const {
    if (!a_.level.empty()) return a_.level;
    for (const auto* name : {"memory", "async", "sync"})
      if (durability_of(name) == server_.default_level)
        return std::string{name} + " (the server's default)";
    return "the server's default";
  }

  void show(const bench_result& r, double took, std::optional<double> cpu_us) const {
    fmt::print("{}\n", settings());
    if (filled_s_ > 0)
      fmt::print("stored    {} keys in {:.1f} s before it\n", with_commas(load_.keys), filled_s_);
    fmt::print("rate      {} operations/s ({} in {:.1f} s)\n",
               readable_rate(static_cast<double>(r.operations) / took), with_commas(r.operations),
               took);
    fmt::print("latency   p50 {}, p90 {}, p99 {}, p99.9 {}, max {}{}\n",
               readable_ns(r.latency.quantile(0.5)), readable_ns(r.latency.quantile(0.9)),
               readable_ns(r.latency.quantile(0.99)), readable_ns(r.latency.quantile(0.999)),
               readable_ns(r.latency.max()), load_.batch == 1 ? "" : " (of a request)");
    fmt::print("errors    {}{}\n", with_commas(r.errors),
               r.errors > 0 ? ", the first one: " + r.first_error.to_string() : "");
    if (r.misses > 0) fmt::print("misses    {}\n", with_commas(r.misses));
    if (r.late > 0)
      fmt::print("late      {} operations were due and had to wait until the end: more than this "
                 "pipeline carries\n",
                 with_commas(r.late));
    if (cpu_us)
      fmt::print("server    {:.2f} us of processor time per operation\n", *cpu_us);
    else if (a_.http != "off")
      fmt::print("server    processor time not known: {} (name its HTTP port with --http)\n",
                 http_failure_);
    if (!a_.cleanup)
      fmt::print("The keys {}... stay; --cleanup removes them.\n", bench_key::prefix);
  }

  void show_json(const bench_result& r, double took, std::optional<double> cpu_us) const {
    const auto us = [&](double share) {
      return static_cast<double>(r.latency.quantile(share)) / 1e3;
    };
    fmt::print("{{\"clients\": {}, \"pipeline\": {}, \"batch\": {}, \"get_percent\": {}, \"keys\": "
               "{}, \"key_bytes\": {}, \"value_bytes\": {}, \"zipf\": {:g}, \"durability\": "
               "\"{}\", \"rate\": {:g}, ",
               load_.clients, load_.pipeline, load_.batch, load_.get_percent, load_.keys,
               bench_key::size, load_.value_bytes, load_.skew,
               a_.level.empty() ? "default" : a_.level, load_.rate);
    fmt::print("\"seconds\": {:.3f}, \"operations\": {}, \"operations_per_second\": {:.1f}, "
               "\"latency_us\": {{\"p50\": {:.1f}, \"p90\": {:.1f}, \"p99\": {:.1f}, \"p99.9\": "
               "{:.1f}, \"max\": {:.1f}}}, \"errors\": {}, \"misses\": {}, \"late\": {}, "
               "\"server_cpu_us_per_operation\": {}}}\n",
               took, r.operations, static_cast<double>(r.operations) / took, us(0.5), us(0.9),
               us(0.99), us(0.999), static_cast<double>(r.latency.max()) / 1e3, r.errors, r.misses,
               r.late, cpu_us ? fmt::format("{:.3f}", *cpu_us) : "null");
    if (r.errors > 0)
      fmt::print(stderr, "warp: bench: {} errors, the first one: {}\n", with_commas(r.errors),
                 r.first_error.to_string());
  }

  void clean_up() {
    constexpr std::uint64_t batch_keys = 4'096;
    for (std::uint64_t begin = 0; begin < load_.keys; begin += batch_keys) {
      client_batch batch;
      for (auto i = begin; i < std::min(begin + batch_keys, load_.keys); ++i)
        batch.erase(bench_key{i}.view());
      for (const auto& reply : first().execute(batch))
        if (!reply.ok() && reply.code() != op_code::not_found)
          return t_.fail(reply.status, "bench: removing the keys");
      if (shown_)
        progress(fmt::format("removing the keys: {} of {}", with_commas(begin),
                             with_commas(load_.keys)));
    }
    hide();
  }

  client& first() { return clients_.front()->connection(); }

  void progress(const std::string& text) {
    if (!shown_) return;
    fmt::print(stderr, "\r{}\033[K", text);
    visible_ = true;
  }
  void hide() {
    if (visible_) fmt::print(stderr, "\r\033[K");
    visible_ = false;
  }

  tool& t_;
  const bench_arguments& a_;
  const bench_settings& load_;
  const key_chooser keys_;
  std::string values_;
  const bool shown_;
  bool visible_ = false;
  double filled_s_ = 0;
  server_info server_;
  std::string http_failure_;
  std::vector<std::unique_ptr<bench_client>> clients_; // last: they use all of the above
};

constexpr const char* details =
    "Stores its keys (warp-bench:...), loads the server for --seconds, and says how it did. At a "
    "given --rate a request\n"
    "counts from the moment at which it was due, so a server that stalls cannot hide it. The "
    "requests of one client that are\n"
    "due at the same time travel in one message, as they do for every user of the client "
    "library.\n"
    "Ctrl-C ends the measurement early and shows what it has. Exit code: that of the first error, "
    "if there was one.\n"
    "\n"
    "Example: warp bench --clients 4 --pipeline 64 --get 95 --zipf 0.99";

} // namespace

void add_bench_command(CLI::App& app, tool& t) {
  const auto a = std::make_shared<bench_arguments>();
  auto& load = a->load;
  auto* c = app.add_subcommand("bench", "Load a running server and measure rate and latency");
  c->group("Operation");
  c->footer(details);
  c->add_option("--clients", load.clients, "Connections, each with a thread of its own")
      ->check(CLI::Range(1, 1'000))
      ->capture_default_str();
  c->add_option("--pipeline", load.pipeline, "Requests that each client keeps under way")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  c->add_option("--batch", load.batch, "Operations in a request")
      ->check(CLI::Range(1, 65'536))
      ->capture_default_str();
  c->add_option("--get", load.get_percent, "Percent of gets; the others are puts")
      ->check(CLI::Range(0, 100))
      ->capture_default_str();
  c->add_option("--keys", load.keys, "Different keys")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1'000'000'000}))
      ->capture_default_str();
  c->add_option("--value", load.value_bytes, "Bytes of a value")
      ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{value_size_hard_max}))
      ->capture_default_str();
  c->add_option("--zipf", load.skew,
                "How uneven the keys are asked for: 0 all alike, 0.99 as in most caches")
      ->check(CLI::Range(0.0, 0.999))
      ->capture_default_str();
  add_durability(*c, a->level)->description("Level of the puts. Default: the server's");
  c->add_option("--seconds", a->seconds, "How long")
      ->check(CLI::Range(0.01, 1e6))
      ->capture_default_str();
  c->add_option("--rate", load.rate,
                "Operations a second of all clients together; 0: as fast as answers come")
      ->check(CLI::Range(0.0, 1e9))
      ->capture_default_str();
  c->add_option("--http", a->http,
                "The server's HTTP port, for its processor time; off: do not ask. Default: port "
                "7480 of the server")
      ->type_name("ADDRESS");
  c->add_flag("--cleanup", a->cleanup, "Remove the keys in the end");
  c->callback([&t, a] {
    a->load.level = durability_of(a->level);
    bench{t, *a}.run();
  });
}

} // namespace warp::programs
