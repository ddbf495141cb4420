#pragma once

#include "messages/ids.hpp"
#include "messages/shared_bytes.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace warp::cluster::replication {

/// What is logged: an after-image that the wiring can apply anywhere, opaque here. The record with
/// which a primary begins its epoch (R8) is a no-op.
struct log_record {
  lsn_t lsn = 0; ///< grows along the log; numbers may be left out
  epoch_t epoch = 0;
  bool no_op = false;
  shared_bytes body; ///< of one in a log_run: only the run keeps it
  friend bool operator==(const log_record&, const log_record&) = default;
};

/// Records that follow each other in a log. They never change, so an Append, the log and whoever
/// writes it to disk share them: a copy is a reference. Any thread may hold one.
///
/// A record takes 16 bytes here beside its body; only where numbers are left out, or the epoch
/// changes, each has its place.
class log_run {
public:
  using keepers = std::vector<std::shared_ptr<const void>>;

  log_run() = default;
  log_run(const std::vector<log_record>& records); // NOLINT: records are records
  log_run(std::initializer_list<log_record> records) : log_run(std::vector<log_record>{records}) {}

  [[nodiscard]] std::size_t size() const noexcept { return count_; }
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }

  [[nodiscard]] lsn_t lsn_at(std::size_t i) const noexcept {
    return dense() ? all_->first + from_ + i : all_->places[from_ + i].lsn;
  }
  [[nodiscard]] epoch_t epoch_at(std::size_t i) const noexcept {
    return dense() ? all_->epoch : all_->places[from_ + i].epoch;
  }
  [[nodiscard]] bool no_op_at(std::size_t i) const noexcept {
    return (all_->entries[from_ + i].size & no_op_bit) != 0;
  }
  /// Stays as long as keeper().
  [[nodiscard]] std::string_view body_at(std::size_t i) const noexcept {
    const auto& e = all_->entries[from_ + i];
    return {e.body, static_cast<std::size_t>(e.size & ~no_op_bit)};
  }
  [[nodiscard]] log_record operator[](std::size_t i) const noexcept {
    return {lsn_at(i), epoch_at(i), no_op_at(i), {nullptr, body_at(i)}};
  }
  [[nodiscard]] log_record front() const noexcept { return (*this)[0]; }
  [[nodiscard]] log_record back() const noexcept { return (*this)[count_ - 1]; }

  /// Is no number left out, and the epoch the same?
  [[nodiscard]] bool dense() const noexcept { return all_->places.empty(); }
  /// Of all bodies.
  [[nodiscard]] std::size_t body_bytes() const noexcept {
    if (count_ == 0) return 0;
    if (count_ == all_->entries.size()) return all_->body_bytes;
    std::size_t sum = 0;
    for (std::size_t i = 0; i < count_; ++i) sum += body_at(i).size();
    return sum;
  }

  class iterator {
  public:
    using value_type = log_record;
    using difference_type = std::ptrdiff_t;
    iterator() = default;
    iterator(const log_run& of, std::size_t at) : of_(&of), at_(at) {}
    log_record operator*() const noexcept { return (*of_)[at_]; }
    iterator& operator++() noexcept {
      ++at_;
      return *this;
    }
    iterator operator++(int) noexcept { return {*of_, at_++}; }
    friend bool operator==(const iterator& a, const iterator& b) noexcept { return a.at_ == b.at_; }

  private:
    const log_run* of_ = nullptr;
    std::size_t at_ = 0;
  };
  [[nodiscard]] iterator begin() const noexcept { return {*this, 0}; }
  [[nodiscard]] iterator end() const noexcept { return {*this, count_}; }

  /// `count` of them, from the number `from` on.
  [[nodiscard]] log_run part(std::size_t from, std::size_t count) const {
    if (count == 0) return {};
    log_run some = *this;
    some.from_ += from;
    some.count_ = count;
    return some;
  }

  /// Who keeps the records and their bodies.
  [[nodiscard]] std::shared_ptr<const void> keeper() const noexcept { return all_; }

  friend bool operator==(const log_run& a, const log_run& b) { return std::ranges::equal(a, b); }

private:
  friend class log_run_builder;
  static constexpr auto no_op_bit = std::uint64_t{1} << 63;
  struct entry {
    const char* body;
    std::uint64_t size; ///< with no_op_bit
  };
  struct place {
    lsn_t lsn;
    epoch_t epoch;
  };
  struct contents {
    lsn_t first = 0;   ///< where it is dense
    epoch_t epoch = 0; ///< likewise
    std::size_t body_bytes = 0;
    std::vector<entry> entries;
    std::vector<place> places; ///< none where it is dense
    keepers kept;
  };
  std::shared_ptr<const contents> all_;
  std::size_t from_ = 0, count_ = 0;
};

/// Makes a log_run, record by record. Throws std::bad_alloc.
class log_run_builder {
public:
  explicit log_run_builder(std::size_t records_about) { all_.entries.reserve(records_about); }

  [[nodiscard]] std::size_t size() const noexcept { return all_.entries.size(); }
  [[nodiscard]] bool empty() const noexcept { return all_.entries.empty(); }

  /// The body is kept by one who is handed to keep().
  void add(lsn_t lsn, epoch_t epoch, bool no_op, std::string_view body) {
    const auto before = all_.entries.size();
    if (before == 0) {
      all_.first = lsn;
      all_.epoch = epoch;
    } else if (all_.places.empty() && (lsn != all_.first + before || epoch != all_.epoch)) {
      all_.places.reserve(all_.entries.capacity());
      for (std::size_t i = 0; i < before; ++i) all_.places.push_back({all_.first + i, all_.epoch});
    }
    if (!all_.places.empty()) all_.places.push_back({lsn, epoch});
    all_.entries.push_back({body.data(), body.size() | (no_op ? log_run::no_op_bit : 0)});
    all_.body_bytes += body.size();
  }
  /// Whoever has been handed over last is not noted again.
  void keep(const std::shared_ptr<const void>& who) {
    if (who && (all_.kept.empty() || who.owner_before(all_.kept.back()) ||
                all_.kept.back().owner_before(who)))
      all_.kept.push_back(who);
  }

  [[nodiscard]] log_run done() && {
    log_run made;
    made.count_ = all_.entries.size();
    if (made.count_ != 0) made.all_ = std::make_shared<const log_run::contents>(std::move(all_));
    return made;
  }

private:
  log_run::contents all_;
};

inline log_run::log_run(const std::vector<log_record>& records) {
  log_run_builder all{records.size()};
  for (const auto& r : records) {
    all.add(r.lsn, r.epoch, r.no_op, r.body);
    all.keep(r.body.owner());
  }
  *this = std::move(all).done();
}

} // namespace warp::cluster::replication
