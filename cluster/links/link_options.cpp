#include "cluster/links/link_options.hpp"

#include <fmt/format.h>

namespace warp::cluster::links {

op_status check(const link_options& o) {
  const auto bad = [](std::string what) {
    return op_status{op_code::invalid_argument, "links: " + std::move(what)};
  };
  if (o.listen.host.empty()) return bad("no address to listen on");
  if (o.heartbeat.count() <= 0) return bad("a heartbeat must be longer than 0 ms");
  if (o.silence_max < 4 * o.heartbeat)
    return bad(fmt::format("a peer is lost after {} ms, which is less than 4 heartbeats of {} ms",
                           o.silence_max.count(), o.heartbeat.count()));
  if (o.dial_max.count() <= 0 || o.retry_min.count() <= 0 || o.retry_max < o.retry_min)
    return bad("times to connect and to try again must be longer than 0 ms, and in order");
  if (o.batch_bytes < 4096 || o.outbox_bytes < o.batch_bytes ||
      o.envelope_bytes_max < o.outbox_bytes)
    return bad("a batch must be of at least 4 KiB, the outbox a batch, an envelope the outbox");
  if (o.tls)
    if (auto context = load(*o.tls); !context.ok()) return context.status();
  return {};
}

} // namespace warp::cluster::links
