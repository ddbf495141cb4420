#pragma once

#include "messages/operations.hpp"
#include "physics/observer.hpp"
#include "storage/reply.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

namespace warp::storage {

/// What one thread's accesses are sampled into. Its thread alone calls it.
class thread_observer {
public:
  explicit thread_observer(const physics::observer_options& options) : watching_(options) {}

  /// Single operations that follow belong to this connection, until another beginning. true: to a
  /// window of it that is sampled.
  bool begin_stream(std::uint64_t connection, std::uint64_t now_ms) noexcept {
    stream_ = connection;
    in_request_ = false;
    watching_.begin_stream(connection, now_ms);
    return set_pace();
  }
  /// All that follows belongs to one request of about so many accesses, until another beginning.
  bool begin_request(std::size_t accesses, std::uint64_t now_ms) noexcept {
    in_request_ = true;
    watching_.begin_request(accesses, now_ms);
    return set_pace();
  }
  /// A batch is a request of its own, unless it is within one. true: it is sampled, and all of it
  /// is to be taken; else what watches() says.
  bool begin_batch(std::size_t accesses) noexcept {
    if (in_request_) return watching_.sampling();
    if (!watching_.pass_request(accesses)) [[unlikely]]
      watching_.begin_request(accesses, clock_ms());
    return set_pace();
  }
  /// May a single operation pass by without a look? 15 in 16 do, and all of a request, unless what
  /// they belong to is sampled: the look is what costs.
  [[nodiscard]] bool may_pass() noexcept {
    ++singles_;
    return !is_looked_at();
  }
  /// What may_pass() said last: no.
  [[nodiscard]] bool is_looked_at() const noexcept { return (singles_ & pace_) == 0; }
  /// What a transaction over several keys does is a request of its own, unless it is within one.
  /// true: it began one, and end_transaction() ends it.
  bool begin_transaction(std::size_t keys, std::uint64_t now_ms) noexcept {
    if (in_request_) return false;
    begin_request(keys, now_ms);
    return true;
  }
  void end_transaction() noexcept {
    in_request_ = false;
    set_pace();
  }
  /// Is every access to the key with this hash taken, whatever it belongs to?
  [[nodiscard]] bool watches(std::uint64_t hash) const noexcept {
    return watching_.is_watched(hash);
  }
  /// Hashes below it are watched.
  [[nodiscard]] std::uint64_t watched_below() const noexcept { return watching_.watched_below(); }
  /// A single operation on a watched key that may pass else.
  void take_alone(const operation& op, const op_reply& reply, std::uint64_t hash,
                  std::uint64_t now_ms) noexcept;
  /// An access of a batch that is sampled, or of a watched key of any batch.
  void take(const operation& op, const op_reply& reply, std::uint64_t hash,
            std::uint64_t now_ms) noexcept;
  /// A single operation. true: the next one belongs to a sampled window too, as far as is known.
  bool single(const operation& op, const op_reply& reply, std::uint64_t hash,
              std::uint64_t now_ms) noexcept;

  /// Somebody above says whose operations a batch holds, and hands them to single().
  bool told = false;

  /// Unix time to a few milliseconds, which is enough for windows, at a fraction of the price.
  [[nodiscard]] static std::uint64_t clock_ms() noexcept;

private:
  friend class observation;
  static constexpr std::uint32_t every_one = 0, one_in_16 = 15, next_to_none = ~std::uint32_t{0};
  /// After a beginning and a look. Whether what follows is sampled.
  bool set_pace() noexcept {
    const bool sampling = watching_.sampling();
    pace_ = sampling ? every_one : in_request_ ? next_to_none : one_in_16;
    return sampling;
  }

  std::uint32_t pace_ = one_in_16; ///< of singles_: a look where those bits are all 0
  std::uint32_t singles_ = 15;     ///< the first one is looked at
  physics::observer watching_;
  std::uint64_t stream_ = 0;
  bool in_request_ = false;
  std::atomic<bool> taken_{true}; ///< by a thread
};

/// Samples what the threads that use an engine ask for, each into a ring of its own, so that the
/// data path shares nothing and waits for nobody: windows of requests (one in windows_one_in), and
/// every access of one key in keys_one_in. While it is off nothing is sampled. Thread-safe; drain()
/// by one thread at a time.
class observation {
public:
  explicit observation(const physics::observer_options& options);

  [[nodiscard]] bool is_on() const noexcept { return on_.load(std::memory_order_relaxed); }
  void turn(bool on) noexcept { on_.store(on, std::memory_order_relaxed); }
  /// One key in so many from now on, by all threads; 0: none.
  void watch_one_in(std::uint32_t keys) noexcept;
  /// Hashes below it are watched; 0 while it is off.
  [[nodiscard]] std::uint64_t watched_below() noexcept;

  /// The calling thread's; its own until it ends. Null: no memory.
  [[nodiscard]] thread_observer* mine() noexcept {
    return last_used_.number == number_ ? last_used_.of : claim();
  }

  /// Hands what all threads sampled to `use(std::span<const physics::access_sample>)`.
  template <class Use>
  physics::observer::drained drain(Use&& use) {
    physics::observer::drained all;
    std::lock_guard guard{mutex_};
    for (const auto& o : observers_) {
      const auto one = o->watching_.drain(use);
      all.samples += one.samples;
      all.accesses += one.accesses;
      all.dropped += one.dropped;
      all.passed += one.passed;
    }
    return all;
  }

private:
  struct claimed;
  struct claims;
  struct last_used {
    std::uint64_t number = 0;
    thread_observer* of = nullptr;
  };
  static constinit thread_local last_used last_used_;

  thread_observer* claim() noexcept;
  thread_observer* find();

  const std::uint64_t number_; ///< of this object; no two in a process have the same
  std::atomic<bool> on_{false};
  std::mutex mutex_; ///< guards what is below
  physics::observer_options options_;
  std::vector<std::shared_ptr<thread_observer>> observers_;
};

} // namespace warp::storage
