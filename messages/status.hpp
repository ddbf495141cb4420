#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace warp {

/// What became of an operation. The numbers travel on the wire and stand in files: they never
/// change, and a removed one leaves a comment behind. The question for a new one: could a caller
/// act on it?
enum class op_code : std::uint16_t {
  ok = 0,
  not_found = 1,  ///< the key is absent (or expired)
  corruption = 2, ///< bytes at rest or on the wire are damaged: see the message for file and offset
  invalid_argument = 3,  ///< the request can never succeed as it is
  not_supported = 4,     ///< known, and not available in this build, version or configuration
  io_error = 5,          ///< the operating system refused a read, write or sync
  unavailable = 6,       ///< this part is restarting or stopping: retry, at once or after a moment
  timed_out = 7,         ///< the deadline passed before anything was done: retry is safe
  wrong_shard = 8,       ///< another node or shard owns this key
  overloaded = 9,        ///< a bounded buffer or limit is full: retry after a moment
  shutting_down = 10,    ///< the server is stopping
  version_mismatch = 11, ///< compare-and-set met another version: the reply carries the one it met
  no_space = 12,         ///< the disk or the memory limit is full: nothing was done
  no_replicas = 13,      ///< this universe cannot give the durability that was asked for
  unauthorized = 14,     ///< not logged in, or no right to this key or command
  outcome_unknown = 15,  ///< the write may or may not have happened: retry by request id is safe
  already_exists = 16,   ///< the key is present and the write asked for it to be absent
  wrong_type = 17, ///< the value is not what the operation works on (increment of a text, ...)
};

/// Stable lower-case name of a code ("not_found"); "unknown" for a number of a later version.
[[nodiscard]] std::string_view to_string(op_code code) noexcept;

/// Code and, for anything but ok and not_found, a sentence for people that says what to do next.
/// Cheap to copy when ok.
class [[nodiscard]] op_status {
public:
  op_status() noexcept = default;
  op_status(op_code code) noexcept : code_(code) {} // NOLINT: a bare code is a status
  op_status(op_code code, std::string message) : code_(code), message_(std::move(message)) {}

  [[nodiscard]] bool ok() const noexcept { return code_ == op_code::ok; }
  [[nodiscard]] op_code code() const noexcept { return code_; }
  [[nodiscard]] const std::string& message() const noexcept { return message_; }
  /// The same sentence with another code.
  op_status with(op_code code) && noexcept {
    code_ = code;
    return std::move(*this);
  }
  /// "code: message", for logs and terminals.
  [[nodiscard]] std::string to_string() const;

  friend bool operator==(const op_status& a, op_code b) noexcept { return a.code_ == b; }

private:
  op_code code_ = op_code::ok;
  std::string message_;
};

/// A value, or the status that says why there is none. Never holds an ok status without a value.
template <class T>
class [[nodiscard]] op_result {
public:
  op_result(T value) : value_(std::move(value)) {}            // NOLINT: a value is a result
  op_result(op_status status) : status_(std::move(status)) {} // NOLINT: so is a failure
  op_result(op_code code) : status_(code) {}                  // NOLINT

  [[nodiscard]] bool ok() const noexcept { return value_.has_value(); }
  explicit operator bool() const noexcept { return ok(); }
  [[nodiscard]] const op_status& status() const noexcept { return status_; }
  [[nodiscard]] op_code code() const noexcept { return status_.code(); }

  T& value() & { return *value_; }
  const T& value() const& { return *value_; }
  T&& value() && { return std::move(*value_); }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T&& operator*() && { return std::move(*value_); }

private:
  std::optional<T> value_;
  op_status status_;
};

} // namespace warp
