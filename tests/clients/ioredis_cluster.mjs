// The ordinary work of a program that uses ioredis with a cluster, whose nodes' addresses are the last argument.
import assert from "node:assert/strict";
import { Cluster } from "ioredis";
import { harness, refusal, run } from "./tester.mjs";

const cluster = new Cluster(
  process.argv.at(-1).split(",").map((address) => ({ host: address.split(":")[0], port: Number(address.split(":")[1]) })),
  { clusterRetryStrategy: () => 50, redisOptions: { maxRetriesPerRequest: 1 }, slotsRefreshTimeout: 5_000 },
);
cluster.on("error", () => {}); // of lost connections

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
  await Promise.all(Array.from({ length: 2_000 }, (_, n) => cluster.set(`key${n}`, `${n}`)));
  const values = await Promise.all(Array.from({ length: 2_000 }, (_, n) => cluster.get(`key${n}`)));
  assert.deepEqual(values, Array.from({ length: 2_000 }, (_, n) => `${n}`));
  assert.equal(await cluster.incr("n"), 1);
  assert.deepEqual(await cluster.hset("{t}h", { f: "1", g: "2" }), 2);
  assert.equal(cluster.nodes("master").length, 3);
}

async function pipelines_and_transactions_of_one_slot() {
  const replies = await cluster.pipeline().set("{t}a", "1").incr("{t}a").get("{t}a").exec();
  assert.deepEqual(replies, [[null, "OK"], [null, 2], [null, "2"]]);
  assert.deepEqual(await cluster.multi().incr("{t}a").incr("{t}a").exec(), [[null, 3], [null, 4]]);
  assert.match(await refusal(cluster.mget("a", "b")), /^CROSSSLOT /);
}

async function reads_from_replicas_go_to_the_primary() {
  const reader = new Cluster([{ host: process.argv.at(-1).split(":")[0], port: Number(process.argv.at(-1).split(",")[0].split(":")[1]) }], { scaleReads: "slave" });
  for (let n = 0; n < 50; ++n) assert.equal(await reader.get(`key${n}`), `${n}`);
  reader.disconnect();
}

async function a_node_that_is_killed() {
  let killed = null;
  for (let n = 1; n <= 200; ++n) {
    await insist(() => cluster.set(`after${n}`, `${n}`));
    if (n === 50) killed = harness("kill");
  }
  await killed;
  for (let n = 1; n <= 200; ++n) assert.equal(await insist(() => cluster.get(`after${n}`)), `${n}`);
  for (let n = 0; n < 2_000; n += 20) assert.equal(await insist(() => cluster.get(`key${n}`)), `${n}`);
  await harness("restart");
  assert.equal(await insist(() => cluster.get("after200")), "200");
}

await run([keys_of_all_slots, pipelines_and_transactions_of_one_slot, reads_from_replicas_go_to_the_primary, a_node_that_is_killed]);
