@0x8643e473e3d544e0;
# WarpEngine's native interface: specification and schema at once.
#
# A client connects by TCP (default port 7400), takes the bootstrap capability, `Warp`, logs in, and works on the
# `Session` it gets. Calls may be pipelined: login, admin() and the first batch can leave in one packet.
#
# Errors that a caller can act on are fields, `Status` or `Reply.code`, never RPC exceptions. An RPC exception means that the
# two sides do not understand each other (a malformed message, a method of a later version) or that the connection is lost;
# what became of a write is then unknown, and its request id makes a retry safe.
#
# Limits, on both sides, so that no peer can take more memory than it brings: a message is at most the largest value
# (Info.valueBytesMax, or 8 MiB if that is more) + 1 MiB long and has at most 512 segments; nesting is at most 32 deep (a
# batch needs 8). A peer that exceeds them is disconnected. A server reads nothing more from a client that does not read its answers.
#
# Evolution: see operation.capnp. A method that a server does not know fails with "unimplemented".

using Cxx = import "/capnp/c++.capnp";
using Op = import "operation.capnp";
$Cxx.namespace("warp::wire");

interface Warp {
  # The bootstrap capability of a server: anybody who can connect has it, and it only opens the door.

  login @0 (token :Data) -> (session :Session, info :Info, status :Op.Status);
  # Sent by the client, once per connection. A server without users takes the empty token only. `unauthorized`: the
  # token is not known; `session` is then absent.
}

struct Info {
  # What a client should know about the server it talks to.

  version @0 :Text;                       # Of the program, "0.1.0".
  shardCount @1 :UInt32;
  defaultDurability @2 :Op.Durability;    # What `unspecified` means here; never `unspecified` itself.
  valueBytesMax @3 :UInt64;               # Longest value.
  batchOperationsMax @4 :UInt32;          # Most operations in one call.
  inMemoryOnly @5 :Bool;                  # No data folder: levels above `memory` are answered with noReplicas.
  uptimeMs @6 :UInt64;                    # Since this server began to listen.
  clustered @7 :Bool;                     # It is a node of a cluster and serves some of the shards: see Session.cluster.
}

interface Session {
  # What a client that has logged in may do with data. Lives as long as the connection.
  #
  # Calls on one connection start in the order in which they were sent. A write that waits for the disk holds back no later
  # call. Reads and writes at level memory and async are answered at once.

  ping @0 (payload :Data) -> (payload :Data);
  # The empty round trip: answers with the same bytes, 64 KiB at most.

  info @1 () -> (info :Info);

  # -- one operation each. See operation.capnp for the codes. `durability` of a read: answer only what is durable at that level.

  get @2 (key :Data, durability :Op.Durability, call :Op.Call) -> (reply :Op.Reply);
  exists @3 (key :Data, durability :Op.Durability, call :Op.Call) -> (reply :Op.Reply);
  # ok or notFound with version and expiry: the answer to "exists" and to "ttl".

  put @4 (key :Data, value :Data, durability :Op.Durability, write :Op.Write, call :Op.Call) -> (reply :Op.Reply);
  # With write.condition ifAbsent, ifPresent or ifVersion this is also create, replace and compare-and-set.

  erase @5 (key :Data, durability :Op.Durability, write :Op.Write, call :Op.Call) -> (reply :Op.Reply);
  increment @6 (key :Data, delta :Int64 = 1, durability :Op.Durability, call :Op.Call) -> (reply :Op.Reply);
  expire @7 (key :Data, durability :Op.Durability, write :Op.Write, call :Op.Call) -> (reply :Op.Reply);

  # -- many operations in one message

  execute @8 (operations :List(Op.Operation), call :Op.Call) -> (replies :List(Op.Reply), status :Op.Status);
  # The form for throughput: each operation on its own, answered by the reply at the same index; operations on the same key
  # keep their order. The answer leaves when every operation in it may be answered. Reads whose values would make
  # the answer longer than a message may be are answered `overloaded`: ask for fewer at a time. `status` is ok unless the
  # call as a whole was refused (too many operations, shuttingDown, ...): then nothing was done and there are no replies.

  executeAtomic @9 (operations :List(Op.Operation), call :Op.Call) -> (replies :List(Op.Reply), status :Op.Status);
  # All or nothing, across shards, for readers and after a crash. If a condition fails nothing is done: that reply has its
  # code, the others `unavailable`, and `status` the code of the first failure. A read inside sees the writes before it.

  scan @10 (cursor :UInt64, prefix :Data, limit :UInt32, keysOnly :Bool)
      -> (entries :List(Op.Entry), nextCursor :UInt64, status :Op.Status);
  # About `limit` records (0: 100; at most 10,000) whose key starts with `prefix`, in hash order. Cursor 0 starts, and
  # nextCursor 0 ends; a page may be empty without being the last. Every key that is present for the whole scan
  # is returned; some may come twice. Cursors stay valid over writes and over restarts.

  ingest @11 (durability :Op.Durability) -> (ingest :Ingest, status :Op.Status);
  # Bulk load with flow control: see Ingest. At most `async`: the client checks for the end of it all with finish().

  admin @12 () -> (admin :Admin, status :Op.Status);
  # The operator's capability; `unauthorized` without the right to it, `notSupported` where this server offers none.

  watch @13 (what :WatchRequest, watcher :Watcher) -> (watch :Watch, start :WatchPosition, status :Op.Status);
  # Tells the watcher of every change of a key, or of all keys with a prefix, that is made after the answer: see WatchEvent.
  # `start`: where it begins. `overloaded`: this connection, or the server, has all the watches that it may have.

  quantumGet @14 (key :Data, max :UInt32 = 10, minStrength :Float64 = 0.1, values :Bool)
      -> (present :Bool, value :Data, version :UInt64, expiresAtMs :UInt64, partners :List(Partner), status :Op.Status,
          type :Op.ValueType);
  # A key with the keys that belong to it, the strongest first: at most `max` (1,000 at most) of at least `minStrength`. An
  # absent key is an answer. At level memory. `values`: those of the partners too, as far as they fit the answer.
  # Of a hash, key or partner, the value is its fields, as packed pairs.

  entangle @15 (key :Data, partners :List(Data), strength :Float64 = 1) -> (status :Op.Status);
  # Declares that the partners belong to the key with this strength in [0, 1]; 0 takes it back. Saved about a second later.

  cluster @16 () -> (map :ClusterMap, status :Op.Status);
  # The map of the cluster that this server belongs to; `notSupported`: it is alone (Info.clustered).
  #
  # In a cluster each shard is served by its primary. Any other node answers `wrongShard`, and nothing was done: the reply to an
  # operation names the primary (Reply.version, Reply.value). Clients keep the answer of the highest epoch of each shard, ask any
  # node for the map where they know nothing better, and send the operation again with the same number.
  # An atomic call has keys of one shard, a scan ends its page where the shard of its cursor ends, a watch is of one key or
  # of a prefix with a complete hash tag.
}

struct ClusterMap {
  # Who serves what, as the node that was asked knows it; it may be out of date. Of two maps the higher epoch of a shard is right.

  name @0 :Text;                 # Of the cluster.
  self @1 :UInt32;               # The node that answers.
  nodes @2 :List(ClusterNode);
  shards @3 :List(ClusterShard); # By number. Shard i of n has the slots from i * 16384 / n on; a slot is that of Redis Cluster.
}

struct ClusterNode {
  id @0 :UInt32;
  zone @1 :Text;
  rpc @2 :Text;                  # "host:port" of this interface, of RESP and of HTTP; absent: not served, or not known.
  resp @3 :Text;
  http @4 :Text;
  live @5 :Bool;                 # A hint.
}

struct ClusterShard {
  epoch @0 :UInt64;              # 0: nobody has been named yet.
  primary @1 :UInt32;            # Each epoch has one.
  isr @2 :List(UInt32);          # The copies that are in sync, the primary among them.
  learners @3 :List(UInt32);     # Other copies.
}

struct Partner {
  key @0 :Data;
  strength @1 :Float64;        # In (0, 1].
  declared @2 :Bool;           # By entangle() or a rule; else learned.
  present @3 :Bool;            # There is a record.
  valueOmitted @4 :Bool;       # Not asked for, or too long for the answer.
  value @5 :Data;
  type @6 :Op.ValueType;
}

enum WatchStart {
  now @0;    # With the first change after the call.
  state @1;  # With the matching records as they are, then their changes.
  after @2;  # With the first change after `position`, or after `version`.
}

struct WatchRequest {
  key @0 :Data;                  # 1 byte to 64 KiB; as a prefix 0 bytes (all keys) to 64 KiB.
  prefix @1 :Bool;               # All keys that begin with `key`.
  durable @2 :Bool;              # Tell of a change when it is on disk, not as soon as it can be read.
  start @3 :WatchStart;
  version @4 :UInt64;            # start = after, one key: a version of this key.
  position @5 :WatchPosition;    # start = after: in place of `version`; the only way for a prefix.
}

struct WatchPosition {
  # How far a watch has got. Make the next one from the one in the answer: a change (without `state`) and a `stateEnd` set the
  # number of their shard to their version, `lost` sets it to `unknown`.

  const unknown :UInt64 = 0xffffffffffff; # The state of this shard is still to be told.

  universe @0 :Text;             # Names the universe whose versions these are.
  firstShard @1 :UInt32;         # Of versions[0].
  versions @2 :List(UInt64);     # One for a key, and for a prefix with a complete hash tag; else one of each shard.
}

enum WatchKind {
  unspecified @0;
  put @1;       # Key, value, version, expiry.
  erase @2;     # Key, version: erased, or expired.
  expire @3;    # Key, version: the expiry is this now, the value as it was.
  lost @4;      # Changes of this shard cannot be told one by one: forget what you know of its keys. Its matching records follow as
                # puts with `state` (an absent key that is watched alone as an erase), then `stateEnd`.
  stateEnd @5;  # The state of this shard was complete at `version`.
  lagged @6;    # The watcher is too slow; what follows is read from the log. Nothing is missing unless `lost` follows.
  synced @7;    # All that was written before has been told: once after the start, and after each `lagged` or `lost`.
  ended @8;     # Not in an event: Watcher.ended says it.
  fieldsSet @9; # Key, version: the fields of a hash in `value`, as packed pairs, are this now; the others as they were.
  fieldsErased @10; # Key, version: the fields named in `value`, packed names, are gone. Some may not have been there.
}

struct WatchEvent {
  # The changes of one shard come in the order of its log, those of different shards in any order.

  kind @0 :WatchKind;
  state @1 :Bool;                # Not a change, but how it is now.
  shard @2 :UInt32;
  version @3 :UInt64;
  expiresAtMs @4 :UInt64;        # put, expire: milliseconds since 1970; 0: never.
  key @5 :Data;
  value @6 :Data;                # put, fieldsSet, fieldsErased. Absent is the empty value.
  type @7 :Op.ValueType;         # put: what the value is. Of a hash it has all fields, as packed pairs.
}

interface Watcher {
  # Implemented by the client. The server sends at most four calls, and not much more than 4 MiB per connection, that
  # are not answered yet: whoever answers when it has dealt with the events sets the pace. Meanwhile the server keeps a bounded number of
  # events; beyond that it goes on from its log, see `lagged`.

  events @0 (events :List(WatchEvent)) -> ();
  ended @1 (status :Op.Status) -> ();
  # The last call: `shuttingDown` when the server stops.
}

interface Watch {
  # Drop it to end the watch, which also ends with the connection.
}

interface Ingest {
  # A stream of unconditional puts. put() has no answer of its own: Cap'n Proto lets the client send on as long as its
  # window is open. Puts are applied in the order in which they were sent. There is no request id: to send
  # all of it again, from any entry on and in the same order, is safe as long as nobody else writes the same keys.

  put @0 (entries :List(Op.Entry)) -> stream;

  finish @1 () -> (stored :UInt64, failed :UInt64, status :Op.Status, failures :List(IngestFailure));
  # Answers when all that was put before it is on disk (in a universe with a data folder), and what became of it: the first
  # `stored` + `failed` entries of the stream are decided. May be called at any time, and more than once: put() goes on
  # meanwhile. `status`: the first failure, else ok; entries after a failed one are tried all the same.
  # Where a later try may well succeed (overloaded, shuttingDown, unavailable) the stream stops instead: `status` says so,
  # and the entries that are not decided, of which some may have been stored, are to be sent again on a new Ingest.
}

struct IngestFailure {
  # An entry that was not stored. The first 64 of a stream are listed, the others only counted.

  index @0 :UInt64; # In the stream; the first entry is 0.
  key @1 :Data;     # Absent if it is longer than 1 KiB.
  status @2 :Op.Status;
}

interface Admin {
  # For operators. None of it is on the data path; what takes long runs beside it.

  shards @0 () -> (shards :List(ShardInfo), streams :List(StreamInfo));

  checkpoint @1 (shards :List(UInt32)) -> (status :Op.Status);
  # Writes a checkpoint of these shards now, of all when the list is absent or empty, and answers when they are published.

  tree @2 () -> (actors :List(ActorInfo), status :Op.Status);
  # The supervision tree, each actor after its supervisor.

  chaos @3 (path :Text) -> (status :Op.Status);
  # Ends the actor at that path on purpose, as a crash would. notFound: no actor has that path.

  walDump @4 (shard :UInt32, fromLsn :UInt64, limit :UInt32, withValues :Bool)
      -> (frames :List(LogFrame), nextLsn :UInt64, status :Op.Status);
  # Frames of one shard's log as far as it is on disk, from the frame that holds `fromLsn` on (0: the oldest that is kept),
  # about `limit` records (0: 1,000; at most 10,000). `nextLsn`: where to go on; 0: the end for now.

  backup @5 (folder :Text) -> (ticket :UInt64, status :Op.Status);
  # Orders a backup into a repository, a folder on the server's machine (absent: the configured one), and answers at
  # once. It is made beside reads and writes, one at a time, also when this connection is lost. `unauthorized`: the server's
  # configuration does not allow that folder.

  backupState @6 (ticket :UInt64, waitMs :UInt32, seenBytes :UInt64)
      -> (state :BackupState, status :Op.Status);
  # What became of it; notFound: no such ticket, or one of long ago. With `waitMs` it answers when the backup is done or
  # has come on beyond `seenBytes` of `bytesDone`, or after so long (a minute at most), whichever is first.

  verify @7 (now :Bool, waitMs :UInt32, run :UInt64)
      -> (begun :UInt64, finished :UInt64, files :UInt64, bytes :UInt64, findings :List(Text), failure :Text, status :Op.Status);
  # What checking everything at rest has found: of the last run that ended, `files`, `bytes` and sentences about what is damaged;
  # `failure` when it could not check everything. `now` asks for another run, which has ended when `finished` reaches `begun`.
  # With `waitMs` it answers when `finished` has reached `run`, or after so long (a minute at most).

  entropy @8 () -> (entropy :Entropy, status :Op.Status);
  # How evenly the load lies on the shards; `notSupported` below physics tier T2, as the next one.

  planRebalance @9 (strategy :RebalanceStrategy) -> (plan :RebalancePlan, status :Op.Status);
  # What a rebalancing between the shards would do. Nothing carries it out.

  physics @10 () -> (physics :PhysicsState, status :Op.Status);
  # How the observation is, and what it costs.

  setPhysicsTier @11 (tier :UInt8) -> (status :Op.Status);
  # 0 to 3; in force at once, until the next start. See messages/physics.hpp for what each does.

  setPhysicsRule @12 (rule :Text, strength :Float64) -> (status :Op.Status);
  # "user:* -> profile:*, settings:*", strength in (0, 1]; 0 takes it back (notFound: there is none).

  gpu @13 () -> (gpu :GpuState, status :Op.Status);
  # Who computes what is computed beside the data path, and why; what was computed.

  gpuBench @14 (work :UInt64) -> (timings :List(GpuTiming), status :Op.Status);
  # Computes a sample of about so much work of each operation, on the CPU and on the first device; seconds. `invalidArgument`:
  # too much. `notSupported`: gpu.mode is off.

  gpuCalibrate @15 () -> (measured :Bool, said :Text, saved :Text, status :Op.Status);
  # Measures from which size on a device is faster than the CPU, and keeps it in the file `saved` for the next start (absent: nowhere).
  # Without a device `measured` is false.
}

struct GpuState {
  # Counts since the server started; see messages/gpu.hpp.

  mode @0 :Text;               # "auto", "off", "cpu".
  backend @1 :Text;            # What computes now, for people.
  why @2 :Text;                # Why nothing better does; absent: a device does.
  calibration @3 :Text;        # Where the crossovers come from.
  operations @4 :List(GpuOperation);
  devices @5 :List(GpuDevice);
  ranks @6 :List(GpuRank);
  queueMax @7 :UInt64;         # Jobs that may wait.
  queuedBytes @8 :UInt64;
  jobs @9 :UInt64;             # Taken.
  batches @10 :UInt64;
  refused @11 :UInt64;         # Overloaded.
  failed @12 :UInt64;          # Answered with an error.
  fallbacks @13 :UInt64;       # Answers of the CPU after a device had failed.
  checked @14 :UInt64;         # Batches computed on both.
  mismatched @15 :UInt64;      # Of those, different.
  queuesFull @16 :UInt64;      # Went to the CPU as the devices were busy.
  breakersOpen @17 :UInt64;    # The same, as no breaker let them through.
  transferBytes @18 :UInt64;   # Inputs and outputs of what devices answered.
  busyCpuS @19 :Float64;
  busyDeviceS @20 :Float64;
  utilisation @21 :Float64;    # Of the workers, lately, in [0, 1].
  openedS @22 :Float64;        # What looking for devices at the start took; 0: not yet.
}

struct GpuOperation {
  name @0 :Text;
  jobs @1 :UInt64;             # Answered.
  onCpu @2 :UInt64;            # Batches.
  onDevice @3 :UInt64;
  crossover @4 :UInt64;        # Work from which on a device is asked; 0: never.
}

struct GpuDevice {
  name @0 :Text;
  breaker @1 :Text;            # "closed", "open", "half open".
  openings @2 :UInt64;
  batches @3 :UInt64;
  failed @4 :UInt64;
  outOfMemory @5 :UInt64;
  lost @6 :UInt64;
  lastTrouble @7 :Text;        # Absent: none so far.
}

struct GpuRank {
  name @0 :Text;               # "interactive", "background".
  queued @1 :UInt64;           # Now.
  answered @2 :UInt64;
  meanS @3 :Float64;           # From the job to its answer.
  p99S @4 :Float64;            # At most twice as long as it was.
}

struct GpuTiming {
  operation @0 :Text;
  work @1 :UInt64;             # In the operation's unit.
  cpuS @2 :Float64;            # The best of three; negative: it could not.
  deviceS @3 :Float64;         # The same; also when there is none.
}

struct LoadEvenness {
  entropyBits @0 :Float64;
  evenness @1 :Float64;        # Entropy over its maximum, in [0, 1].
  divergenceBits @2 :Float64;
  maxOverMean @3 :Float64;     # The busiest shard.
}

struct Entropy {
  shards @0 :UInt32;
  entropyBitsMax @1 :Float64;
  accessesPerS @2 :Float64;    # Decayed with a half-life of 300 s, as all of it.
  bytesPerS @3 :Float64;
  accesses @4 :LoadEvenness;
  bytes @5 :LoadEvenness;
}

enum RebalanceStrategy {
  minimal @0;     # To max/mean 1.1.
  moderate @1;    # To 1.05.
  aggressive @2;  # To 1.02.
}

struct RebalancePlan {
  moves @0 :List(PlannedMove);
  evennessBefore @1 :Float64;
  evennessAfter @2 :Float64;
  maxOverMeanBefore @3 :Float64;
  maxOverMeanAfter @4 :Float64;
  bytes @5 :Float64;           # To move.
  relief @6 :Float64;          # Load above the aim that goes away, accesses a second.
  calledFor @7 :Bool;          # Is the load uneven enough for it?
  worth @8 :Bool;              # Is the gain larger than the cost?
}

struct PlannedMove {
  key @0 :Data;
  from @1 :UInt32;             # Shards.
  to @2 :UInt32;
  accessesPerS @3 :Float64;
  bytes @4 :Float64;
}

struct PhysicsState {
  # Counts since the server started.

  tier @0 :UInt8;              # In force.
  wanted @1 :UInt8;            # As it was ordered.
  steppedDown @2 :Text;        # Why they differ; absent: they do not.
  stepsDown @3 :UInt64;
  samples @4 :UInt64;
  dropped @5 :UInt64;
  cpuSeconds @6 :Float64;      # Of the thread that learns.
  cpuShare @7 :Float64;        # Of all CPUs, lately.
  keys @8 :UInt64;             # Whose partners are known.
  keysMax @9 :UInt64;
  links @10 :UInt64;           # Partners that were declared.
  saves @11 :UInt64;
  savedAtMs @12 :UInt64;       # 0: not yet.
  savedBytes @13 :UInt64;
  loaded @14 :Text;            # What the start found.
  rules @15 :List(PhysicsRule);
  horizon @16 :HorizonAdvice;  # Absent: of a server that does not have it.
}

struct HorizonAdvice {
  # What would happen if less than everything were kept in memory; see messages/physics.hpp.

  keysOneIn @0 :UInt32;        # 0: no key is watched.
  keys @1 :UInt64;
  reads @2 :Float64;           # Decayed with a half-life of 300 s.
  bytes @3 :UInt64;
  curve @4 :List(HorizonPoint);
  smallShare @5 :Float64;
  ghostShare @6 :Float64;
  hitsToStay @7 :UInt32;
  named @8 :UInt64;
  applied @9 :UInt64;
  proofReads @10 :UInt64;
  missRatioFitted @11 :Float64;
  missRatioDefault @12 :Float64;
  search @13 :HorizonSearch;   # Absent: of a server that does not have it.
}

struct HorizonSearch {
  # Many settings tried on the last accesses of watched keys, from physics tier T3 on.

  searches @0 :UInt64;         # That came to a result.
  settings @1 :UInt32;         # Tried in each.
  trouble @2 :Text;            # Why the last one came to none; absent: it did.
  byDevice @3 :Bool;           # Of the last result, as all that follows.
  smallShare @4 :Float64;
  ghostShare @5 :Float64;
  hitsToStay @6 :UInt32;
  accesses @7 :UInt64;         # On which none was chosen ...
  missRatio @8 :Float64;       # ... and the part of them that missed.
  missRatioDefault @9 :Float64;
}

struct HorizonPoint {
  share @0 :Float64;           # Of the bytes, in (0, 1).
  bytes @1 :UInt64;
  missRatio @2 :Float64;       # In [0, 1].
  keys @3 :UInt64;
}

struct PhysicsRule {
  text @0 :Text;
  strength @1 :Float64;
}

struct BackupState {
  done @0 :Bool;
  bytesDone @1 :UInt64;        # While it is made: before compression.
  bytesTotal @2 :UInt64;       # Grows while the log does.
  result @3 :Op.Status;        # When done; absent: ok.
  name @4 :Text;               # What follows only after success.
  bytes @5 :UInt64;            # Of all that it consists of.
  newBytes @6 :UInt64;         # Of what was not in the repository before.
  takenUs @7 :UInt64;          # Everything acknowledged before is in it; us since 1970.
  anew @8 :Text;               # Why the moments since the backup before can't be restored; absent: they can.
}

struct ShardInfo {
  # Counters of one shard since the server started; bytes, milliseconds.

  shard @0 :UInt32;
  gets @1 :UInt64;
  getHits @2 :UInt64;
  puts @3 :UInt64;
  erases @4 :UInt64;
  otherOperations @5 :UInt64;
  bytesRead @6 :UInt64;        # Keys and values of reads.
  bytesWritten @7 :UInt64;     # Keys and values of writes.
  expired @8 :UInt64;          # Records that ran out.
  logRecords @9 :UInt64;
  logBytes @10 :UInt64;
  stalls @11 :UInt64;          # Writes that waited for room in the log buffer.
  lastLsn @12 :UInt64;         # Newest write.
  durableLsn @13 :UInt64;      # On disk up to here.
  durableLagMs @14 :UInt64;    # Age of the oldest write that is not on disk yet.
  checkpointLsn @15 :UInt64;   # The newest checkpoint ends here; 0: none.
  checkpointAtMs @16 :UInt64;  # When, milliseconds since 1970.
  checkpointBytes @17 :UInt64;
  keys @18 :UInt64;            # Records in the table; those that have expired and are not swept yet included.
  expiringKeys @19 :UInt64;    # Of them, with an expiry.
  keyBytes @20 :UInt64;
  valueBytes @21 :UInt64;
  recordBytes @22 :UInt64;     # Allocated for records, headers and rounding included.
  indexBytes @23 :UInt64;
  epoch @24 :UInt64;
  accessesPerS @25 :Float64;   # Decayed with a half-life of 300 s; 0 below physics tier T2, as the next two.
  bytesPerS @26 :Float64;
  mass @27 :Float64;           # KiB a second.
}

struct StreamInfo {
  # Counters of one log stream since the server started.

  stream @0 :UInt32;
  rounds @1 :UInt64;           # Group commits.
  frames @2 :UInt64;
  bytes @3 :UInt64;
  syncs @4 :UInt64;
  segments @5 :UInt64;         # Files kept now.
  segmentBytes @6 :UInt64;
  failure @7 :Text;            # Why it refuses writes; absent: it does not.
}

struct ActorInfo {
  # One actor of the supervision tree.

  path @0 :Text;               # "universe/storage/shard-3": supervisors first.
  state @1 :Text;              # "running", "restarting", "stopped".
  restarts @2 :UInt64;         # Since the server started.
  lastFailure @3 :Text;        # Why it was last restarted; absent: never.
}

struct LogFrame {
  # What one shard wrote in one group commit.

  epoch @0 :UInt64;
  previousLsn @1 :UInt64;      # Of the frame before; a gap to firstLsn is no hole.
  firstLsn @2 :UInt64;
  lastLsn @3 :UInt64;
  timestampUs @4 :UInt64;      # Since 1970; never goes back within a shard.
  bytes @5 :UInt64;            # In the log.
  records @6 :List(LogRecord);
}

struct LogRecord {
  lsn @0 :UInt64;
  operation @1 :Text;          # "put", "erase", ...: the after-image that replay applies.
  key @2 :Data;
  value @3 :Data;              # Absent unless asked for.
  valueBytes @4 :UInt64;       # Its length, whether it is here or not.
  expiresAtMs @5 :UInt64;      # 0: never.
  client @6 :UInt64;           # The request id; 0: none.
  number @7 :UInt64;
}
