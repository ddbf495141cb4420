// What comes from etcd: a value of a key that is taken, written and read again is the same; an
// answer of the gateway is taken or refused with a reason.
//
// Input: a byte that chooses the reader, then what it reads.

#include "cluster/etcd/answer_json.hpp"
#include "cluster/etcd/cluster_config.hpp"
#include "cluster/etcd/desired_placement.hpp"
#include "cluster/etcd/node_record.hpp"
#include "cluster/etcd/shard_order.hpp"
#include "cluster/etcd/shard_record.hpp"
#include "tests/fuzz/fuzz_target.hpp"

using namespace warp;
using namespace warp::cluster::etcd;
using namespace warp::fuzzing;

namespace {

void refused_well(const op_status& status) {
  require(status.code() == op_code::corruption || status.code() == op_code::not_supported,
          "refused with " + status.to_string());
  require(!status.message().empty() && status.message().size() < 1'000, "no reason for people");
}

template <class Read>
void comes_back(Read read, std::string_view value) {
  const auto taken = read("/warp/c/k", value);
  if (!taken) return refused_well(taken.status());
  const auto written = to_value(*taken);
  const auto again = read("/warp/c/k", written);
  require(again.ok(), "what was written is refused: " + again.status().to_string());
  require(*again == *taken, "it does not come back: " + written);
  require(to_value(*again) == written, "two texts for one record");
}

template <class Answer>
void looked_at(const op_result<Answer>& answer) {
  if (!answer) refused_well(answer.status());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  input_reader input{bytes, size};
  const auto choice = input.byte();
  const auto text = input.rest();
  switch (choice % 13) {
  case 0:
    comes_back(read_cluster_config, text);
    break;
  case 1:
    comes_back(read_node_record, text);
    break;
  case 2:
    comes_back(read_shard_record, text);
    break;
  case 3:
    comes_back(read_desired_placement, text);
    break;
  case 12:
    comes_back(read_shard_order, text);
    break;
  case 4:
    looked_at(read_range(text));
    break;
  case 5:
    looked_at(read_txn(text));
    break;
  case 6:
    looked_at(read_watch_line(text));
    break;
  case 7:
    looked_at(read_lease_grant(text));
    break;
  case 8:
    looked_at(read_lease_keepalive(text));
    break;
  case 9:
    looked_at(read_status(text));
    break;
  case 10:
    looked_at(read_delete(text));
    break;
  default: {
    const auto error = read_error(400, text);
    require(error.code != op_code::ok && !error.message.empty(), "an error without a reason");
  }
  }
  return 0;
}
