#include "cluster/links/node_agent.hpp"

#include "actors/status_error.hpp"
#include "cluster/links/hello.hpp"
#include "cluster/links/link_messages.hpp"

#include <caf/io/all.hpp>
#include <caf/openssl/all.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace warp::cluster::links {

namespace {

using actors::frame;

frame to_frame(std::vector<char> bytes) {
  return {std::make_shared<const std::vector<char>>(std::move(bytes))};
}

/// Whether the node that says hello may link to us, and with which of our links.
op_status judge(network_core& core, const frame& hello, node_identity& peer, caf::actor& own_link) {
  auto said = decode_hello(*hello.data);
  if (!said.ok()) return said.status();
  peer = *said;
  if (auto status = judge_peer(core.self, peer); !status.ok()) return status;
  const auto unknown = [&] {
    return op_status{op_code::unavailable,
                     fmt::format("node {} is not in the list of nodes of node {} (yet)",
                                 peer.node.value, core.self.node.value)};
  };
  const auto state = core.find(peer.node);
  if (!state || !state->address()) return unknown();
  own_link = caf::actor_cast<caf::actor>(state->link());
  if (!own_link)
    return {op_code::unavailable, fmt::format("the link of node {} to node {} is restarting",
                                              core.self.node.value, peer.node.value)};
  return state->accept(peer);
}

} // namespace

caf::io::middleman_actor door_of(caf::actor_system& system, const link_options& options) {
  return options.tls ? system.openssl_manager().actor_handle() : system.middleman().actor_handle();
}

actors::child_spec node_agent(std::shared_ptr<network_core> core) {
  auto body = [core](caf::event_based_actor* self,
                     const actors::child_context& context) -> caf::behavior {
    const auto door = door_of(self->system(), core->options);
    const auto& at = core->options.listen;
    const auto old_port = core->port();
    const auto port = at.port != 0 ? at.port : old_port;
    auto listen = [self, core, context, door, port] {
      const auto& host = core->options.listen.host;
      self->request(door, caf::infinite, caf::publish_atom_v, port,
                    caf::actor_cast<caf::strong_actor_ptr>(self), std::set<std::string>{}, host,
                    true)
          .then(
              [=](std::uint16_t taken) {
                core->set_listening(taken);
                context.ready(self);
              },
              [=](const caf::error& e) {
                const op_status status{
                    op_code::unavailable,
                    fmt::format("cannot listen for other nodes on {}: {}: is the port in use, or "
                                "the address not of this machine?",
                                to_string(peer_address{core->options.listen.host, port}),
                                actors::cause_text(e))};
                core->set_listening(status);
                self->quit(actors::to_error(status));
              });
    };
    if (old_port == 0) {
      listen();
    } else { // an agent before this one has left the port open
      self->request(door, caf::infinite, caf::close_atom_v, old_port)
          .then([listen] { listen(); }, [listen](const caf::error&) { listen(); });
    }
    return {[self, core](hello_atom, std::uint64_t session,
                         const frame& hello) -> caf::result<frame, caf::actor> {
      node_identity peer;
      caf::actor own_link;
      const auto status = judge(*core, hello, peer, own_link);
      const auto answer = to_frame(encode_answer({status, core->self}));
      if (!status.ok()) {
        spdlog::warn("a node is refused: {}", status.message());
        return {answer, caf::actor{}};
      }
      // In its mailbox before any message of the peer can be.
      self->send(own_link, attach_atom_v, session, to_frame(encode_hello(peer)),
                 caf::actor_cast<caf::actor>(self->current_sender()));
      return {answer, own_link};
    }};
  };
  return {.name = "agent", .body = body, .wait_ready = true};
}

} // namespace warp::cluster::links
