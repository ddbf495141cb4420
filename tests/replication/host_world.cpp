#include "tests/replication/host_world.hpp"

#include "storage/checkpoint_transfer.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <numeric>
#include <utility>

namespace warp::testing {

using namespace cluster::replication;

class host_world::node final : public cluster::replication_surroundings {
public:
  node(host_world& world, std::size_t number) : world_(world), number_(number) {}

  moment now() override { return world_.now_; }
  void send(node_id to, message what) override { world_.send(number_, to.value, std::move(what)); }
  void read_authority() override {
    later([this] { host->handle(event::authority_read{world_.revision_, world_.key_}); });
  }
  void compare_and_set(std::uint64_t compared, const authority& value) override {
    later([this, compared, value] {
      if (world_.revision_ != compared) return host->handle(event::compare_failed{compared});
      world_.key_ = value;
      ++world_.revision_;
      host->handle(event::authority_read{world_.revision_, value});
    });
  }
  void offer_checkpoint(node_id to, epoch_t max_epoch) override {
    world_.under_way_.push_back([this, to, max_epoch, life = life] {
      if (life == this->life && db) world_.send_checkpoint(number_, to.value, max_epoch);
    });
  }
  void loss_decided(const op_status&) override {}
  void checkpoint_outdated() override {}
  void serving(bool, epoch_t) override {}
  void halted(const op_status& why) override { world_.halted.push_back(why.to_string()); }

  /// Of the authority: not while it is out of reach.
  void later(std::function<void()> what) {
    world_.under_way_.push_back([this, life = life, what = std::move(what)] {
      if (life == this->life && host && !cut_from_authority) what();
    });
  }

  faulty_file_system files;
  std::unique_ptr<storage::engine> db;
  std::unique_ptr<cluster::replication_host> host;
  std::uint64_t life = 0;
  bool cut_from_nodes = false, cut_from_authority = false;

private:
  host_world& world_;
  std::size_t number_;
};

host_world::host_world(options with) : options_(with) {
  for (std::size_t i = 0; i < options_.nodes; ++i)
    nodes_.push_back(std::make_unique<node>(*this, i));
  for (std::size_t i = 0; i < options_.nodes; ++i) start(i);
  key_ = {1, host(0).machine().self(), {host(0).machine().self()}};
  for (std::size_t i = 1; i < options_.nodes; ++i)
    key_.learners.emplace_back(static_cast<std::uint32_t>(i));
  revision_ = 1;
}

host_world::~host_world() = default;

// Nodes

void host_world::start(std::size_t number) {
  auto& n = *nodes_[number];
  ++n.life;
  auto opened = storage::engine::open({.folder = "data",
                                       .shard_count = 1,
                                       .wal_streams = 1,
                                       .segment_bytes = options_.segment_bytes,
                                       .wal_max_bytes = 64u << 20,
                                       .flush_interval = std::chrono::milliseconds{5},
                                       .replicated = true,
                                       .recovery_threads = 1,
                                       .time = clock_,
                                       .files = &n.files});
  INFO("node " << number << ": " << opened.status().to_string());
  REQUIRE(opened.ok());
  n.db = std::move(*opened);
  auto host = cluster::replication_host::open(
      *n.db, shard_id{0}, node_id{static_cast<std::uint32_t>(number)}, options_.host, n);
  INFO(host.status().to_string());
  REQUIRE(host.ok());
  n.host = std::move(*host);
}

void host_world::crash(std::size_t number, crash_policy policy, std::uint64_t seed) {
  auto& n = *nodes_[number];
  ++n.life;
  n.host.reset();
  n.db.reset();
  n.files.crash(policy, seed);
}

void host_world::stop_cleanly(std::size_t number) {
  auto& n = *nodes_[number];
  n.host->stop();
  look_at_tickets();
  const auto status = n.db->close();
  INFO(status.to_string());
  REQUIRE(status.ok());
  REQUIRE(n.host->mark_stopped().ok());
  crash(number); // nothing is left to be lost
}

void host_world::cut_off(std::size_t number, bool from_authority) {
  nodes_[number]->cut_from_nodes = true;
  nodes_[number]->cut_from_authority = from_authority;
}
void host_world::connect(std::size_t number) {
  nodes_[number]->cut_from_nodes = nodes_[number]->cut_from_authority = false;
}
bool host_world::is_up(std::size_t number) const {
  return nodes_[number]->host != nullptr;
}
cluster::replication_host& host_world::host(std::size_t number) {
  return *nodes_[number]->host;
}
storage::engine& host_world::engine(std::size_t number) {
  return *nodes_[number]->db;
}
faulty_file_system& host_world::files(std::size_t number) {
  return nodes_[number]->files;
}

std::optional<std::size_t> host_world::primary() const {
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (!nodes_[i]->host || !nodes_[i]->host->machine().serves()) continue;
    if (!found || nodes_[i]->host->machine().reign() > nodes_[*found]->host->machine().reign())
      found = i;
  }
  return found;
}

// The network

bool host_world::linked(std::size_t a, std::size_t b) const {
  return a < nodes_.size() && b < nodes_.size() && !nodes_[a]->cut_from_nodes &&
         !nodes_[b]->cut_from_nodes;
}

void host_world::send(std::size_t from, std::size_t to, message what) {
  if (const auto* m = std::get_if<append>(&what.body)) appends_sent += !m->records.empty();
  under_way_.push_back([this, from, to, what = std::move(what)]() mutable {
    if (linked(from, to) && nodes_[to]->host)
      nodes_[to]->host->handle(event::received{std::move(what)});
  });
}

void host_world::send_checkpoint(std::size_t from, std::size_t to, epoch_t max_epoch) {
  auto& source = *nodes_[from];
  if (hold_checkpoints || !linked(from, to) || !nodes_[to]->host) return;
  if (source.db->newest_checkpoint(shard_id{0}).empty()) {
    const auto made = source.db->checkpoint(shard_id{0});
    INFO(made.to_string());
    REQUIRE(made.ok());
  }
  const auto path = source.db->newest_checkpoint(shard_id{0});
  if (path.empty()) return; // there is nothing in it
  auto& target = *nodes_[to];
  auto exporter = storage::checkpoint_exporter::open(source.files, path);
  REQUIRE(exporter.ok());
  auto importer =
      storage::checkpoint_importer::open(target.files, "data/incoming", exporter->offer());
  REQUIRE(importer.ok());
  while (importer->next_offset() < exporter->offer().bytes) {
    auto chunk = exporter->read(importer->next_offset());
    REQUIRE(chunk.ok());
    REQUIRE(importer->accept(*chunk).ok());
  }
  REQUIRE(importer->finish().ok());
  const auto status = target.host->checkpoint_arrived(max_epoch, "data/incoming");
  INFO(status.to_string());
  REQUIRE(status.ok());
  ++checkpoints_sent;
}

// Time

void host_world::settle() {
  for (int turn = 0; turn < 10'000; ++turn) {
    for (std::size_t some = under_way_.size(); some != 0 && !under_way_.empty(); --some) {
      const auto next = std::move(under_way_.front());
      under_way_.pop_front();
      next();
    }
    for (auto& n : nodes_) {
      if (!n->db) continue;
      n->db->run_stream(0, std::chrono::milliseconds{0});
      if (n->host) n->host->on_round();
    }
    if (under_way_.empty()) return look_at_tickets();
  }
  FAIL("it never comes to rest");
}

void host_world::pass(moment time) {
  for (const auto end = now_ + time; now_ < end;) {
    now_ += std::min<moment>(50 * milliseconds, end - now_);
    clock_->at_us += 50'000;
    std::vector<member> live;
    for (const auto& n : nodes_)
      if (n->host && !n->cut_from_authority && !n->host->has_halted())
        live.push_back(n->host->machine().self());
    for (auto& n : nodes_) {
      if (!n->host) continue;
      n->later([n = n.get(), live] { n->host->handle(event::nodes_seen{live}); });
      n->host->handle(event::tick{});
    }
    settle();
  }
}

bool host_world::heal() {
  for (int i = 0; i < 600; ++i) {
    pass(50 * milliseconds);
    const auto who = primary();
    if (!who) continue;
    const auto& known = host(*who).machine().known();
    const bool all = std::ranges::all_of(nodes_, [&](const auto& n) {
      return !n->host || n->host->has_halted() || known.lists(n->host->machine().self());
    });
    if (all && known.lists(host(*who).machine().self())) return true;
  }
  return false;
}

// Clients

std::vector<std::shared_ptr<host_world::call>> host_world::ask_all(std::size_t number,
                                                                   std::span<const operation> ops) {
  std::vector<std::shared_ptr<call>> calls;
  std::vector<storage::op_reply> replies(ops.size());
  std::vector<std::uint32_t> which(ops.size());
  std::iota(which.begin(), which.end(), 0u);
  storage::value_arena arena;
  nodes_[number]->host->execute(ops, which, replies, arena);
  for (std::size_t i = 0; i < ops.size(); ++i) {
    const auto& r = replies[i];
    auto& call = calls.emplace_back(std::make_shared<host_world::call>());
    host_answer answer{r.code, r.version, r.number, std::string{r.value}};
    if (r.durable_at == 0)
      call->answer = std::move(answer);
    else
      waiting_.push_back({call, number, nodes_[number]->life, r.durable_at, std::move(answer),
                          is_write(ops[i].kind)});
  }
  return calls;
}

std::shared_ptr<host_world::call> host_world::ask(std::size_t number, const operation& op) {
  return ask_all(number, {&op, 1}).front();
}

/// As servers do when they are told.
void host_world::look_at_tickets() {
  std::erase_if(waiting_, [&](waiting& w) {
    const auto& n = *nodes_[w.node];
    if (n.life != w.life || !n.host) return true; // nobody hears of it
    const auto state = n.host->tickets().state(w.ticket);
    if (state == storage::durable_state::pending) return false;
    if (state == storage::durable_state::failed)
      w.answer = {w.is_write ? op_code::outcome_unknown : op_code::unavailable, 0, 0, {}};
    w.of->answer = std::move(w.answer);
    return true;
  });
}

host_answer host_world::run(std::size_t number, const operation& op) {
  const auto call = ask(number, op);
  settle();
  return call->answer.value_or(host_answer{op_code::outcome_unknown, 0, 0, {}});
}

host_answer host_world::insist(const operation& op) {
  for (int i = 0; i < 600; ++i) {
    if (const auto who = primary()) {
      const auto answer = run(*who, op);
      if (answer.code != op_code::outcome_unknown && answer.code != op_code::unavailable &&
          answer.code != op_code::no_replicas && answer.code != op_code::overloaded)
        return answer;
    }
    pass(50 * milliseconds);
  }
  FAIL("no answer within 30 seconds");
  return {};
}

std::map<std::string, std::string> host_world::table(std::size_t number) {
  std::map<std::string, std::string> all;
  storage::scan_page page;
  do {
    REQUIRE(engine(number).scan(page.next_cursor, "", 100, page).ok());
    for (const auto& e : page.entries) all[std::string{e.key}] = e.value;
  } while (page.next_cursor != 0);
  return all;
}

} // namespace warp::testing
