// The ordinary work of a program that uses node-redis with a cluster, whose nodes' addresses are the last argument.
import assert from "node:assert/strict";
import { createCluster } from "redis";
import { harness, refusal, run } from "./tester.mjs";

const addresses = process.argv.at(-1).split(",");
const cluster = createCluster({
  rootNodes: addresses.map((address) => ({ url: `redis://${address}` })),
  defaults: { socket: { reconnectStrategy: 50 } },
});
cluster.on("error", () => {}); // of lost connections

/// Until the cluster has taken it: what a lost connection or a take-over leaves unanswered is done again, which is right for a set and a get.
async function insist(work) {
  const end = Date.now() + 120_000;
  for (;;) {
    try {
      return await Promise.race([work(), new Promise((_, late) => setTimeout(() => late(new Error("no answer in 10 s")), 10_000))]);
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((done) => setTimeout(done, 50));
    }
  }
}

async function keys_of_all_slots() {
  await cluster.connect();
  await Promise.all(Array.from({ length: 2_000 }, (_, n) => cluster.set(`key${n}`, `${n}`)));
  const values = await Promise.all(Array.from({ length: 2_000 }, (_, n) => cluster.get(`key${n}`)));
  assert.deepEqual(values, Array.from({ length: 2_000 }, (_, n) => `${n}`));
  assert.equal(await cluster.incr("n"), 1);
  assert.equal(await cluster.hSet("{t}h", { f: "1", g: "2" }), 2);
  assert.deepEqual(await cluster.mGet(["{t}a", "{t}b"]), [null, null]);
}

async function transactions_of_one_slot() {
  assert.deepEqual(await cluster.multi().set("{t}a", "1").incr("{t}a").get("{t}a").exec(), ["OK", 2, "2"]);
  assert.match(await refusal(cluster.mGet(["a", "b"])), /^CROSSSLOT /);
}

/// Not of a node that is killed: node-redis 5 then may keep commands for it for good, with no connection to anybody.
async function shards_that_move() {
  for (let n = 1; n <= 200; ++n) {
    await insist(() => cluster.set(`after${n}`, `${n}`));
    if (n % 50 === 0) await harness("move");
  }
  for (let n = 1; n <= 200; ++n) assert.equal(await insist(() => cluster.get(`after${n}`)), `${n}`);
  for (let n = 0; n < 2_000; n += 20) assert.equal(await insist(() => cluster.get(`key${n}`)), `${n}`);
}

await run([keys_of_all_slots, transactions_of_one_slot, shards_that_move]);
