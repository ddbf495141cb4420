#pragma once

#include "tests/integration/resp_link.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace warp::testing {

struct cluster_client_options {
  std::vector<std::string> nodes; ///< addresses of RESP ports, "127.0.0.1:7379"
  std::string level = "durable";  ///< WARP.DURABILITY of every connection; "": the server's own
  std::uint32_t shards = 64;      ///< of the cluster: one redirect teaches where a shard is
  std::chrono::milliseconds silence{500};    ///< of a node that is asked, before it's given up
  std::chrono::milliseconds patience{8'000}; ///< for a call, over everything that refuses it
};

/// A client of the cluster's RESP ports that follows redirects and remembers them. What certainly
/// was not done it tries again, at other nodes too; a write whose answer was lost it never does.
/// One thread.
class cluster_client {
public:
  cluster_client(const cluster_client_options& options, std::uint64_t seed)
      : options_(options), random_(seed), routes_(options.shards) {}

  enum class fate : std::uint8_t {
    answered,
    refused, ///< certainly not done, until the patience was over
    unknown, ///< a write was sent, and nobody says what became of it
  };
  struct answer {
    fate became = fate::refused;
    std::string reply; ///< as resp_link tells it; of one that is refused the last reason
  };
  /// A command with one reply about one key. `writes`: doing it twice is not doing it once.
  answer ask(std::string_view key, const std::vector<std::string>& words, bool writes);
  /// Watches the key, reads it, and writes `value` in a transaction, which the server carries out
  /// only if nobody has changed the key since (it compares versions). The reply: "+OK"; "*-1" when
  /// somebody has; "$-1" where the key is not there, and nothing was tried. `seen`: what was read.
  answer replace(std::string_view key, const std::string& value, std::string& seen);

  [[nodiscard]] std::uint64_t redirects() const noexcept { return redirects_; }
  /// How often it was told what.
  [[nodiscard]] const std::map<std::string, std::uint64_t>& errors() const noexcept {
    return errors_;
  }

private:
  using steady = std::chrono::steady_clock;

  /// Has `talk` with whoever serves the key, for as often as it takes. It returns the reply that
  /// counts, and says when a write has been sent that may be done.
  answer follow(std::string_view key, const std::function<std::string(resp_link&, bool&)>& talk);
  resp_link& link_to(const std::string& address);
  void distrust(const std::string& address);
  std::string other_than(const std::string& address);

  const cluster_client_options& options_;
  std::mt19937_64 random_;
  std::vector<std::string> routes_; ///< by shard; "": not known
  std::map<std::string, resp_link> links_;
  std::map<std::string, steady::time_point> distrusted_; ///< until then others are asked first
  std::map<std::string, std::uint64_t> errors_;
  std::uint64_t redirects_ = 0;
};

} // namespace warp::testing
