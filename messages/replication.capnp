@0xfcf5ef64484adc1c;
# What the nodes of a cluster say to each other about the copies of their shards: plain data, no interfaces. It travels as the
# bytes of CAF messages between two links (cluster/links); the same vocabulary in C++ is cluster/replication/replica_messages.hpp.
#
# Evolution: a node says in its hello which format it speaks, and refuses another one. Field numbers only grow. A reader refuses
# a whole envelope that has anything in it that it does not know or that cannot be: it never guesses and never takes a half.

using Cxx = import "/capnp/c++.capnp";
using Op = import "operation.capnp";
$Cxx.namespace("warp::wire");

struct NodeIdentity {
  # Who speaks. Sent by the dialling node as its hello, and by the other one in its answer.

  format @0 :UInt16;      # Of the envelopes it speaks, from 1.
  clusterId @1 :UInt64;   # Drawn when the cluster is made; never 0.
  clusterName @2 :Text;   # For people: 1 to 64 bytes.
  node @3 :UInt32;        # Never 0.
  boot @4 :UInt64;        # Of the process: of two boots of one node the later one is greater; never 0.
  instance @5 :UInt64;    # Drawn when its data folder was made: tells a restart from a second node with the same id.
}

struct HelloAnswer {
  # The answer to a hello. A refused one names the reason, which both sides write into their logs.

  status @0 :Op.Status;         # Absent: welcome.
  identity @1 :NodeIdentity;    # Of whoever answers, also when it refuses.
}

struct Envelope {
  # Messages of many shards from one node to another, in one piece: log records in batches of about 256 KiB, or the heartbeats
  # of all shards of a pair of nodes.

  format @0 :UInt16;      # As in the hello.
  clusterId @1 :UInt64;
  node @2 :UInt32;        # The sender.
  boot @3 :UInt64;        # Of its process.
  messages @4 :List(ShardMessage);
}

struct ShardMessage {
  shard @0 :UInt32;
  boot @1 :UInt64;        # Of the sender's copy of this shard.
  body :union {
    unspecified @2 :Void;       # Refused: a message must say what it is.
    append @3 :Append;
    appendAck @4 :AppendAck;
    appendNack @5 :AppendNack;
    join @6 :Join;
    rebuild @7 :UInt64;         # Its epoch.
    checkpointRequest @8 :Void;
    release @9 :UInt64;         # Its epoch.
  }
}

struct Append {
  # Primary to member or learner: records, or a heartbeat without any.

  epoch @0 :UInt64;
  previousLsn @1 :UInt64;
  previousEpoch @2 :UInt64;
  commitLsn @3 :UInt64;
  sentAt @4 :Int64;       # Microseconds of the primary's clock; comes back in the answer, means nothing to others.
  records @5 :Data;       # One after the other, see below.
  recordCount @9 :UInt32;
  resetEpoch @6 :UInt64;  # In which an operator has accepted a loss last; 0: never.
  noneAppended @7 :Bool;  # The primary does not wait for an Ack that the records are appended,
  noneDurable @8 :Bool;   # or synced: one Ack for both is enough.
}

# The records of an Append. Before each body, which is opaque here, stands a number of 4 bytes, little endian as all of them:
#
#     bits 0 to 28   bytes of the body
#     bit 29         0
#     bit 30         it is a no-op
#     bit 31         its LSN and its epoch follow, 8 bytes each, before the body
#
# Where they do not follow, the LSN is one above that of the record before it (previousLsn for the first), and the epoch is the
# same (previousEpoch). An LSN is above that of the record before it, an epoch at least that of the record before it and at most
# that of the Append.

struct AppendAck {
  epoch @0 :UInt64;
  appendedLsn @1 :UInt64;
  durableLsn @2 :UInt64;
  grants @3 :Bool;        # Whether grantedAt means anything.
  grantedAt @4 :Int64;    # sentAt of the Append.
}

struct AppendNack {
  maxEpoch @0 :UInt64;
  needFrom @1 :UInt64;
}

struct Join {
  lastLsn @0 :UInt64;
  lastEpoch @1 :UInt64;
  commitLsn @2 :UInt64;
  pins @3 :UInt64;        # A checkpoint with this end is arriving: keep the log behind it. 0: none.
  incomplete @4 :Bool;    # The copy was begun anew, and the set has not taken it in since.
}
