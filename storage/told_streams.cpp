#include "storage/told_streams.hpp"

#include "storage/engine_state.hpp"
#include "storage/key_hash.hpp"

namespace warp::storage {

told_streams::told_streams(engine& of) noexcept {
  auto& observed = *of.state_->observed;
  if (!observed.is_on()) return;
  to_ = observed.mine();
  if (!to_) return;
  to_->told = true;
  now_ms_ = thread_observer::clock_ms();
}

told_streams::~told_streams() {
  if (to_) to_->told = false;
}

void told_streams::tell(std::uint64_t connection, std::span<const operation> operations,
                        std::span<const op_reply> replies) noexcept {
  to_->begin_stream(connection, now_ms_);
  for (std::size_t i = 0; i < operations.size(); ++i)
    to_->single(operations[i], replies[i], key_hash(operations[i].key), now_ms_);
}

} // namespace warp::storage
