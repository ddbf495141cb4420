#include "actors/observer.hpp"

#include "actors/message_types.hpp"

namespace warp::actors {

child_spec observer(node& n) {
  return {
      .name = "observer",
      .body = [&n](caf::event_based_actor*, const child_context&) -> caf::behavior {
        return {[&n](observe_atom, const frame& batch) {
          n.observed_batches.fetch_add(1, std::memory_order_relaxed);
          n.observed_bytes.fetch_add(batch.data ? batch.data->size() : 0,
                                     std::memory_order_relaxed);
        }};
      },
  };
}

} // namespace warp::actors
