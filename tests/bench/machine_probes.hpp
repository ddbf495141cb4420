#pragma once

#include <cstddef>

namespace warp::bench {

// What the machine can do, measured without the engine: the terms in which its costs are explained.
// Threads are pinned to processors 0, 1, ... where the system lets them.

/// Latency of one read that depends on the one before, at random places of `bytes`, ns; on pages of
/// 4 KiB or, where the kernel grants them, of 2 MiB.
double dependent_read_ns(std::size_t bytes, bool huge_pages, double seconds);

/// Random reads of single cache lines that do not depend on each other, millions a second, all
/// threads together.
double independent_reads_m(std::size_t bytes, unsigned threads, double seconds);

/// memcpy between large buffers, GB copied a second, all threads together.
double copy_gb(std::size_t bytes, unsigned threads, double seconds);

/// Writing over memory that the process never had, s: what the kernel takes
/// to hand it out, and the host too where that has taken it back meanwhile.
double first_touch_s(std::size_t bytes, bool huge_pages);

/// An atomic increment of a line that the thread has to itself, ns.
double own_increment_ns(double seconds);

/// Hands one cache line to and fro between processors 0 and 1: time of one transfer, ns, of the
/// fastest quarter of short parts (others may need the processors); 0 where there is only one.
double line_transfer_ns(double seconds);

/// Atomic increments of one line by this many threads, each on a processor of its own: time between
/// two of them, ns.
double shared_increment_ns(unsigned threads, double seconds);

} // namespace warp::bench
