#pragma once

#include <cstdint>
#include <string>

namespace warp::testing {

/// What a client process of the kill loop is told to do.
struct kill_client_options {
  std::string address;           ///< of the server
  int writer = 0;                ///< whose keys it writes: "w<writer>:<n>"
  std::uint64_t seed = 0;        ///< of its choices
  std::uint64_t number_base = 0; ///< its values are numbered from here on
  int deadline_ms = 1'500;
  bool large_values = true, short_lives = true, transactions = true;
};

/// Writes at random until it is killed. Reports on stdout, a line before it sends something and
/// one when that is answered, each in one write. MS is of the steady clock, which all processes
/// share.
///   put KEY LEVEL MS TTL_MS NUMBER FILL_BYTES FILL
///   erase KEY LEVEL MS
///   done KEY VERSION SHARD       acknowledged
///   absent KEY                   there was nothing to erase
///   unknown KEY                  the deadline passed before an answer came
///   increment KEY, incremented KEY
///   transaction NAME N, committed NAME N, maybe NAME
/// Returns the exit code when it cannot connect.
int run_kill_client(const kill_client_options& options);

} // namespace warp::testing
