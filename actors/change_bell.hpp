#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

namespace warp::actors {

/// Tells those who wait that something has changed, so that nobody has to ask by a clock.
/// Thread-safe.
class change_bell {
public:
  /// Ends the listening when it is dropped; may outlive the bell.
  using listener = std::shared_ptr<void>;

  /// Calls `changed` at the next ring(), once, on the thread that rings; it must not block. To miss
  /// nothing, listen first and look then.
  [[nodiscard]] listener listen(std::function<void()> changed);
  void ring();
  [[nodiscard]] std::size_t listening() const;

private:
  struct room {
    std::mutex mutex;
    std::map<std::uint64_t, std::function<void()>> listening;
    std::uint64_t listeners = 0; ///< ever
  };
  const std::shared_ptr<room> room_ = std::make_shared<room>();
};

} // namespace warp::actors
