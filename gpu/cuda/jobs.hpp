#pragma once

#include "gpu/cuda/simt.cuh"
#include "physics/softmax_model.hpp"

#include <cstddef>
#include <cstdint>

namespace warp::gpu {

// What a kernel gets: addresses on the device and counts. Arrays begin at multiples of 256 bytes
// and may be read, not written, up to the next multiple of 16 behind their end. Outputs are written
// whole. Names and meanings are those of batches.hpp.

struct gravity_job {
  const float *mass, *weight_of_all, *weight_to_place, *capacity, *load;
  float softening;
  std::size_t groups, places, top;
  std::uint32_t* place;
  float* score;
  float* field; ///< null: not wanted
};

/// The sums that entropy is made of, u = load / capacity.
struct bucket_sums {
  double use = 0, use_log = 0;   ///< sum(u), sum(u log2 u)
  double load = 0, load_log = 0; ///< sum(load), sum(load log2 u)
  double capacity = 0;
};
struct entropy_job {
  static constexpr std::size_t tile = 2048; ///< buckets that a team goes through

  const std::uint64_t* first;
  const float *load, *capacity;
  std::size_t segments, buckets;
  bucket_sums* head;  ///< scratch, segments: of the part in the tile where it begins
  bucket_sums* carry; ///< scratch, one a tile: of the segment that began before the tile
  double *entropy_bits, *evenness, *divergence_bits;

  /// Tiles for so many buckets.
  static constexpr std::size_t tiles(std::size_t buckets) noexcept {
    return (buckets + tile - 1) / tile;
  }
};

struct graph_job {
  static constexpr std::size_t hub_links = 4096; ///< a node with more is taken by a block

  const std::uint64_t* first;
  const std::uint32_t* to;
  const float* weight;
  std::size_t nodes, links;
  bool hubs; ///< has a node more than hub_links links?
};
struct degree_job {
  graph_job graph;
  float* scale;           ///< 1 / sqrt(degree), 0 without links; null: not wanted
  std::uint64_t* largest; ///< bits of the largest degree, a double, 0 before; null: not wanted
};
/// weight x scale x scale for each link.
struct normalise_job {
  graph_job graph;
  const float* scale;
  float* normalised;
};
struct heat_job {
  graph_job graph;
  const float* here;
  float* next; ///< left x (here + share x flow)
  float share, left;
};
/// Values of so many walks side by side: `width` numbers a node.
struct walk_job {
  graph_job graph; ///< with the normalised weights
  unsigned width;  ///< 1, 4 or 16
  const float *here, *last;
  float* next; ///< twice x (H - 1) here - before x last; may be `last`
  float* sum;  ///< += coefficient x next
  float twice, before, coefficient;
};
struct walk_start_job {
  const std::uint32_t* source; ///< `sources` of them, the first `width` count
  std::size_t nodes, sources;
  unsigned width;
  float *even, *odd, *real, *imaginary; ///< nodes x width: all are set
  float weight;                         ///< J_0(t)
};
struct walk_end_job {
  const float *real, *imaginary;
  std::size_t nodes, sources;
  unsigned width;
  float* probability; ///< sources x nodes by rows
};

struct evolution_job {
  const float *amplitude, *phase, *energy;
  float dt_s;
  std::size_t count;
  float *upper_re, *upper_im, *lower;
};

/// A setting of the event horizon with its limits and where it keeps its state.
struct horizon_run {
  std::uint64_t capacity, small_limit, main_limit, window_limit, ghosts_a_resident;
  double ghost_share;
  std::uint32_t hits_to_stay, fill_every;
};
struct ghost_bucket {
  static constexpr unsigned cells = 8;
  std::uint32_t prints[cells], stamps[cells];
};
struct horizon_job {
  const std::uint64_t* key_hash;
  const std::uint32_t* bytes;
  std::size_t accesses, warm_up;
  std::uint32_t* cells; ///< scratch, a power of two of at least twice the accesses: all ones before
  std::size_t cell_mask; ///< their number less one
  std::uint32_t* key;    ///< scratch, accesses: the number of its key, which is an access to it
  const horizon_run* run;
  std::size_t runs;
  std::uint64_t* node;       ///< scratch, runs x accesses: of a key, all 0 before
  ghost_bucket* ghosts;      ///< scratch, runs x buckets
  std::size_t ghost_buckets; ///< of a run: for all tables that it grows through
  std::uint64_t* missed;
};

struct score_job {
  physics::softmax_shape shape;
  const float *weights, *features;
  std::size_t rows;
  float* score;
};
struct train_job {
  static constexpr std::size_t rows_a_part = 512;

  physics::softmax_shape shape;
  const float *weights, *features;
  const std::uint32_t* right;
  std::size_t rows;
  float* slope;  ///< scratch, rows x classes: scores before, then what is wrong with them
  double* parts; ///< scratch, parts_of(rows) x shape.weights()
  double rate, shrink;
  float* trained;

  static constexpr std::size_t parts_of(std::size_t rows) noexcept {
    return (rows + rows_a_part - 1) / rows_a_part;
  }
};

struct column_job {
  static constexpr std::size_t tile = 4096; ///< values that a block goes through

  const float *value, *other; ///< other: null without dot
  std::size_t count;
  float low, high;
  double *sums, *dots;        ///< scratch, one a tile
  std::uint32_t* passed_here; ///< scratch, one a tile: values of it that passed
  double* sum;                ///< result
  double* dot;                ///< result
  std::uint64_t* passed_count;
  const std::uint32_t* passed_before; ///< of all tiles before
  std::uint32_t* passed;

  static constexpr std::size_t tiles(std::size_t values) noexcept {
    return (values + tile - 1) / tile;
  }
};
/// The greatest of a column as keys that order it: by value, of equals the lower index first. Not
/// 0.
struct top_job {
  static constexpr std::size_t stripe = 16384; ///< of which a team finds the 32 greatest

  const float* value;          ///< null: `keys` are what is gone through
  const std::uint64_t* keys;   ///<
  std::size_t count;           ///< of values or keys
  std::uint64_t* greatest;     ///< 32 for each stripe, greatest first, 0 where there are fewer
  std::uint64_t* all;          ///< keys of all values
  const std::uint64_t* sorted; ///< to be told by index and value:
  std::size_t named;           ///< so many of them
  std::uint32_t* at;
  float* at_value;

  static constexpr std::size_t stripes(std::size_t values) noexcept {
    return (values + stripe - 1) / stripe;
  }
};

/// What a device is asked to do, in a stream and in order; the calls do not wait. They fail by what
/// device_runtime::wait() says.
struct device_kernels {
  void (*gravity)(const gravity_job&, device_stream);
  void (*entropy)(const entropy_job&, device_stream);
  void (*degrees)(const degree_job&, device_stream);
  void (*normalise)(const normalise_job&, device_stream);
  void (*heat)(const heat_job&, device_stream);
  void (*walk_start)(const walk_start_job&, device_stream);
  void (*walk)(const walk_job&, device_stream);
  void (*walk_end)(const walk_end_job&, device_stream);
  void (*evolution)(const evolution_job&, device_stream);
  void (*horizon_keys)(const horizon_job&, device_stream);
  void (*horizon)(const horizon_job&, device_stream);
  void (*score)(const score_job&, device_stream);
  void (*train)(const train_job&, device_stream);
  void (*column)(const column_job&, device_stream);  ///< sum, dot and the tiles' counts
  void (*compact)(const column_job&, device_stream); ///< passed
  void (*top)(const top_job&, device_stream);        ///< greatest
  void (*top_keys)(const top_job&, device_stream);   ///< all
  void (*top_names)(const top_job&, device_stream);  ///< at, at_value

  // Sorting and sums over the whole device. `room` bytes of scratch, of which *_room says how many.
  std::size_t (*sort_room)(std::size_t count);
  void (*sort)(const std::uint64_t* keys, std::uint64_t* sorted, std::size_t count, void* scratch,
               std::size_t room, device_stream); ///< greatest first
  std::size_t (*scan_room)(std::size_t count);
  void (*scan)(const std::uint32_t* values, std::uint32_t* before, std::size_t count, void* scratch,
               std::size_t room, device_stream); ///< sums of all values before each
};

} // namespace warp::gpu
