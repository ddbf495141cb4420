#pragma once

#include "messages/status.hpp"

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace warp::cluster::etcd {

/// Reads one JSON object of a key strictly: every field that is there must be asked for, once, and
/// be of its type and range; the first thing that is wrong is kept, with key and field, and what is
/// read after it are defaults. A sub-object is read by another reader that reports to its parent.
class record_reader {
public:
  /// `object` must outlive it; `path` is put before the names of fields ("isr[2].").
  record_reader(std::string_view key, const nlohmann::json& object, op_status& status,
                std::string path = {});

  /// Whole number in [min, max].
  std::uint64_t number(const char* name, std::uint64_t min, std::uint64_t max);
  /// The same where it may be left out.
  std::uint64_t number_or(const char* name, std::uint64_t otherwise, std::uint64_t min,
                          std::uint64_t max);
  /// A 64-bit id, in decimal digits within quotes: as a number other programs would round it.
  std::uint64_t id(const char* name);
  /// At most `size_max` bytes, UTF-8.
  std::string text(const char* name, std::size_t size_max);
  bool has(const char* name) const;
  const nlohmann::json& object(const char* name);
  const nlohmann::json& array(const char* name, std::size_t count_max);

  /// Something else is wrong with a field.
  void refuse(std::string_view name, std::string_view what);
  /// Refuses what was not asked for. Call it last.
  void finish();
  [[nodiscard]] std::string path_of(std::string_view name) const {
    return path_ + std::string{name};
  }

private:
  const nlohmann::json* take(const char* name, bool required);

  std::string_view key_;
  const nlohmann::json& object_;
  op_status& status_;
  std::string path_;
  std::vector<std::string> asked_;
};

/// Parses the value of a key: a JSON object of at most 1 MiB, no field twice, whose "version" is
/// `version`. corruption, naming the key and what to do.
[[nodiscard]] op_result<nlohmann::json> parse_record(std::string_view key, std::string_view value,
                                                     std::uint64_t version);

/// The same message for a field of a key, wherever it is found.
[[nodiscard]] op_status wrong_field(std::string_view key, std::string_view field,
                                    std::string_view what);

} // namespace warp::cluster::etcd
