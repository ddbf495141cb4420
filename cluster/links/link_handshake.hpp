#pragma once

#include "cluster/links/hello.hpp"
#include "cluster/links/link_socket.hpp"
#include "cluster/links/node_identity.hpp"
#include "messages/status.hpp"

/// How a connection begins. Whoever accepts it greets, eight bytes that no other program sends; who
/// has connected says who it is, and is answered. All of it blocks until a deadline, on a thread
/// that nothing else waits for.
namespace warp::cluster::links {

op_status greet(link_socket& socket, link_socket::deadline until);
/// unavailable: who answers is no node; timed_out: nobody does.
op_status await_greeting(link_socket& socket, link_socket::deadline until);

/// Of the node that has connected. The answer may be a refusal.
op_result<hello_answer> introduce(link_socket& socket, const node_identity& self,
                                  link_socket::deadline until);

/// Of the one that has accepted. corruption: it is no hello.
op_result<node_identity> hear(link_socket& socket, link_socket::deadline until);
op_status answer(link_socket& socket, const hello_answer& what, link_socket::deadline until);

} // namespace warp::cluster::links
