#pragma once

#include "messages/status.hpp"
#include "storage/backup_format.hpp"
#include "storage/backup_store.hpp"
#include "storage/file_system.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace warp::storage {

/// An object as a backup's manifest names it.
struct backup_object {
  std::string name;            ///< in the section "objects"
  std::uint64_t bytes = 0;     ///< in the store
  std::uint64_t raw_bytes = 0; ///< of what it is a copy of
  std::uint32_t checksum = 0;  ///< backup_trailer::crc

  friend bool operator==(const backup_object&, const backup_object&) = default;
};

/// Writes one object from front to back, compressed. One thread at a time. Dropped unfinished, it
/// leaves nothing behind.
class backup_object_writer {
public:
  static op_result<std::unique_ptr<backup_object_writer>>
  create(backup_store& store, std::string name, const backup_header& header);
  ~backup_object_writer();
  backup_object_writer(const backup_object_writer&) = delete;
  backup_object_writer& operator=(const backup_object_writer&) = delete;

  op_status append(std::string_view bytes);
  [[nodiscard]] std::uint64_t raw_bytes() const noexcept;
  /// The object is published when this returns ok. Once.
  op_result<backup_object> finish();

private:
  struct state;
  explicit backup_object_writer(std::unique_ptr<state> s);
  std::unique_ptr<state> state_;
};

/// Reads an object as the bytes it is a copy of, at any offset, a chunk of memory at a time; each
/// chunk is checked as it is read. One thread at a time.
class backup_object_reader {
public:
  /// Checks header, index and trailer. corruption, version_mismatch; not_found.
  static op_result<std::unique_ptr<backup_object_reader>> open(backup_store& store,
                                                               const std::string& name);
  ~backup_object_reader();
  backup_object_reader(const backup_object_reader&) = delete;
  backup_object_reader& operator=(const backup_object_reader&) = delete;

  [[nodiscard]] const backup_header& header() const noexcept;
  /// What a manifest would say of it.
  [[nodiscard]] const backup_object& object() const noexcept;
  /// Up to `to.size()` bytes from `offset` on; fewer only at the end.
  op_result<std::size_t> read_at(std::uint64_t offset, std::span<char> to);
  /// Reads and checks all of it.
  op_status verify();

private:
  struct state;
  explicit backup_object_reader(std::unique_ptr<state> s);
  std::unique_ptr<state> state_;
};

} // namespace warp::storage
