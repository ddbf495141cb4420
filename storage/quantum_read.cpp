#include "storage/quantum_read.hpp"

#include "storage/hash_view.hpp"
#include "storage/no_memory.hpp"
#include "storage/told_streams.hpp"

#include <algorithm>

namespace warp::storage {

namespace {

/// Between two looks a key may become another thing, and again.
constexpr int looks_max = 4;

operation look_for(op_kind kind, std::string_view key) {
  return {.kind = kind, .level = durability::memory, .key = key, .value = {}, .request = {}};
}

/// Carries them out, and asks once more for those that turn out to hold the other type.
void look_at_all(engine& from, std::vector<operation>& operations, std::vector<op_reply>& replies,
                 value_arena& arena) {
  from.execute_unsynced(operations, replies, arena);
  std::vector<std::size_t> which;
  for (int look = 1; look < looks_max; ++look) {
    which.clear();
    std::vector<operation> again;
    for (std::size_t i = 0; i < operations.size(); ++i) {
      if (replies[i].code != op_code::wrong_type) continue;
      auto& kind = operations[i].kind;
      kind = kind == op_kind::get ? op_kind::hash_all : op_kind::get;
      which.push_back(i);
      again.push_back(operations[i]);
    }
    if (again.empty()) return;
    std::vector<op_reply> answers(again.size());
    from.execute_unsynced(again, answers, arena);
    for (std::size_t i = 0; i < which.size(); ++i) replies[which[i]] = std::move(answers[i]);
  }
}

std::size_t size_of(const op_reply& reply) noexcept {
  return reply.large ? reply.large.get()->size() : reply.value.size();
}

std::string value_of(const op_reply& reply) {
  return std::string{reply.large ? as_bytes(reply.large).view() : reply.value};
}

bool is_there(const op_reply& reply) noexcept {
  return reply.code == op_code::ok || reply.code == op_code::wrong_type;
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
    operations[0] = look_for(op_kind::get, key);
    for (std::size_t i = 0; i < found.size(); ++i)
      operations[i + 1] = look_for(values ? op_kind::get : op_kind::exists, found[i].key);
    look_at_all(from, operations, replies, arena);
    const auto& self = replies[0];
    if (self.code != op_code::ok && self.code != op_code::not_found)
      return op_status{self.code, describe(self.code, operations[0], from.options())};
    quantum_answer out;
    out.present = self.code == op_code::ok;
    if (out.present) {
      out.version = self.version;
      out.expires_at_ms = self.expires_at_ms;
      out.value = value_of(self);
      out.type = self.type;
    }
    auto room = bytes_max - std::min(bytes_max, out.value.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      const auto& reply = replies[i + 1];
      found[i].present = is_there(reply);
      if (found[i].present) found[i].type = reply.type;
      found[i].value_omitted =
          !values || size_of(reply) > room || reply.code == op_code::wrong_type;
      if (found[i].value_omitted || !found[i].present) continue;
      room -= size_of(reply);
      found[i].value = value_of(reply);
    }
    out.partners = std::move(found);
    return out;
  });
}

} // namespace warp::storage
