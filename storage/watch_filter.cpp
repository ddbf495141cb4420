#include "storage/watch_filter.hpp"

#include <algorithm>

namespace warp::storage {

prefix_sieve::prefix_sieve(std::span<const std::string> prefixes) : hashes_(prefixes.size()) {
  for (const auto& prefix : prefixes) {
    lengths_.push_back(prefix.size());
    hashes_.add(table::hash(prefix));
    all_ = all_ || prefix.empty();
  }
  std::sort(lengths_.begin(), lengths_.end());
  lengths_.erase(std::unique(lengths_.begin(), lengths_.end()), lengths_.end());
  all_ = all_ || lengths_.size() > lengths_max;
}

} // namespace warp::storage
