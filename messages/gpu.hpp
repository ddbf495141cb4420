#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace warp {

// What the computations beside the data path do, as the library, the server and its client hand it
// on. Counts since start.

/// One kind of batch (gpu/batches.hpp).
struct gpu_operation_report {
  std::string name;                        ///< "gravity"
  std::uint64_t jobs = 0;                  ///< answered
  std::uint64_t on_cpu = 0, on_device = 0; ///< batches, by who gave the answer
  std::uint64_t crossover = 0;             ///< work from which on a device is asked; 0: never
};

struct gpu_device_report {
  std::string name;
  std::string breaker; ///< "closed", "open", "half open"
  std::uint64_t openings = 0, batches = 0, failed = 0, out_of_memory = 0, lost = 0;
  std::string last_trouble; ///< empty: none so far
};

/// Jobs of one rank.
struct gpu_rank_report {
  std::string name;         ///< "interactive", "background"
  std::uint64_t queued = 0; ///< now
  std::uint64_t answered = 0;
  double mean_s = 0; ///< from the call to the answer
  double p99_s = 0;  ///< no more than twice as long as it was
};

struct gpu_report {
  std::string mode;        ///< as configured: "auto", "off", "cpu"
  std::string backend;     ///< what computes now, for people
  std::string why;         ///< why nothing better does; empty: a device does
  std::string calibration; ///< where the crossovers come from
  std::vector<gpu_operation_report> operations;
  std::vector<gpu_device_report> devices;
  std::vector<gpu_rank_report> ranks;
  std::uint64_t queue_max = 0;               ///< jobs that may wait
  std::uint64_t queued_bytes = 0;            ///< of their inputs and outputs, now
  std::uint64_t jobs = 0, batches = 0;       ///< taken; computed
  std::uint64_t refused = 0;                 ///< overloaded
  std::uint64_t failed = 0;                  ///< answered with an error
  std::uint64_t fallbacks = 0;               ///< answers of the CPU after a device had failed
  std::uint64_t checked = 0, mismatched = 0; ///< batches computed on both; those that differed
  std::uint64_t queues_full = 0;             ///< went to the CPU, as the devices were busy
  std::uint64_t breakers_open = 0;           ///< the same, as no breaker let them through
  std::uint64_t transfer_bytes = 0;          ///< inputs and outputs of what devices answered
  double busy_cpu_s = 0, busy_device_s = 0;  ///< of the workers, by who gave the answer
  double utilisation = 0;                    ///< of the workers, lately, in [0, 1]
  double opened_s = 0; ///< what looking for devices at the start took; 0: not yet
};

/// What a sample of one operation takes, with its data at hand: the best of three.
struct gpu_timing {
  std::string operation;
  std::uint64_t work = 0; ///< in the operation's unit: pairs, buckets, links, ...
  double cpu_s = 0;       ///< < 0: it could not
  double device_s = 0;    ///< of the first device, transfers included; < 0: there is none, or it
                          ///< could not
};

/// What a calibration has come to.
struct gpu_calibration_report {
  bool measured = false; ///< false: there is nothing to choose between
  std::string said;
  std::string saved; ///< the file; empty: it is kept in memory only
};

} // namespace warp
