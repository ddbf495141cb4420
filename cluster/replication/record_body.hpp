#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace warp::cluster::replication {

/// Bytes that never change once they are made, so that the log, the messages to other copies and
/// whoever applies a record share them: a copy is a reference. Any thread may hold one.
class record_body {
public:
  record_body() = default;
  record_body(std::string_view bytes) : size_(bytes.size()) { // NOLINT: bytes are a body
    if (bytes.empty()) return;
    auto made = std::make_shared_for_overwrite<char[]>(bytes.size());
    std::ranges::copy(bytes, made.get());
    bytes_ = std::move(made);
  }
  record_body(const std::string& bytes) : record_body(std::string_view{bytes}) {} // NOLINT
  record_body(const char* text) : record_body(std::string_view{text}) {}          // NOLINT

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::string_view view() const noexcept { return {bytes_.get(), size_}; }
  operator std::string_view() const noexcept { return view(); } // NOLINT

  friend bool operator==(const record_body& a, const record_body& b) noexcept {
    return a.bytes_ == b.bytes_ || a.view() == b.view();
  }

private:
  std::shared_ptr<const char[]> bytes_;
  std::size_t size_ = 0;
};

} // namespace warp::cluster::replication
