// What SETs cost the three copies of their shards: three nodes' copies on one thread, which hand
// each other envelopes without a network. So every part is timed alone, and the same each time:
// nobody sleeps, nobody is woken, no other thread is in the way.
#include "cluster/links/envelope.hpp"
#include "cluster/shard_hosts.hpp"
#include "storage/engine.hpp"
#include "tests/bench/report.hpp"
#include "tests/bench/stopwatch.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

namespace {

using namespace warp;
using namespace warp::bench;
using namespace warp::cluster;
using namespace warp::cluster::links;
using replication::node_id;

constexpr std::size_t node_count = 3;

class node;

/// Around one copy: sends go to the node's list, etcd is a variable that all three share.
class copy final : public replication_surroundings {
public:
  copy(node& home, shard_id shard, replication::authority& key)
      : home_(home), shard_(shard), key_(key) {}
  replication::moment now() override;
  void send(node_id to, replication::message what) override;
  void read_authority() override { asked = true; }
  void compare_and_set(std::uint64_t, const replication::authority& value) override {
    key_ = value;
    asked = true;
  }
  void offer_checkpoint(node_id, epoch_t) override { std::abort(); }
  void loss_decided(const op_status&) override {}
  void checkpoint_outdated() override {}
  void serving(bool, epoch_t) override {}
  void halted(const op_status& why) override {
    std::fprintf(stderr, "a copy has halted: %s\n", why.to_string().c_str());
    std::abort();
  }
  [[nodiscard]] const replication::authority& key() const { return key_; }
  bool asked = false;

private:
  node& home_;
  const shard_id shard_;
  replication::authority& key_;
};

class node {
public:
  node(std::uint32_t id, const std::string& folder, std::uint32_t shards,
       std::vector<replication::authority>& keys, replication::ack_level level)
      : self{cluster_id{1}, "bench", node_id{id}, boot_id{1}, id} {
    auto opened = storage::engine::open(
        {.folder = folder, .shard_count = shards, .wal_streams = 1, .replicated = true});
    if (!opened) fail(opened.status());
    db = std::move(*opened);
    hosts = std::make_unique<shard_hosts>(*db);
    replication_host_options options;
    options.machine.level = level;
    options.machine.min_isr = 2;
    for (std::uint32_t s = 0; s < shards; ++s) {
      copies.push_back(std::make_unique<copy>(*this, shard_id{s}, keys[s]));
      if (auto status = hosts->open(shard_id{s}, self.node, options, *copies[s]); !status.ok())
        fail(status);
    }
  }

  [[noreturn]] static void fail(const op_status& why) {
    std::fprintf(stderr, "copies_bench: %s\n", why.to_string().c_str());
    std::exit(1);
  }

  node_identity self;
  std::unique_ptr<storage::engine> db;
  std::vector<std::unique_ptr<copy>> copies;
  std::unique_ptr<shard_hosts> hosts;
  std::array<std::vector<shard_message>, node_count> out; ///< by node
  replication::moment time = 3'600 * replication::seconds;
};

replication::moment copy::now() {
  return home_.time;
}
void copy::send(node_id to, replication::message what) {
  home_.out[to.value - 1].push_back({shard_, std::move(what)});
}

/// Where the time goes, in ticks.
struct parts {
  std::uint64_t execute = 0, encode = 0, decode = 0, follower = 0, acks = 0, rounds = 0,
                messages = 0, envelopes = 0;
};

class world {
public:
  world(std::uint32_t shards, replication::ack_level level) : shards_(shards), keys_(shards) {
    folder_ = fmt::format("/tmp/copies_bench.{}", ::getpid());
    for (std::uint32_t i = 1; i <= node_count; ++i)
      nodes_.push_back(
          std::make_unique<node>(i, fmt::format("{}/{}", folder_, i), shards, keys_, level));
    for (std::uint32_t s = 0; s < shards; ++s) {
      auto& k = keys_[s];
      nodes_[0]->hosts->look_at(shard_id{s}, [&](const replication_host& h) {
        k.epoch = 1;
        k.primary = h.machine().self();
        k.isr = {h.machine().self()};
      });
      k.learners = {node_id{2}, node_id{3}};
    }
  }
  ~world() {
    for (auto& n : nodes_) n->hosts->stop();
    nodes_.clear();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  /// Until the first node serves every shard, with the two others as members.
  void settle() {
    for (int i = 0; i < 2'000; ++i) {
      bool all = true;
      for (std::uint32_t s = 0; s < shards_; ++s)
        all = all && nodes_[0]->hosts->serves(shard_id{s}) && keys_[s].isr.size() == node_count;
      if (all) return exchange(nullptr);
      for (auto& n : nodes_) {
        n->time += 50 * replication::milliseconds;
        for (std::uint32_t s = 0; s < shards_; ++s)
          n->hosts->handle(shard_id{s}, replication::event::tick{});
      }
      exchange(nullptr);
    }
    node::fail({op_code::timed_out, "the copies do not find each other"});
  }

  /// What the log has to say, and messages, until there are none.
  void exchange(parts* into) {
    parts ignored;
    auto& p = into ? *into : ignored;
    const auto timed = [](std::uint64_t& to, const auto& work) {
      const auto began = stopwatch::ticks();
      work();
      to += stopwatch::ticks() - began;
    };
    for (bool some = true; some;) {
      some = false;
      timed(p.rounds, [&] {
        for (auto& n : nodes_) {
          n->db->run_stream(0, std::chrono::milliseconds{0});
          n->hosts->on_round([](shard_id) { return true; });
        }
      });
      for (auto& n : nodes_)
        for (std::uint32_t s = 0; s < shards_; ++s)
          if (std::exchange(n->copies[s]->asked, false)) {
            n->hosts->handle(shard_id{s},
                             replication::event::authority_read{++revision_, keys_[s]});
            some = true;
          }
      for (std::size_t from = 0; from < node_count; ++from)
        for (std::size_t to = 0; to < node_count; ++to) {
          const auto messages = std::exchange(nodes_[from]->out[to], {});
          if (messages.empty()) continue;
          some = true;
          p.messages += messages.size();
          ++p.envelopes;
          std::vector<char> bytes;
          envelope got;
          timed(p.encode, [&] { bytes = *encode_envelope(nodes_[from]->self, messages); });
          timed(p.decode, [&] { got = *decode_envelope(bytes); });
          timed(to == 0 ? p.acks : p.follower, [&] {
            shard_hosts::turn all{*nodes_[to]->hosts};
            for (auto& m : got.messages)
              nodes_[to]->hosts->handle(m.shard, replication::event::received{std::move(m.what)},
                                        all);
          });
        }
    }
  }

  /// Random keys, in batches as an I/O thread makes them of what its connections have sent.
  void run(std::uint64_t sets, std::uint64_t keys, std::size_t batch, std::size_t batches,
           const std::string& value, parts& p) {
    std::vector<std::string> names(batch);
    std::vector<operation> operations(batch);
    std::vector<storage::op_reply> replies(batch);
    storage::value_arena arena;
    for (std::uint64_t done = 0; done < sets;) {
      for (std::size_t b = 0; b < batches; ++b, done += batch) {
        for (std::size_t i = 0; i < batch; ++i) {
          random_ = random_ * 6'364'136'223'846'793'005u + 1'442'695'040'888'963'407u;
          names[i] = fmt::format("key:{:012}", (random_ >> 33) % keys);
          operations[i] = {.kind = op_kind::put, .key = names[i], .value = value};
        }
        const auto began = stopwatch::ticks();
        nodes_[0]->hosts->execute(operations, replies, arena);
        p.execute += stopwatch::ticks() - began;
        for (const auto& r : replies)
          if (r.code != op_code::ok) node::fail({r.code, "a SET is refused"});
      }
      exchange(&p);
    }
  }

private:
  const std::uint32_t shards_;
  std::string folder_;
  std::vector<replication::authority> keys_;
  std::uint64_t revision_ = 1, random_ = 1;
  std::vector<std::unique_ptr<node>> nodes_;
};

} // namespace

int main(int argc, char** argv) {
  report out{argc, argv,
             "copies_bench: what a SET costs three copies of its shard, part by part.\n"};
  out.begin("copies: three copies of 64 shards on one thread, level replicated, values of 100 B",
            60);
  const std::uint64_t keys = out.keys(300'000), sets = out.quick() ? 100'000 : 600'000;
  const stopwatch watch;
  for (const auto& [name, batch, batches] :
       {std::tuple{"4 under way for each shard", 256, 1}, std::tuple{"20 for each", 256, 5}}) {
    if (!out.wanted(name)) continue;
    const char* of[] = {"execute on the primary",
                        "envelopes: to bytes",
                        "envelopes: from bytes",
                        "both followers' Appends",
                        "the primary's Acks",
                        "three logs",
                        "all of it"};
    std::vector<figure> figures;
    for (const auto* what : of)
      figures.push_back({.name = fmt::format("{}: {}", name, what), .unit = "ns", .runs = {}});
    figure messages{.name = fmt::format("{}: messages", name), .unit = "a SET", .runs = {}};
    world w{64, replication::ack_level::replicated};
    w.settle();
    parts warm;
    w.run(2 * keys, keys, 256, 5, std::string(100, 'v'), warm);
    for (int run = 0; run < (out.quick() ? 1 : 5); ++run) {
      parts p;
      w.run(sets, keys, static_cast<std::size_t>(batch), static_cast<std::size_t>(batches),
            std::string(100, 'v'), p);
      const auto n = static_cast<double>(sets);
      const auto sum = p.execute + p.encode + p.decode + p.follower + p.acks + p.rounds;
      std::size_t i = 0;
      for (const auto ticks : {p.execute, p.encode, p.decode, p.follower, p.acks, p.rounds, sum})
        figures[i++].runs.push_back(watch.ns(ticks) / n);
      messages.runs.push_back(static_cast<double>(p.messages) / n);
    }
    for (auto& f : figures) out.add(std::move(f));
    out.add(std::move(messages));
  }
}
