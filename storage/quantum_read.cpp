#include "storage/quantum_read.hpp"

#include "storage/no_memory.hpp"
#include "storage/told_streams.hpp"

#include <algorithm>

namespace warp::storage {

namespace {

std::string_view value_of(const op_reply& reply) noexcept {
  return reply.large ? reply.large.view() : reply.value;
}

} // namespace

op_result<quantum_answer> quantum_read(engine& from, std::string_view key,
                                       std::vector<quantum_partner> found, bool values,
                                       std::size_t bytes_max) {
  return unless_no_memory("quantum get", [&]() -> op_result<quantum_answer> {
    // Names that can be no key are no partners, whatever a rule makes of them.
    std::erase_if(found, [](const quantum_partner& p) {
      return p.key.size() < key_size_min || p.key.size() > key_size_max;
    });
    const told_streams unobserved{from};
    value_arena arena;
    std::vector<operation> operations(1 + found.size());
    std::vector<op_reply> replies(operations.size());
    operations[0] = {
        .kind = op_kind::get, .level = durability::memory, .key = key, .value = {}, .request = {}};
    for (std::size_t i = 0; i < found.size(); ++i)
      operations[i + 1] = {.kind = values ? op_kind::get : op_kind::exists,
                           .level = durability::memory,
                           .key = found[i].key,
                           .value = {},
                           .request = {}};
    from.execute_unsynced(operations, replies, arena);
    const auto& self = replies[0];
    if (self.code != op_code::ok && self.code != op_code::not_found)
      return op_status{self.code, describe(self.code, operations[0], from.options())};
    quantum_answer out;
    out.present = self.code == op_code::ok;
    if (out.present) {
      out.version = self.version;
      out.expires_at_ms = self.expires_at_ms;
      out.value = value_of(self);
    }
    auto room = bytes_max - std::min(bytes_max, out.value.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      const auto& reply = replies[i + 1];
      found[i].present = reply.code == op_code::ok;
      const auto value = value_of(reply);
      found[i].value_omitted = !values || value.size() > room;
      if (found[i].value_omitted || !found[i].present) continue;
      room -= value.size();
      found[i].value = value;
    }
    out.partners = std::move(found);
    return out;
  });
}

} // namespace warp::storage
