#pragma once

#include "messages/ids.hpp"
#include "messages/status.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace warp::storage {

/// What a write answered: enough to answer its retry.
struct request_result {
  op_code code = op_code::ok;
  lsn_t lsn =
      0; ///< of the write in the shard's log: durable before the answer is given again. Not 0
  lsn_t version = 0;       ///< of the record after the write; 0: absent
  std::int64_t number = 0; ///< increment: the result
  bool existed = false;    ///< was the key there before the write?

  friend bool operator==(const request_result&, const request_result&) = default;
};

enum class request_state : std::uint8_t {
  fresh,     ///< never done: do it
  seen,      ///< done before: answer `result`
  forgotten, ///< older than what is remembered: outcome_unknown
};

struct request_answer {
  request_state state = request_state::fresh;
  request_result result; ///< of a seen request
};

/// A shard's memory of the writes that carried a request id, so that a retry has one effect.
///
/// Per client there is a floor: what lies below is forgotten. It rises with the oldest unanswered
/// number that the client sends along, and when one of its results is dropped because the shard has
/// more than 65,536 results, or results 10 minutes older (by record time) than the newest. Floors
/// of the 65,536 clients that wrote last are kept; a client beyond them is a stranger again.
///
/// Everything changes in remember() alone, by what stands in the log. So replicas that apply the
/// same log agree, and a window that was captured at one LSN ignores a replay of what it has seen.
///
/// Not thread-safe: belongs under the shard's lock. A window that nobody uses is one null pointer.
/// lookup() and remember() are O(1) amortised. A value that moves.
class request_window {
public:
  static constexpr std::size_t results_max = 65'536;
  static constexpr std::size_t clients_max = 65'536;
  static constexpr std::uint64_t age_us_max = 600'000'000;

  request_window() noexcept;
  request_window(request_window&&) noexcept;
  request_window& operator=(request_window&&) noexcept;
  ~request_window();

  /// What is known about a request. An id without a client is always fresh.
  [[nodiscard]] request_answer lookup(const request_id& id) const noexcept;

  /// Keeps the result of a write that was just applied, or is being replayed. `record_time_us` is
  /// the timestamp that the log gives it; it never goes back. Does nothing for an id without a
  /// client, nor when result.lsn is below the last LSN that was remembered before, or is it and the
  /// id is known. Throws std::bad_alloc unless reserve() was called, and then has changed nothing
  /// that matters.
  void remember(const request_id& id, const request_result& result, std::uint64_t record_time_us);

  /// So that remembering `results` results of up to `clients` clients cannot fail. Throws
  /// std::bad_alloc, and then has changed nothing that matters.
  void reserve(std::size_t results = 1, std::size_t clients = 1);

  /// Results and clients that are remembered.
  [[nodiscard]] std::size_t size() const noexcept;
  [[nodiscard]] std::size_t client_count() const noexcept;

  void clear() noexcept;

  /// The whole memory as bytes, for the checkpoint's section `checkpoint_section_requests`; empty
  /// for an unused window. At most 5 MiB, about 15 to 40 ns for each result.
  [[nodiscard]] std::string encode() const;
  /// The inverse. corruption for anything that encode() does not write.
  static op_result<request_window> decode(std::string_view bytes);

private:
  struct state;
  std::unique_ptr<state> state_;
};

} // namespace warp::storage
