#include "actors/change_bell.hpp"

#include <utility>

namespace warp::actors {

change_bell::listener change_bell::listen(std::function<void()> changed) {
  std::uint64_t number = 0;
  {
    std::lock_guard hold{room_->mutex};
    number = ++room_->listeners;
    room_->listening.emplace(number, std::move(changed));
  }
  return {nullptr, [in = std::weak_ptr{room_}, number](void*) {
            const auto room = in.lock();
            if (!room) return;
            std::function<void()> dropped; // ends outside of the lock
            std::lock_guard hold{room->mutex};
            const auto at = room->listening.find(number);
            if (at == room->listening.end()) return;
            dropped = std::move(at->second);
            room->listening.erase(at);
          }};
}

std::size_t change_bell::listening() const {
  std::lock_guard hold{room_->mutex};
  return room_->listening.size();
}

void change_bell::ring() {
  std::map<std::uint64_t, std::function<void()>> all;
  {
    std::lock_guard hold{room_->mutex};
    all.swap(room_->listening);
  }
  for (const auto& [number, changed] : all) changed();
}

} // namespace warp::actors
