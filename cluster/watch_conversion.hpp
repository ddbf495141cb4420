#pragma once

#include "messages/status.hpp"
#include "messages/warp.capnp.h"
#include "messages/watch.hpp"

#include <cstddef>

namespace warp::cluster {

// Between messages/watch.hpp and the wire, as in messages/conversion.hpp: readers borrow, and throw
// kj::Exception where the message itself is malformed.

void write_watch(const watch_options& what, wire::WatchRequest::Builder to);
/// invalid_argument: a number that this version does not know, or a position that is none.
op_status read_watch(wire::WatchRequest::Reader from, watch_options& what);

void write_position(const watch_token& position, wire::WatchPosition::Builder to);
op_status read_position(wire::WatchPosition::Reader from, watch_token& position);

void write_event(const watch_event& event, wire::WatchEvent::Builder to);
/// False: of a kind that this version does not know.
[[nodiscard]] bool read_event(wire::WatchEvent::Reader from, watch_event& event);
/// Room that it needs in a message, words.
[[nodiscard]] std::uint64_t words_of(const watch_event& event) noexcept;

} // namespace warp::cluster
