// Ours (physics/event_horizon.hpp), driven like the others: a table beside it says of each key
// which resident it is or with which stamp it left.

#include "physics/event_horizon.hpp"
#include "physics/horizon_fitter.hpp"
#include "physics/mixing.hpp"
#include "tests/bench/physics/cache_policy.hpp"

namespace warp::bench::physics {

namespace {

using warp::physics::event_horizon;

template <bool fitted>
class horizon final : public cache_policy {
public:
  horizon(std::size_t keys, std::size_t capacity)
      : horizon_(capacity), fitter_(capacity), state_(keys, event_horizon::no_stamp) {}

  bool access(std::uint32_t key) override {
    if constexpr (fitted)
      if (fitter_.observe(warp::physics::mix(key), 1)) horizon_.apply(fitter_.settings());
    const auto state = state_[key];
    if (state & resident) {
      horizon_.hit(state & ~resident);
      return true;
    }
    const auto id = horizon_.admit(key, 1, horizon_.is_ghost(state));
    for (const auto& gone : horizon_.gone()) state_[gone.owner] = gone.stamp;
    state_[key] = id == event_horizon::none ? event_horizon::no_stamp : id | resident;
    return false;
  }

private:
  static constexpr std::uint32_t resident = std::uint32_t{1} << 31; // else a stamp
  event_horizon horizon_;
  warp::physics::horizon_fitter fitter_;
  std::vector<std::uint32_t> state_;
};

} // namespace

std::unique_ptr<cache_policy> make_fixed_horizon(std::size_t keys, std::size_t capacity) {
  return std::make_unique<horizon<false>>(keys, capacity);
}

std::unique_ptr<cache_policy> make_fitted_horizon(std::size_t keys, std::size_t capacity) {
  return std::make_unique<horizon<true>>(keys, capacity);
}

} // namespace warp::bench::physics
