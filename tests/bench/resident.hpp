#pragma once

namespace warp::bench {

/// Resident memory of this process in bytes, from /proc/self/smaps_rollup (exact), else from statm;
/// after malloc has given back what it holds and nobody uses (buffers of a burst that is over).
double resident_bytes();

} // namespace warp::bench
