#pragma once

#include "storage/block_pool.hpp"
#include "storage/cell_allocator.hpp"
#include "storage/memory_budget.hpp"
#include "storage/segment.hpp"

namespace warp::storage {

/// Where tables take their memory from. The tables of one engine share one, so that they fill its
/// regions together and what one frees serves the others. Thread-safe.
struct table_memory {
  explicit table_memory(huge_pages pages = huge_pages::automatic)
      : records(range, pages), segments(range, sizeof(segment), pages) {}

  memory_range range;
  cell_pages records;
  block_pool segments;
  memory_budget budget;
};

} // namespace warp::storage
