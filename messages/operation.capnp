@0xf56216b330125f23;
# The words that every WarpEngine interface shares: one operation on one key, its answer, and how a call names itself.
# Plain data, no interfaces: whoever stores or forwards operations needs only Cap'n Proto's serialization. The calls that
# carry them stand in warp.capnp. The same vocabulary in C++ is messages/operations.hpp and messages/status.hpp.
#
# Evolution: field and enumerant numbers only grow and are never used again. A reader that meets an enumerant it does not
# know refuses the operation with `invalidArgument`; it never guesses. An absent field has the default that is given here.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("warp::wire");

enum Code {
  # What became of an operation. The numbers never change. A client that meets a number it does not know treats it as a
  # failure that a retry does not cure.

  ok @0;
  notFound @1;         # The key is absent (or expired).
  corruption @2;       # Bytes at rest or on the wire are damaged; the message names file and offset.
  invalidArgument @3;  # The request can never succeed as it is.
  notSupported @4;     # Known, and not available in this build, version or configuration.
  ioError @5;          # The operating system refused a read, write or sync.
  unavailable @6;      # This part is restarting or stopping, nothing was done: retry at once or after a moment.
  timedOut @7;         # The deadline passed before anything was done: retry is safe.
  wrongShard @8;       # Another node owns this key, nothing was done: see Reply.version and Reply.value.
  overloaded @9;       # A bounded buffer or limit is full, nothing was done: retry after a moment.
  shuttingDown @10;    # The server is stopping, nothing was done: retry elsewhere, or here when it is back.
  versionMismatch @11; # `ifVersion` met another version: Reply.version has the one it met.
  noSpace @12;         # The disk or the memory limit is full; nothing was done.
  noReplicas @13;      # This universe cannot give the durability that was asked for; nothing was done.
  unauthorized @14;    # Not logged in, or no right to this key or command.
  outcomeUnknown @15;  # The write may or may not have happened: a retry with the same request id is safe.
  alreadyExists @16;   # `ifAbsent` met a record.
  wrongType @17;       # The value is not what the operation works on (increment of a text, ...).
}

struct Status {
  # How a call as a whole ended. Absent means ok.

  code @0 :Code;
  message @1 :Text; # A sentence for people: what happened, and what to do next. Absent for ok and notFound.
}

enum Kind {
  unspecified @0; # Refused: an operation must say what it does.
  get @1;         # Value, version, expiry.
  exists @2;      # ok or notFound, with version and expiry but without the value; this is also "ttl".
  put @3;         # Writes `value`.
  erase @4;       # Removes the key; notFound if it is absent.
  increment @5;   # Adds `delta` to a decimal 64-bit integer (an absent key counts as 0); Reply.number is the result.
  expire @6;      # Sets the expiry from `write` (none given: never expires) and leaves the value; notFound if absent.

  # Of hashes; wrongType for anything else. `value` is packed, see ValueType. Changes of fields leave the expiry.
  hashSet @7;       # Pairs; an absent key becomes a hash. Reply.number: how many fields are new.
  hashErase @8;     # Names; notFound if absent; Reply.number: how many were there. With the last field the key goes.
  hashIncrement @9; # One name; adds `delta` to the field's number (an absent one is 0); Reply.number is the result.
  hashGet @10;      # Names; Reply.value: an answer for each, packed.
  hashAll @11;      # Reply.value: all fields as packed pairs; Reply.number: how many.
  hashLength @12;   # Reply.number: how many fields.
}

enum ValueType {
  # What a value is.

  bytes @0;
  hash @1;
  # Fields. As bytes "packed": sizes are varints (7 bits a byte, the lowest first, the highest bit of all but the last is set);
  # pairs are a count, then name size, name, value size, value of each; names a count, then name size and name of each; answers a
  # count, then for each either 0 (absent) or the value's size + 1 and the value. A name has at most 64 KiB.
}

enum Durability {
  # What an acknowledged write is worth, from weak to strong.

  unspecified @0; # The universe's default: Info.defaultDurability.
  memory @1;      # Applied, not logged: gone after a crash.
  async @2;       # Logged, on disk within 100 ms.
  sync @3;        # Acknowledged after fdatasync (group commit).
  replicated @4;  # Appended by every in-sync replica; noReplicas on one node.
  durable @5;     # Synced by every in-sync replica; noReplicas on one node.
}

enum Condition {
  # When a put or an erase is done at all.

  always @0;
  ifAbsent @1;  # Else alreadyExists. Put only.
  ifPresent @2; # Else notFound.
  ifVersion @3; # Only if the record's version is `expectedVersion` (0: it is absent), else versionMismatch.
}

enum Priority {
  # How much a record minds being evicted or demoted.

  normal @0;
  critical @1; # Never demoted.
  high @2;
  low @3;
  background @4;
}

enum AccessPattern {
  # What the writer expects; a hint for tiers and placement.

  balanced @0;
  hot @1;
  warm @2;
  cold @3;
}

struct Write {
  # The options of a write. Absent: every default below. A field that means nothing to the operation is ignored.

  condition @0 :Condition;
  priority @1 :Priority;           # put: kept with the record.
  accessPattern @2 :AccessPattern; # put: kept with the record.
  keepExpiry @3 :Bool;             # put: keep the expiry that the record has. Contradicts the two expiry fields.
  expectedVersion @4 :UInt64;      # For ifVersion.

  expiresAtMs @5 :UInt64;  # put, expire: absolute, milliseconds since 1970 (UTC). 0: never.
  timeToLiveMs @6 :UInt64; # put, expire: from now on, by the server's clock. 0: not given.
                           # Give one of the two at most; both together are invalidArgument.

  type @7 :ValueType;      # put: what the value is.
  ifFieldAbsent @8 :Bool;  # hashSet: only if none of the fields is there, else alreadyExists.
}

struct Operation {
  # One operation on one key: 40 bytes, its key and its value.

  kind @0 :Kind;
  durability @1 :Durability; # Of a read: answer only what is durable at that level.
  requestSkip @2 :UInt32;    # Added to this operation's request number, see Call.
  key @3 :Data;              # 1 byte to 64 KiB, any bytes.
  value @4 :Data;            # put: 0 bytes to Info.valueBytesMax. Absent is the empty value.
  delta @5 :Int64 = 1;       # increment, hashIncrement.
  write @6 :Write;           # put, erase, expire.
}

struct Call {
  # How a call names itself and how long its caller waits. Absent: no request id, the server's own limit for the wait.

  deadlineMs @0 :UInt32;
  # The time that is left to the caller when it sends, in milliseconds; 0: no deadline of its own. When it is over, the
  # server stops waiting for durability and answers outcomeUnknown for what it has logged, timedOut for the rest.

  client @1 :UInt64;
  number @2 :UInt64;
  oldestUnanswered @3 :UInt64;
  # The request id, which makes a retry of writes have one effect. `client` is drawn at random, once per client; 0 means that
  # there is no id. Operation i of a call has the request number `number + i + requestSkip` of that operation; numbers are
  # never used for anything else. A retry sends the same operations with the same numbers and is answered with the result
  # of the first time. `oldestUnanswered` is the smallest number whose answer the client still waits for: the server forgets
  # the results below it. (It keeps at most 65,536 of a client, for 10 minutes, and answers outcomeUnknown beyond.)
}

struct Reply {
  # The answer to one operation: 48 bytes and its value.

  code @0 :Code;
  shard @1 :UInt32;       # The shard that answered; versions count per shard.
  version @2 :UInt64;     # Of the record after the operation; versionMismatch: the one it met; 0: absent.
                          # wrongShard: the epoch in which the shard's primary is who `value` says; 0: not known.
  number @3 :Int64;       # increment: the result.
  expiresAtMs @4 :UInt64; # get, exists: of the record, milliseconds since 1970; 0: never.
  value @5 :Data;         # get. Absent is the empty value. wrongShard: "host:port" of the shard's primary; absent: not known.
  type @7 :ValueType;     # exists, operations of hashes, wrongType: what the record is.
  message @6 :Text;       # For every code but ok and notFound: what happened, and what to do next.
}

struct Entry {
  # A record, as a scan shows it and as a bulk load hands it in.

  key @0 :Data;
  value @1 :Data;
  version @2 :UInt64;      # Of the record. Ignored in a bulk load.
  expiresAtMs @3 :UInt64;  # 0: never.
  valueOmitted @4 :Bool;   # The value would have made the page too large, or was not asked for: `get` fetches it.
  type @6 :ValueType;      # Of a hash the value is its fields, as packed pairs.
  timeToLiveMs @5 :UInt64; # In a bulk load only, in place of expiresAtMs: from now on, by the server's clock. 0: not given.
}
