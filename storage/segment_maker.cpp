#include "storage/segment_maker.hpp"

#include "storage/engine_state.hpp"

#include <algorithm>

namespace warp::storage {

namespace {

/// How long to wait after a failure.
constexpr std::chrono::milliseconds retry{200};

} // namespace

segment_maker::segment_maker(engine& e) : engine_(e) {
  engine_.state_->segments->add_maker();
}

segment_maker::~segment_maker() {
  engine_.state_->segments->remove_maker();
}

void segment_maker::run(std::chrono::milliseconds wait_max) {
  std::lock_guard one_at_a_time{running_};
  auto& state = *engine_.state_;
  state.segments->wait_wanted(failed_ ? std::min(wait_max, retry) : wait_max);
  failed_ = false;
  for (auto& stream : state.streams)
    if (!stream->prepare_next().ok()) failed_ = true; // met again, and reported, when it is needed
}

void segment_maker::interrupt() noexcept {
  engine_.state_->segments->want();
}

} // namespace warp::storage
