#pragma once

#include "messages/conversion.hpp"
#include "messages/status.hpp"
#include "messages/warp.capnp.h"

#include <kj/async.h>
#include <utility>

namespace warp::cluster {

/// Sends a call of the operator's capability. `make(admin)` returns the request, `take(answer)`
/// reads what came back when that went well.
template <class Make, class Take>
kj::Promise<op_status> ask_admin(wire::Session::Client session, Make make, Take take) {
  return session.adminRequest().send().then(
      [make = std::move(make), take = std::move(take)](
          capnp::Response<wire::Session::AdminResults>&& admin) mutable -> kj::Promise<op_status> {
        if (admin.hasStatus()) return read_status(admin.getStatus());
        return make(admin.getAdmin()).send().then([take = std::move(take)](auto&& answer) mutable {
          if (answer.hasStatus()) return read_status(answer.getStatus());
          take(answer);
          return op_status{};
        });
      });
}

} // namespace warp::cluster
