#pragma once

#include "messages/operations.hpp"
#include "storage/reply.hpp"

#include <array>
#include <functional>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

namespace warp::bench {

/// The peer that every C++ program has at hand: std::unordered_map<std::string, std::string> in 64
/// pieces, each behind a std::mutex; no log, no expiry, no versions. Knows get, put and erase.
class map_store {
public:
  explicit map_store(std::size_t keys) {
    for (auto& p : pieces_) p.map.reserve(keys / pieces_.size()); // no rehash while it is measured
  }

  void execute(std::span<const operation> ops, std::span<storage::op_reply> replies,
               storage::value_arena& arena) {
    for (std::size_t i = 0; i < ops.size(); ++i) {
      const auto& op = ops[i];
      auto& p = pieces_[std::hash<std::string_view>{}(op.key) >> 58];
      std::string key{op.key};
      std::lock_guard hold{p.mutex};
      replies[i].code = op_code::ok;
      if (op.kind == op_kind::put) {
        p.map.insert_or_assign(std::move(key), op.value);
      } else if (op.kind == op_kind::erase) {
        if (p.map.erase(key) == 0) replies[i].code = op_code::not_found;
      } else if (const auto at = p.map.find(key); at != p.map.end()) {
        replies[i].value = arena.copy(at->second);
      } else {
        replies[i].code = op_code::not_found;
        replies[i].value = {};
      }
    }
  }

private:
  struct alignas(64) piece {
    std::mutex mutex;
    std::unordered_map<std::string, std::string> map;
  };
  std::array<piece, 64> pieces_;
};

} // namespace warp::bench
