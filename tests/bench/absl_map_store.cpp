#include "tests/bench/embedded_store.hpp"

#include <absl/base/config.h>
#include <absl/container/flat_hash_map.h>
#include <absl/strings/string_view.h>

#include <array>
#include <mutex>
#include <string_view>

namespace warp::bench {

namespace {

class absl_map_store final : public embedded_store {
public:
  void execute(std::span<const operation> ops, std::span<storage::op_reply> replies,
               storage::value_arena& arena) override {
    if (ops.size() > 1)
      for (const auto& op : ops) of(op.key).map.prefetch(view(op.key));
    for (std::size_t i = 0; i < ops.size(); ++i) {
      const auto& op = ops[i];
      auto& p = of(op.key);
      std::lock_guard hold{p.mutex};
      replies[i].code = op_code::ok;
      const auto at = p.map.find(view(op.key));
      if (op.kind == op_kind::put) {
        if (at != p.map.end())
          at->second.assign(op.value);
        else
          p.map.emplace(op.key, op.value);
      } else if (at != p.map.end()) {
        replies[i].value = arena.copy(at->second);
      } else {
        replies[i].code = op_code::not_found;
      }
    }
  }

private:
  // Debian's absl has a string_view of its own, with which the map can be searched without a copy.
  static absl::string_view view(std::string_view bytes) { return {bytes.data(), bytes.size()}; }

  struct alignas(64) piece {
    std::mutex mutex;
    absl::flat_hash_map<std::string, std::string> map;
  };
  piece& of(std::string_view key) { return pieces_[std::hash<std::string_view>{}(key) >> 58]; }
  std::array<piece, 64> pieces_;
};

} // namespace

embedded_peer absl_map_peer() {
  return {.name = "absl " + std::to_string(ABSL_LTS_RELEASE_VERSION),
          .settings =
              "absl::flat_hash_map<std::string, std::string> in 64 pieces with a std::mutex "
              "each, prefetch for batches; no log",
          .open = [](const std::string&, bool) -> std::unique_ptr<embedded_store> {
            return std::make_unique<absl_map_store>();
          }};
}

} // namespace warp::bench
