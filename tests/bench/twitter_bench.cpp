// The engine under workloads fitted to six of Twitter's cache clusters (twitter_cluster.hpp), log
// on, with expiry; beside it std::unordered_map behind mutexes, which logs nothing, expires nothing
// and takes conditional writes as plain ones.

#include "tests/bench/hardware.hpp"
#include "tests/bench/live_engine.hpp"
#include "tests/bench/load.hpp"
#include "tests/bench/map_store.hpp"
#include "tests/bench/random_text.hpp"
#include "tests/bench/report.hpp"
#include "tests/bench/twitter_cluster.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace {

using namespace warp;
using namespace warp::bench;

constexpr auto usage = R"(twitter_bench [OPTION...]
  --keys N        objects of a cluster at most, default 4000000
  --seconds S     of one run, default 2
  --only PATTERN  only sections whose title matches the regular expression
  --quick         short runs, 1000000 objects at most
  --json FILE     all figures and runs for programs
)";

std::uint64_t now_ms() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                        std::chrono::system_clock::now().time_since_epoch())
                                        .count());
}

struct counts {
  std::uint64_t reads = 0, hits = 0, payload_bytes = 0;
};

/// One client: its requests are drawn beforehand and repeated, turned into operations call by call.
class client {
public:
  client(const twitter_cluster& c, std::uint64_t objects, const std::vector<std::uint32_t>& list,
         std::size_t batch, unsigned thread)
      : cluster_(c), keys_(batch * c.key_bytes), value_(random_text(c.value_bytes * 3 / 2 + 1)),
        ops_(batch), replies_(batch) {
    twitter_requests requests{c, objects, list, thread + 1};
    requests_.reserve(1 << 19);
    while (requests_.size() < requests_.capacity()) requests_.push_back(requests.next());
    for (std::size_t i = 0; i < batch; ++i)
      ops_[i].key = {keys_.data() + i * c.key_bytes, c.key_bytes};
    kinds_.resize(batch);
  }

  template <drivable Store>
  std::size_t call(Store& store) {
    const auto now = now_ms();
    for (std::size_t i = 0; i < ops_.size(); ++i) prepare(i, now);
    arena_.clear();
    store.execute(ops_, replies_, arena_);
    for (std::size_t i = 0; i < ops_.size(); ++i) take(i);
    return ops_.size();
  }
  [[nodiscard]] const counts& seen() const noexcept { return seen_; }

private:
  using kind = twitter_requests::kind;

  void prepare(std::size_t i, std::uint64_t now) {
    if (at_ == requests_.size()) at_ = 0;
    const auto& r = requests_[at_++];
    auto& op = ops_[i];
    char* const key = keys_.data() + i * cluster_.key_bytes;
    twitter_requests::write_key(cluster_, r.key, key);
    kinds_[i] = r.what;
    op.condition = write_condition::always;
    op.expected_version = 0;
    if (r.what == kind::get || r.what == kind::gets) {
      op.kind = op_kind::get;
      op.value = {};
      op.expires_at_ms = 0;
      return;
    }
    op.kind = op_kind::put;
    op.value = std::string_view{value_}.substr(0, r.value_bytes);
    op.expires_at_ms = now + r.ttl_seconds * 1'000ull;
    if (r.what == kind::add) op.condition = write_condition::if_absent;
    if (r.what == kind::cas && remembered_version_ != 0) { // of the last key that was read for it
      remembered_key_.copy(key, remembered_key_.size());
      op.condition = write_condition::if_version;
      op.expected_version = remembered_version_;
      remembered_version_ = 0;
    }
  }
  void take(std::size_t i) {
    const auto& op = ops_[i];
    const auto& reply = replies_[i];
    seen_.payload_bytes += op.key.size() + op.value.size() + reply.value.size();
    if (op.kind == op_kind::get) {
      ++seen_.reads;
      seen_.hits += reply.code == op_code::ok;
      if (kinds_[i] == kind::gets && reply.code == op_code::ok) {
        remembered_key_ = op.key;
        remembered_version_ = reply.version;
      }
    }
    if (reply.code != op_code::ok && reply.code != op_code::not_found &&
        reply.code != op_code::already_exists && reply.code != op_code::version_mismatch) {
      std::fprintf(stderr, "twitter_bench: an operation failed: %s\n",
                   std::string{to_string(reply.code)}.c_str());
      std::exit(1);
    }
  }

  const twitter_cluster& cluster_;
  std::vector<char> keys_;
  std::string value_;
  std::vector<operation> ops_;
  std::vector<storage::op_reply> replies_;
  std::vector<kind> kinds_;
  storage::value_arena arena_;
  std::vector<twitter_requests::request> requests_;
  std::size_t at_ = 0;
  std::string remembered_key_;
  lsn_t remembered_version_ = 0;
  counts seen_;
};

template <drivable Store>
void fill_cluster(Store& store, const twitter_cluster& c, std::uint64_t objects,
                  const std::vector<std::uint32_t>& list) {
  constexpr std::size_t batch = 64;
  twitter_requests requests{c, objects, list, 99};
  const auto value = random_text(c.value_bytes * 3 / 2 + 1);
  std::vector<char> keys(batch * c.key_bytes);
  std::vector<operation> ops(batch);
  std::vector<storage::op_reply> replies(batch);
  storage::value_arena arena;
  for (std::uint64_t at = 0; at < objects;) {
    std::size_t n = 0;
    const auto now = now_ms();
    for (; n < batch && at < objects; ++n, ++at) {
      char* const key = keys.data() + n * c.key_bytes;
      twitter_requests::write_key(c, static_cast<std::uint32_t>(at), key);
      ops[n] = {.kind = op_kind::put,
                .key = {key, c.key_bytes},
                .value = std::string_view{value}.substr(0, requests.draw_value_bytes()),
                .expires_at_ms = now + requests.draw_ttl_seconds() * 1'000ull};
    }
    store.execute(std::span{ops}.first(n), std::span{replies}.first(n), arena);
  }
}

struct outcome {
  timed_run run;
  counts seen;
};

template <drivable Store>
outcome drive_cluster(Store& store, const twitter_cluster& c, std::uint64_t objects,
                      const std::vector<std::uint32_t>& list, std::size_t batch, unsigned threads,
                      double seconds) {
  std::vector<std::unique_ptr<client>> clients;
  for (unsigned t = 0; t < threads; ++t)
    clients.push_back(std::make_unique<client>(c, objects, list, batch, t));
  outcome out{.run = run_threads(threads, seconds, [&](unsigned t) {
                std::uint64_t done = 0;
                for (std::size_t i = 0; i < 1 + 63 / batch; ++i) done += clients[t]->call(store);
                return done;
              })};
  for (const auto& one : clients) {
    out.seen.reads += one->seen().reads;
    out.seen.hits += one->seen().hits;
    out.seen.payload_bytes += one->seen().payload_bytes;
  }
  return out;
}

void run_cluster(report& out, const twitter_cluster& c, std::uint64_t objects_max, int repeats,
                 double seconds) {
  const auto objects = std::min(c.objects(), objects_max);
  out.section(fmt::format("cluster {}: {} B + {} B, {:.0f} % reads, zipf {}, {} of {} objects",
                          c.number, c.key_bytes, c.value_bytes, 100 * (1 - c.set - c.add - c.cas),
                          c.zipf_theta, objects, c.objects()));
  if (!out.wanted_section()) return;
  const auto list = twitter_requests::popular_keys(c, objects, 2'000'000);
  live_engine db;
  map_store peer{objects};
  fill_cluster(*db, c, objects, list);
  fill_cluster(peer, c, objects, list);
  db.settle();
  figure hits{.name = "reads that hit", .unit = "%"},
      payload{.name = "keys and values, 2 threads, batches of 32", .unit = "MB/s"};
  for (const unsigned threads : {1u, 2u})
    for (const std::size_t batch : {1u, 32u}) {
      figure rate{.name = fmt::format("{} thread{}, {}", threads, threads == 1 ? "" : "s",
                                      batch == 1 ? "single" : "batches of 32"),
                  .unit = "M/s",
                  .peer = "map"};
      for (int i = 0; i < repeats; ++i) {
        const auto ours = drive_cluster(*db, c, objects, list, batch, threads, seconds);
        db.settle();
        const auto theirs = drive_cluster(peer, c, objects, list, batch, threads, seconds);
        rate.runs.push_back(ours.run.rate_m());
        rate.peer_runs.push_back(theirs.run.rate_m());
        hits.runs.push_back(100 * static_cast<double>(ours.seen.hits) /
                            static_cast<double>(ours.seen.reads));
        if (threads == 2 && batch == 32)
          payload.runs.push_back(static_cast<double>(ours.seen.payload_bytes) / ours.run.seconds /
                                 1e6);
      }
      out.add(std::move(rate));
    }
  out.add(std::move(payload));
  out.add(std::move(hits));
  const auto stats = db.stats();
  const auto& t = stats.table;
  out.add({.name = "memory over key + value, counted",
           .unit = "B/key",
           .runs = {static_cast<double>(t.record_bytes + t.free_bytes + t.index_bytes -
                                        t.key_bytes - t.value_bytes) /
                    static_cast<double>(t.keys)}});
  out.add({.name = "log over key + value of a write",
           .unit = "B",
           .runs = {static_cast<double>(stats.log_bytes) / static_cast<double>(stats.log_records) -
                    static_cast<double>(c.key_bytes + c.value_bytes)}});
}

} // namespace

int main(int argc, char** argv) {
  report out{argc, argv, usage};
  const auto objects = out.keys(out.quick() ? 1'000'000 : 4'000'000);
  const int repeats = out.quick() ? 1 : 3;
  const double seconds = out.seconds(out.quick() ? 0.4 : 2);
  out.begin("workloads fitted to Twitter's cache clusters, in process, log on",
            6 * (5 + static_cast<double>(objects) * 6e-6 + 8 * seconds * repeats * 1.3));
  out.setting("source",
              "means of stat/2020Mar.md of github.com/twitter/cache-trace (CC-BY 4.0), with "
              "Yang et al., OSDI 2020; the fit is described in twitter_cluster.hpp");
  out.setting("engine", "64 shards, default options: writes async, checkpoints when due");
  out.setting("peer",
              "map: std::unordered_map in 64 pieces with a std::mutex each, no log, no expiry, "
              "conditional writes taken as plain ones");
  out.setting("objects", fmt::format("the cluster's own, {} at most", objects));
  out.setting("runs", fmt::format("{} of {} s, in turns with the peer", repeats, seconds));
  out.setting("data folder", file_system_name(testing::temp_folder{}.path()));
  for (const auto& c : twitter_clusters()) run_cluster(out, c, objects, repeats, seconds);
  return 0;
}
