#include "cluster/links/peer_network.hpp"

#include "actors/status_error.hpp"
#include "actors/supervisor.hpp"
#include "cluster/links/link_messages.hpp"
#include "cluster/links/link_stream.hpp"
#include "cluster/links/network_core.hpp"
#include "cluster/links/node_agent.hpp"
#include "cluster/links/peer_link.hpp"

#include <caf/all.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <future>
#include <thread>

namespace warp::cluster::links {

namespace {

constexpr auto root_path = "node-links";
constexpr std::chrono::seconds listen_bound{10};

std::unique_ptr<caf::actor_system_config> make_config() {
  auto config = std::make_unique<caf::actor_system_config>();
  config->add_message_types<caf::id_block::warp_actors>();
  config->add_message_types<caf::id_block::warp_links>();
  actors::register_errors(*config);
  config->set("scheduler.policy", caf::atom("sharing"));
  config->set("scheduler.max-threads", std::uint64_t{1}); // what links carry goes past it
  return config;
}

void tell(const std::shared_ptr<link_state>& state, caf::message what) {
  if (auto link = caf::actor_cast<caf::actor>(state->link())) caf::anon_send(link, what);
}

} // namespace

struct peer_network::running {
  std::mutex mutex; ///< guards root and registry: others use them while start() and stop() set them
  std::unique_ptr<caf::actor_system_config> config;
  std::unique_ptr<caf::actor_system> system;
  std::shared_ptr<actors::tree_registry> registry;
  caf::actor root;
  std::future<void> root_ended;
};

peer_network::peer_network(std::shared_ptr<network_core> core)
    : core_(std::move(core)), running_(std::make_unique<running>()) {}

peer_network::~peer_network() {
  stop(std::chrono::steady_clock::now());
}

op_result<std::unique_ptr<peer_network>>
peer_network::make(node_identity self, link_options options, link_listener& listener) {
  if (auto status = check(self); !status.ok()) return status;
  if (auto status = check(options); !status.ok()) return status;
  return std::unique_ptr<peer_network>{new peer_network{
      std::make_shared<network_core>(std::move(self), std::move(options), listener)}};
}

// -- peers --------------------------------------------------------------------------------------

void peer_network::set_peer(node_id peer, peer_address address) {
  if (peer == core_->self.node || peer.value == 0) return;
  bool fresh = false;
  const auto state = core_->add(peer, fresh);
  state->set_address(std::move(address));
  if (!fresh) return tell(state, caf::make_message(look_atom_v));
  std::lock_guard guard{running_->mutex};
  if (running_->root)
    caf::anon_send(running_->root, actors::add_child_atom_v,
                   std::make_shared<const actors::child_spec>(peer_link(core_, state)));
}

void peer_network::forget_peer(node_id peer) {
  if (const auto state = core_->find(peer)) {
    state->set_address({});
    tell(state, caf::make_message(look_atom_v));
  }
}

op_status peer_network::send(node_id to, shard_id shard, replication::message what) {
  std::vector<shard_message> one;
  one.push_back({shard, std::move(what)});
  return send(to, std::move(one));
}

op_status peer_network::send(node_id to, std::vector<shard_message> messages) {
  const auto state = core_->find(to);
  if (!state)
    return {op_code::not_found, fmt::format("node {} is not in the list of nodes", to.value)};
  std::shared_ptr<link_stream> stream;
  auto status = state->push(std::move(messages), stream);
  if (stream) stream->flush();
  return status;
}

void peer_network::wake() noexcept {
  core_->wake_loop();
}

std::vector<link_report> peer_network::report() const {
  std::vector<link_report> reports;
  for (const auto& state : core_->all()) {
    auto now = state->now();
    const auto& c = state->counters;
    reports.push_back({state->node(),
                       std::move(now.address),
                       now.stream != nullptr,
                       std::move(now.identity),
                       std::move(now.reason),
                       now.refused,
                       c.envelopes_sent,
                       c.messages_sent,
                       c.bytes_sent,
                       c.envelopes_received,
                       c.messages_received,
                       c.bytes_received,
                       c.dropped_away,
                       c.dropped_full,
                       c.established,
                       c.lost,
                       c.malformed,
                       c.round_trip_us,
                       now.stream ? now.stream->unacknowledged() : 0,
                       now.waiting_bytes,
                       now.waiting_messages});
  }
  return reports;
}

std::uint16_t peer_network::port() const {
  return core_->port();
}

std::vector<actors::tree_node> peer_network::tree() const {
  std::lock_guard guard{running_->mutex};
  return running_->registry ? running_->registry->snapshot() : std::vector<actors::tree_node>{};
}

bool peer_network::kill(std::string_view path) {
  std::lock_guard guard{running_->mutex};
  return running_->root && running_->registry->kill(path);
}

// -- the service --------------------------------------------------------------------------------

op_status peer_network::start() {
  auto& r = *running_;
  core_->forget_listening();
  if (auto status = core_->start_loops(); !status.ok()) return status;
  auto ended = std::make_shared<std::promise<void>>();
  r.root_ended = ended->get_future();
  op_status failed;
  // CAF 0.17 leaves a reference to its logger with every thread that makes a system or spawns from
  // outside, and the system's end waits for all of them.
  std::thread{[&] {
    try {
      std::lock_guard guard{r.mutex};
      r.registry = std::make_shared<actors::tree_registry>();
      r.config = make_config();
      r.system = std::make_unique<caf::actor_system>(*r.config);
      actors::supervisor_spec tree{.registry = r.registry,
                                   .on_give_up = [this](const std::string& cause) {
                                     fail({op_code::unavailable, cause});
                                   }};
      tree.children.push_back(node_agent(core_));
      for (const auto& state : core_->all()) tree.children.push_back(peer_link(core_, state));
      r.root = r.system->spawn([ended, tree](caf::event_based_actor* self) {
        self->attach_functor([ended](const caf::error&) { ended->set_value(); });
        return actors::supervise(self, {.path = root_path}, tree);
      });
    } catch (const std::exception& e) {
      failed = {op_code::unavailable, fmt::format("the network between nodes: {}", e.what())};
      ended->set_value();
    }
  }}.join();
  if (failed.ok())
    failed = core_->wait_listening(listen_bound)
                 .value_or(op_status{op_code::timed_out,
                                     "the network between nodes did not listen within 10 s"});
  if (!failed.ok()) {
    stop(std::chrono::steady_clock::now());
    return failed;
  }
  spdlog::info("node {} listens for other nodes on {}{}", core_->self.node.value,
               to_string(peer_address{core_->options.listen.host, core_->port()}),
               core_->options.tls ? " (TLS)" : "");
  return {};
}

void peer_network::stop(std::chrono::steady_clock::time_point) {
  auto& r = *running_;
  caf::actor root;
  {
    std::lock_guard guard{r.mutex};
    root = std::exchange(r.root, {});
  }
  if (root) {
    caf::anon_send<caf::message_priority::high>(
        root, caf::exit_msg{root.address(), caf::exit_reason::user_shutdown});
    r.root_ended.wait();
    root = {};
  }
  core_->close_door();
  core_->forget_listening();
  const op_status why{op_code::shutting_down, "this node is stopping"};
  for (const auto& state : core_->all())
    if (const auto stream = state->adopt({})) stream->end(why, true);
  core_->stop_loops();
  r.system.reset(); // waits for every actor: nobody calls the listener from here on
  r.config.reset();
  for (const auto& state : core_->all()) state->down(why, false);
}

op_status peer_network::health() const {
  if (core_->listens()) return {};
  return {op_code::unavailable, "does not listen for other nodes"};
}

void peer_network::collect(std::vector<actors::metric>& out) const {
  using actors::metric;
  using kind = metric::kind;
  const auto reports = report();
  const auto add = [&](const char* name, const char* help, kind type, auto value) {
    metric m{name, help, type, {}};
    for (const auto& r : reports)
      m.values.push_back({{{"peer", std::to_string(r.node.value)}}, static_cast<double>(value(r))});
    out.push_back(std::move(m));
  };
  using report_t = const link_report&;
  add("warp_node_link_up", "Whether the link to this node stands.", kind::gauge,
      [](report_t r) { return r.linked ? 1 : 0; });
  add("warp_node_link_established_total", "Links made to this node.", kind::counter,
      [](report_t r) { return r.established; });
  add("warp_node_link_lost_total", "Links to this node that broke or were given up.", kind::counter,
      [](report_t r) { return r.lost; });
  add("warp_node_link_malformed_total", "Links given up for what the node had sent.", kind::counter,
      [](report_t r) { return r.malformed; });
  add("warp_node_link_sent_bytes_total", "Bytes of envelopes sent to this node.", kind::counter,
      [](report_t r) { return r.bytes_sent; });
  add("warp_node_link_received_bytes_total", "Bytes of envelopes received from this node.",
      kind::counter, [](report_t r) { return r.bytes_received; });
  add("warp_node_link_sent_envelopes_total", "Envelopes sent to this node.", kind::counter,
      [](report_t r) { return r.envelopes_sent; });
  add("warp_node_link_received_envelopes_total", "Envelopes received from this node.",
      kind::counter, [](report_t r) { return r.envelopes_received; });
  add("warp_node_link_sent_messages_total", "Messages of shards sent to this node.", kind::counter,
      [](report_t r) { return r.messages_sent; });
  add("warp_node_link_received_messages_total", "Messages of shards received from this node.",
      kind::counter, [](report_t r) { return r.messages_received; });
  add("warp_node_link_dropped_away_total", "Messages dropped because the node was away.",
      kind::counter, [](report_t r) { return r.dropped_away; });
  add("warp_node_link_dropped_full_total", "Messages dropped because the node was slow.",
      kind::counter, [](report_t r) { return r.dropped_full; });
  add("warp_node_link_round_trip_seconds",
      "Until the node had taken what was sent: mean, decaying.", kind::gauge,
      [](report_t r) { return static_cast<double>(r.round_trip_us) / 1e6; });
  add("warp_node_link_in_flight_bytes",
      "Bytes sent to this node that its machine has not acknowledged.", kind::gauge,
      [](report_t r) { return r.unacknowledged_bytes; });
  add("warp_node_link_waiting_bytes", "Bytes that wait to be sent to this node.", kind::gauge,
      [](report_t r) { return r.waiting_bytes; });
}

} // namespace warp::cluster::links
