// Ours (physics/event_horizon.hpp), driven like the others: a table from key to resident beside it.

#include "physics/event_horizon.hpp"
#include "physics/horizon_fitter.hpp"
#include "physics/mixing.hpp"
#include "tests/bench/physics/cache_policy.hpp"

namespace warp::bench::physics {

namespace {

using warp::physics::event_horizon;
using warp::physics::resident_id;

template <bool fitted>
class horizon final : public cache_policy {
public:
  horizon(std::size_t keys, std::size_t capacity)
      : horizon_(capacity), fitter_(capacity), resident_(keys, event_horizon::none) {}

  bool access(std::uint32_t key) override {
    const auto hash = warp::physics::mix(key);
    if constexpr (fitted)
      if (fitter_.observe(hash, 1)) horizon_.apply(fitter_.settings());
    if (resident_[key] != event_horizon::none) {
      horizon_.hit(resident_[key]);
      return true;
    }
    const auto id = horizon_.admit(hash, 1);
    for (const auto& gone : horizon_.gone()) resident_[key_of_[gone.id]] = event_horizon::none;
    if (id == event_horizon::none) return false;
    if (id >= key_of_.size()) key_of_.resize(id + 1);
    key_of_[id] = key;
    resident_[key] = id;
    return false;
  }

private:
  event_horizon horizon_;
  warp::physics::horizon_fitter fitter_;
  std::vector<resident_id> resident_;
  std::vector<std::uint32_t> key_of_;
};

} // namespace

std::unique_ptr<cache_policy> make_fixed_horizon(std::size_t keys, std::size_t capacity) {
  return std::make_unique<horizon<false>>(keys, capacity);
}

std::unique_ptr<cache_policy> make_fitted_horizon(std::size_t keys, std::size_t capacity) {
  return std::make_unique<horizon<true>>(keys, capacity);
}

} // namespace warp::bench::physics
