#pragma once

#include "messages/ids.hpp"
#include "storage/blob.hpp"
#include "storage/log_record.hpp"
#include "storage/record.hpp"
#include "storage/request_window.hpp"
#include "storage/table.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace warp::storage {

/// A write of a transaction that is in the table, under the locks of all its shards, and nowhere
/// else yet: it can still be taken back.
struct staged_write {
  log_record logged; ///< views of `now`
  std::uint64_t hash = 0;
  blob* plain = nullptr;      ///< a large value as readers have it; borrowed
  record* now = nullptr;      ///< in the table; of an erase: what stands for nothing until settled
  record* replaced = nullptr; ///< out of the table; null: the key was absent
  request_result result;
  bool to_log = false;             ///< its level is above memory
  std::unique_ptr<table> cleared;  ///< of a clear: all that was there
  std::uint64_t cleared_bytes = 0; ///< of the budget, that it has
};

/// In the order in which they were done.
using staged_writes = std::vector<staged_write>;

} // namespace warp::storage
