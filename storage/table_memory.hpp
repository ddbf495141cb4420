#pragma once

#include "storage/block_pool.hpp"
#include "storage/cell_allocator.hpp"
#include "storage/segment.hpp"

namespace warp::storage {

/// Where tables take their memory from. The tables of one engine share one, so that they fill its
/// regions together and what one frees serves the others. Thread-safe.
struct table_memory {
  block_pool record_pages{cell_allocator::page_bytes};
  block_pool segments{sizeof(segment)};
};

} // namespace warp::storage
