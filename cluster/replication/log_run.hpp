#pragma once

#include "messages/ids.hpp"
#include "messages/shared_bytes.hpp"

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <utility>
#include <vector>

namespace warp::cluster::replication {

/// What is logged: an after-image that the wiring can apply anywhere, opaque here. The record with
/// which a primary begins its epoch (R8) is a no-op.
struct log_record {
  lsn_t lsn = 0; ///< grows along the log; numbers may be left out
  epoch_t epoch = 0;
  bool no_op = false;
  shared_bytes body; ///< in a log_run, may be one that only the run keeps
  friend bool operator==(const log_record&, const log_record&) = default;
};

/// Records that follow each other in a log. They never change, so an Append, the log and whoever
/// writes it to disk share them: a copy is a reference. Any thread may hold one.
class log_run {
public:
  using keepers = std::vector<std::shared_ptr<const void>>;

  log_run() = default;
  /// `kept`: who keeps those bodies that are borrowed, for as long as the run is.
  log_run(std::vector<log_record> records, keepers kept = {}) // NOLINT: records are records
      : count_(records.size()) {
    if (count_ != 0)
      all_ = std::make_shared<const contents>(contents{std::move(records), std::move(kept)});
  }
  log_run(std::initializer_list<log_record> records) : log_run(std::vector<log_record>{records}) {}

  [[nodiscard]] std::size_t size() const noexcept { return count_; }
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  [[nodiscard]] const log_record* begin() const noexcept {
    return all_ ? all_->records.data() + from_ : nullptr;
  }
  [[nodiscard]] const log_record* end() const noexcept { return begin() + count_; }
  [[nodiscard]] const log_record& operator[](std::size_t i) const noexcept { return begin()[i]; }
  [[nodiscard]] const log_record& front() const noexcept { return *begin(); }
  [[nodiscard]] const log_record& back() const noexcept { return end()[-1]; }

  /// `count` of them, from the number `from` on.
  [[nodiscard]] log_run part(std::size_t from, std::size_t count) const {
    log_run some = *this;
    some.from_ += from;
    some.count_ = count;
    if (count == 0) some = {};
    return some;
  }

  /// Who keeps the records and their bodies.
  [[nodiscard]] std::shared_ptr<const void> keeper() const noexcept { return all_; }

  friend bool operator==(const log_run& a, const log_run& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }

private:
  struct contents {
    std::vector<log_record> records;
    keepers kept;
  };
  std::shared_ptr<const contents> all_;
  std::size_t from_ = 0, count_ = 0;
};

} // namespace warp::cluster::replication
