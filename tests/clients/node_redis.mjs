// The ordinary work of a program that uses node-redis, against a warpd on the port that is the last argument.
import assert from "node:assert/strict";
import { createClient, createClientPool, createCluster, WatchError } from "redis";
import { awaited, harness, port, refusal, run } from "./tester.mjs";

const options = (more = {}) => ({ url: `redis://127.0.0.1:${port}`, ...more });

async function connected(more) {
  const client = createClient(options(more));
  client.on("error", () => {}); // of lost connections, which the parts below see in other ways
  return client.connect();
}

async function strings_and_keys() {
  for (const RESP of [2, 3]) {
    const client = await connected({ RESP, name: `tester${RESP}` });
    await client.flushAll();
    assert.equal(await client.ping(), "PONG");
    assert.equal(await client.set("a", "1", { expiration: { type: "EX", value: 100 } }), "OK");
    assert.equal(await client.get("a"), "1");
    assert.equal(await client.ttl("a"), 100);
    assert.equal(await client.set("a", "2", { condition: "NX" }), null);
    assert.equal(await client.set("a", "2", { condition: "XX", GET: true }), "1");
    assert.equal(await client.incrBy("n", 41), 41);
    assert.equal(await client.incr("n"), 42);
    assert.equal(await client.incrByFloat("f", 0.5), "0.5");
    assert.equal(await client.mSet({ x: "1", y: "2" }), "OK");
    assert.deepEqual(await client.mGet(["x", "none", "y"]), ["1", null, "2"]);
    assert.equal(await client.append("x", "é"), 3);
    assert.equal(await client.exists(["x", "y", "z"]), 2);
    assert.equal(await client.del(["x", "y", "z"]), 2);
    assert.equal(await client.expire("n", 10, "NX"), 1);
    assert.equal(await client.persist("n"), 1);
    assert.equal(await client.type("n"), "string");
    assert.equal(await client.rename("n", "m"), "OK");
    assert.equal(await client.copy("m", "{m}2"), 1);
    assert.equal(await client.getDel("m"), "42");
    assert.equal(await client.hSet("h", { f: "1", g: "2" }), 2);
    assert.deepEqual({ ...(await client.hGetAll("h")) }, { f: "1", g: "2" });
    assert.deepEqual(await client.hmGet("h", ["g", "none"]), ["2", null]);
    assert.equal(await client.hIncrBy("h", "f", 4), 5);
    assert.equal(await client.hDel("h", ["f", "none"]), 1);
    assert.equal(await client.type("h"), "hash");
    assert.match(await refusal(client.get("h")), /^WRONGTYPE /);
    assert.match(await refusal(client.incr("a\0b").then(() => client.set("text", "x")).then(() => client.incr("text"))), /^ERR value is not an integer/);
    const found = [];
    for await (const keys of client.scanIterator({ MATCH: "*", COUNT: 2 })) found.push(...keys);
    assert.deepEqual(found.sort(), (await client.keys("*")).sort());
    assert.equal(await client.dbSize(), found.length);
    assert.equal(await client.clientGetName(), `tester${RESP}`);
    assert.match(await client.info("server"), /redis_version:7/);
    assert.deepEqual({ ...(await client.configGet("maxmemory-policy")) }, { "maxmemory-policy": "noeviction" });
    assert.equal(await client.sendCommand(["WARP.DURABILITY", "sync"]), "OK");
    assert.equal(await client.set("kept", "1"), "OK");
    await client.close();
  }
}

async function pipelines() {
  const client = await connected();
  // What is asked in one turn of the event loop travels as one pipeline.
  const values = await Promise.all(Array.from({ length: 5_000 }, (_, n) => client.set(`p:${n}`, `${n}`).then(() => client.get(`p:${n}`))));
  assert.deepEqual(values, Array.from({ length: 5_000 }, (_, n) => `${n}`));
  const replies = await client.multi().set("q", "1").incr("q").get("none").execAsPipeline();
  assert.deepEqual(replies, ["OK", 2, null]);
  const large = "v".repeat(3_000_000);
  await client.set("large", large);
  assert.equal(await client.get("large"), large);
  await client.close();
}

async function pools() {
  const pool = createClientPool(options(), { minimum: 1, maximum: 8, cleanupDelay: 600_000 });
  pool.on("error", () => {});
  await pool.connect();
  await pool.set("counter", "0");
  await Promise.all(Array.from({ length: 400 }, () => pool.incr("counter")));
  assert.equal(await pool.get("counter"), "400");
  assert.equal(await pool.execute(async (client) => client.get("counter")), "400");
  await pool.close();
}

async function transactions() {
  const client = await connected(), other = await connected();
  assert.deepEqual(await client.multi().set("a", "1").set("b", "2").mGet(["a", "b"]).incr("a").exec(), ["OK", "OK", ["1", "2"], 2]);
  await client.watch(["a", "b"]);
  assert.deepEqual(await client.multi().incr("a").exec(), [3]);
  await client.watch("a");
  await other.incr("a");
  await assert.rejects(client.multi().set("a", "lost").exec(), WatchError);
  assert.equal(await client.get("a"), "4");
  await client.watch("a");
  await other.incr("a");
  await client.unwatch();
  assert.deepEqual(await client.multi().incr("a").exec(), [6]);
  // Many that read, compute and write: each tries until nobody came in between.
  const pool = createClientPool(options(), { maximum: 6, cleanupDelay: 600_000 });
  pool.on("error", () => {});
  await pool.connect();
  await client.set("sum", "0");
  const add = () =>
    pool.execute(async (one) => {
      for (;;) {
        await one.watch("sum");
        const sum = Number(await one.get("sum"));
        try {
          return await one.multi().set("sum", `${sum + 1}`).set("copy", `${sum + 1}`).exec();
        } catch (error) {
          if (!(error instanceof WatchError)) throw error;
        }
      }
    });
  await Promise.all(Array.from({ length: 60 }, add));
  assert.deepEqual(await client.mGet(["sum", "copy"]), ["60", "60"]);
  await Promise.all([pool.close(), client.close(), other.close()]);
}

async function what_is_refused() {
  const client = await connected();
  assert.match(await refusal(client.eval("return 1")), /^ERR unknown command 'EVAL'/);
  assert.match(await refusal(client.scriptLoad("return 1")), /^ERR unknown command 'SCRIPT'/);
  assert.match(await refusal(client.lPush("list", "1")), /^ERR unknown command 'LPUSH'/);
  assert.match(await refusal(client.select(1)), /^ERR DB index is out of range/);
  assert.match(await refusal(client.multi().set("a", "1").lPush("list", "1").exec()), /unknown command|EXECABORT|commands failed/);
  assert.equal(await client.ping(), "PONG");
  await client.close();
}

async function published_messages() {
  for (const RESP of [2, 3]) {
    const subscriber = await connected({ RESP }), speaker = await connected({ RESP });
    const heard = [], all = awaited();
    const hear = (message, channel) => {
      heard.push(`${channel} ${message}`);
      if (heard.length === 102) all.resolve();
    };
    await subscriber.subscribe(["news", "news2"], hear);
    await subscriber.pSubscribe("n?ws*", hear);
    assert.equal(await speaker.publish("news", "first"), 2);
    await Promise.all(Array.from({ length: 50 }, (_, n) => speaker.publish("news2", `${n}`)));
    await all.promise;
    const expected = ["news first", "news first"];
    for (let n = 0; n < 50; ++n) expected.push(`news2 ${n}`, `news2 ${n}`);
    assert.deepEqual(heard, expected);
    assert.deepEqual((await speaker.pubSubChannels()).sort(), ["news", "news2"]);
    await subscriber.unsubscribe(["news", "news2"]);
    await subscriber.pUnsubscribe("n?ws*");
    assert.equal(await speaker.publish("news", "to nobody"), 0);
    const shard = awaited();
    await subscriber.sSubscribe("s", shard.resolve);
    assert.equal(await speaker.sPublish("s", "message"), 1);
    assert.equal(await shard.promise, "message");
    await Promise.all([subscriber.close(), speaker.close()]);
  }
}

async function a_cluster_of_one_node() {
  const cluster = createCluster({ rootNodes: [options()] });
  cluster.on("error", () => {});
  await cluster.connect();
  assert.equal(cluster.masters.length, 1);
  await Promise.all(Array.from({ length: 500 }, (_, n) => cluster.set(`c:${n}`, `${n}`)));
  assert.deepEqual(await Promise.all(Array.from({ length: 500 }, (_, n) => cluster.get(`c:${n}`))), Array.from({ length: 500 }, (_, n) => `${n}`));
  assert.deepEqual(await cluster.multi().set("{t}a", "1").get("{t}a").exec(), ["OK", "1"]);
  const heard = awaited(), sharded = awaited();
  await cluster.subscribe("news", heard.resolve);
  await cluster.sSubscribe("shard news", sharded.resolve);
  await cluster.publish("news", "m");
  await cluster.sPublish("shard news", "s");
  assert.equal(await heard.promise, "m");
  assert.equal(await sharded.promise, "s");
  await cluster.close();
}

/// Whether the client saw that the server is gone. A process that dies may accept a connection for a moment after its others are closed,
/// and node-redis forgets an error that comes between "connect" and "ready": it calls itself ready then, on a dead socket, for ever.
function noticed(client) {
  return new Promise((resolve) => {
    client.on("error", (error) => error.code === "ECONNREFUSED" && resolve(true));
    client.once("ready", () => resolve(false));
  });
}

async function a_server_that_was_killed() {
  for (let both = false; !both; ) {
    const client = await connected({ socket: { reconnectStrategy: 20 } });
    const subscriber = await connected({ socket: { reconnectStrategy: 20 } });
    const heard = awaited();
    await subscriber.subscribe("news", heard.resolve);
    assert.equal(await client.sendCommand(["WARP.DURABILITY", "sync"]), "OK");
    assert.equal(await client.set("survives", "yes"), "OK");
    const seen = Promise.all([noticed(client), noticed(subscriber)]);
    await harness("kill");
    both = (await seen).every((one) => one);
    if (!both) {
      await harness("restart");
      client.destroy();
      subscriber.destroy();
      continue;
    }
    const answer = client.get("survives"); // waits in the client until the server is back
    const listens = new Promise((resolve) => subscriber.once("ready", resolve));
    await harness("restart");
    assert.equal(await answer, "yes");
    await listens;
    // The client has subscribed anew by itself; its own event may come before the server knows.
    while ((await client.publish("news", "back")) === 0);
    assert.equal(await heard.promise, "back");
    await Promise.all([client.close(), subscriber.close()]);
  }
}

await run([strings_and_keys, pipelines, pools, transactions, what_is_refused, published_messages, a_cluster_of_one_node, a_server_that_was_killed]);
