@0xa1054a00a36b2cf6;
# How a copy of a shard that has to begin anew takes a checkpoint from another node: the bulk data of a cluster, on connections of
# its own, so that it never stands in front of a heartbeat. The node that wants it asks for one chunk after the other, with two
# under way at most, and goes on where it was when a connection broke.

using Cxx = import "/capnp/c++.capnp";
using Op = import "operation.capnp";
using Replication = import "replication.capnp";
$Cxx.namespace("warp::wire");

interface CheckpointStore {
  # The bootstrap capability of the bulk port.

  open @0 (hello :Replication.NodeIdentity, shard :UInt32, maxEpoch :UInt64)
      -> (status :Op.Status, identity :Replication.NodeIdentity, offer :CheckpointOffer, chunks :CheckpointChunks);
  # The newest checkpoint that is on offer to the node that says hello. notFound: nothing (yet). versionMismatch: what is on
  # offer is of a lower epoch than the asker's maxEpoch. unauthorized, notSupported: of another cluster, another format.
}

struct CheckpointOffer {
  # Enough to know, after the last chunk, that all of it came from the same file.

  maxEpoch @0 :UInt64;    # Of the sender's copy: nothing of a lower epoch is taken after this checkpoint.
  header @1 :Data;        # As it stands at the front of the file.
  endEpoch @2 :UInt64;
  endLsn @3 :UInt64;
  reservedLsn @4 :UInt64;
  createdAtMs @5 :UInt64;
  records @6 :UInt64;
  bytes @7 :UInt64;
  checksum @8 :UInt32;    # Of header and footer, which cover every block.
}

interface CheckpointChunks {
  read @0 (offset :UInt64) -> (status :Op.Status, crc :UInt32, bytes :Data);
  # 1 MiB, or what is left, at a multiple of it; with its crc32c.
}
