#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace warp::testing {

/// What a client process of the kill loop is told to do.
struct kill_client_options {
  std::string address;           ///< of the server's RPC port, or of its RESP port
  int writer = 0;                ///< whose keys it writes: "w<writer>:<n>"
  std::uint64_t seed = 0;        ///< of its choices
  std::uint64_t number_base = 0; ///< its values are numbered from here on
  int deadline_ms = 1'500;
  bool large_values = true, short_lives = true, transactions = true;
  bool resp = false; ///< it speaks RESP
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
/// The same as a client of the RESP port: SET, DEL, EXPIRE and their like in pipelines on
/// connections of each durability; fields of hashes, named "hash/field"; INCR; MULTI and EXEC over
/// several shards. VERSION and SHARD are
/// 0: that protocol does not tell them. A change of the time to live is a put of the same value.
/// When the server is gone it connects again, without a pause.
int run_kill_resp_client(const kill_client_options& options);
/// Lines of the report in one call of write(2), so that a kill leaves whole lines but for the last.
/// Ends the process when nobody listens.
void report_kill_lines(std::string_view lines);

} // namespace warp::testing
