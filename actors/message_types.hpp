#pragma once

#include <caf/all.hpp>

#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

/// Every message that travels between actors, in one place. Small control messages are atoms and
/// numbers; whatever has structure is a Cap'n Proto message in a frame.

namespace warp::actors {

struct child_spec;

/// Cap'n Proto bytes (a flat array) on their way: a shared reference within the process, raw bytes
/// between nodes. Never null on arrival; a default-constructed frame is sent as no bytes.
struct frame {
  std::shared_ptr<const std::vector<char>> data;
};

template <class Inspector>
auto inspect(Inspector& f, frame& x)
    -> std::enable_if_t<Inspector::reads_state, typename Inspector::result_type> {
  static const std::vector<char> none;
  // CAF 0.17 inspects by mutable reference, also where it only reads
  auto& bytes = const_cast<std::vector<char>&>(x.data ? *x.data : none);
  return f(caf::meta::type_name("frame"), bytes);
}

template <class Inspector>
auto inspect(Inspector& f, frame& x)
    -> std::enable_if_t<Inspector::writes_state, typename Inspector::result_type> {
  auto bytes = std::make_shared<std::vector<char>>();
  auto result = f(caf::meta::type_name("frame"), *bytes);
  x.data = std::move(bytes);
  return result;
}

/// A specification on its way to a supervisor of the same process.
using child_spec_ptr = std::shared_ptr<const child_spec>;

} // namespace warp::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(warp::actors::child_spec_ptr)

CAF_BEGIN_TYPE_ID_BLOCK(warp_actors, caf::first_custom_type_id)

CAF_ADD_TYPE_ID(warp_actors, (warp::actors::frame))

// supervisors
CAF_ADD_ATOM(warp_actors, warp::actors, ready_atom,
             "ready") // child -> its supervisor: I can be used
CAF_ADD_ATOM(warp_actors, warp::actors, restart_atom,
             "restart") // to itself (child, incarnation): the delay is over
CAF_ADD_ATOM(warp_actors, warp::actors, overdue_atom,
             "overdue") // to itself (child, incarnation): should have ended
CAF_ADD_ATOM(warp_actors, warp::actors, add_child_atom,
             "addChild") // (child_spec_ptr): start it, the last in order

// storage
CAF_ADD_ATOM(warp_actors, warp::actors, turn_atom, "turn")   // to itself: next turn of the loop
CAF_ADD_ATOM(warp_actors, warp::actors, hurry_atom, "hurry") // something is due before the turn
CAF_ADD_ATOM(warp_actors, warp::actors, sweep_atom,
             "sweep") // upkeep -> shard (rounds): remove what has expired
CAF_ADD_ATOM(warp_actors, warp::actors, save_atom,
             "save") // upkeep -> shard; shard -> checkpointer (shard): checkpoint
CAF_ADD_ATOM(warp_actors, warp::actors, mend_atom,
             "mend") // upkeep -> checkpointer: a log stream has failed

// front
CAF_ADD_ATOM(warp_actors, warp::actors, failed_atom,
             "failed") // service -> its actor (code, text): can't go on

CAF_END_TYPE_ID_BLOCK(warp_actors)
