#pragma once

#include "messages/operations.hpp"
#include "messages/packed_fields.hpp"
#include "storage/hash_view.hpp"

#include <map>
#include <string>
#include <string_view>

namespace warp::testing {

/// Fields of a hash as the oracle has them.
using field_map = std::map<std::string, std::string>;

/// As the value of a record: a mark that no other value begins with, then pairs in the order of
/// their names.
inline std::string as_value(const field_map& fields) {
  field_packer packer;
  for (const auto& [name, value] : fields) packer.add_pair(name, value);
  return "hash:" + std::string{packer.packed()};
}
inline std::string as_value(const storage::hash_view& fields) {
  field_map sorted;
  fields.for_each(
      [&](std::string_view name, std::string_view value) { sorted.emplace(name, value); });
  return as_value(sorted);
}
/// The inverse; none of another value.
inline field_map fields_in(std::string_view value) {
  field_map fields;
  if (!value.starts_with("hash:")) return fields;
  for_each_pair(value.substr(5), [&](std::string_view name, std::string_view field) {
    fields.emplace(name, field);
  });
  return fields;
}

/// What an operation that was done has made of the fields; none are left when the key goes.
inline void apply_to(field_map& fields, const operation& op) {
  if (op.kind == op_kind::hash_set)
    for_each_pair(op.value, [&](std::string_view name, std::string_view value) {
      fields[std::string{name}] = value;
    });
  if (op.kind == op_kind::hash_erase)
    for_each_name(op.value, [&](std::string_view name) { fields.erase(std::string{name}); });
  if (op.kind == op_kind::hash_increment)
    for_each_name(op.value, [&](std::string_view name) {
      auto& number = fields[std::string{name}];
      number = std::to_string((number.empty() ? 0 : std::stoll(number)) + op.delta);
    });
}

} // namespace warp::testing
