// The ordinary work of a program that uses ioredis, against a warpd on the port that is the last argument.
import assert from "node:assert/strict";
import { Redis } from "ioredis";
import { awaited, harness, port, refusal, run } from "./tester.mjs";

async function connected(more = {}) {
  const client = new Redis({ port, host: "127.0.0.1", lazyConnect: true, ...more });
  client.on("error", () => {}); // of lost connections, which the parts below see in other ways
  await client.connect();
  return client;
}

async function strings_and_keys() {
  const client = await connected({ connectionName: "tester", keyPrefix: "app:" });
  await client.flushall();
  assert.equal(await client.set("a", "1", "EX", 100), "OK");
  assert.equal(await client.get("a"), "1");
  assert.equal(await client.ttl("a"), 100);
  assert.equal(await client.set("a", "2", "NX"), null);
  assert.equal(await client.set("a", "2", "KEEPTTL", "GET"), "1");
  assert.equal(await client.incrby("n", 41), 41);
  assert.equal(await client.incrbyfloat("f", 0.5), "0.5");
  assert.equal(await client.mset(new Map([["x", "1"], ["y", "2"]])), "OK");
  assert.deepEqual(await client.mget("x", "none", "y"), ["1", null, "2"]);
  assert.deepEqual(await client.getBuffer("x"), Buffer.from("1"));
  assert.equal(await client.set("bytes", Buffer.from([0, 255, 13, 10])), "OK");
  assert.deepEqual(await client.getBuffer("bytes"), Buffer.from([0, 255, 13, 10]));
  assert.equal(await client.del("x", "y", "z"), 2);
  assert.equal(await client.pexpire("n", 10_000), 1);
  assert.equal(await client.persist("n"), 1);
  assert.equal(await client.exists("n", "f"), 2);
  assert.equal(await client.hset("h", { f: "1", g: "2" }), 2);
  assert.deepEqual(await client.hgetall("h"), { f: "1", g: "2" });
  assert.equal(await client.hincrby("h", "f", 4), 5);
  const fields = [];
  for await (const pairs of client.hscanStream("h")) fields.push(...pairs);
  assert.deepEqual(fields.sort(), ["2", "5", "f", "g"]);
  assert.equal(await client.hdel("h", "f", "g"), 2);
  assert.equal(await client.exists("h"), 0);
  assert.match(await refusal(client.incr("f")), /^ERR value is not an integer/);
  const found = [];
  for await (const keys of client.scanStream({ match: "app:*", count: 2 })) found.push(...keys);
  assert.deepEqual([...new Set(found)].sort(), (await client.keys("app:*")).sort());
  assert.equal(await client.client("GETNAME"), "tester");
  assert.equal(await client.call("WARP.DURABILITY", "sync"), "OK");
  assert.equal(await client.set("kept", "1"), "OK");
  assert.equal(await client.quit(), "OK");
}

async function pipelines() {
  const client = await connected(), automatic = await connected({ enableAutoPipelining: true });
  const pipeline = client.pipeline();
  for (let n = 0; n < 5_000; ++n) pipeline.set(`p:${n}`, `${n}`).get(`p:${n}`);
  const replies = await pipeline.exec();
  replies.forEach(([error, reply], at) => assert.deepEqual([error, reply], [null, at % 2 === 0 ? "OK" : `${(at - 1) / 2}`]));
  assert.deepEqual(await Promise.all(Array.from({ length: 1_000 }, (_, n) => automatic.get(`p:${n}`))), Array.from({ length: 1_000 }, (_, n) => `${n}`));
  const mixed = await client.pipeline().set("text", "x").incr("text").get("text").exec();
  assert.match(mixed[1][0].message, /^ERR value is not an integer/);
  assert.deepEqual(mixed[2], [null, "x"]);
  const large = "v".repeat(3_000_000);
  await client.set("large", large);
  assert.equal(await client.get("large"), large);
  await Promise.all([client.quit(), automatic.quit()]);
}

async function many_connections() {
  const clients = await Promise.all(Array.from({ length: 16 }, () => connected()));
  await clients[0].set("counter", "0");
  await Promise.all(clients.flatMap((client) => Array.from({ length: 50 }, () => client.incr("counter"))));
  assert.equal(await clients[0].get("counter"), "800");
  await Promise.all(clients.map((client) => client.quit()));
}

async function transactions() {
  const client = await connected(), other = await connected();
  assert.deepEqual(await client.multi().set("a", "1").set("b", "2").mget("a", "b").incr("a").exec(), [[null, "OK"], [null, "OK"], [null, ["1", "2"]], [null, 2]]);
  // Without a pipeline each command is sent by itself.
  assert.equal(await client.multi({ pipeline: false }), "OK");
  assert.equal(await client.incr("a"), "QUEUED");
  assert.deepEqual(await client.exec(), [[null, 3]]);
  await client.watch("a", "b");
  assert.deepEqual(await client.multi().incr("a").exec(), [[null, 4]]);
  await client.watch("a");
  await other.incr("a");
  assert.equal(await client.multi().set("a", "lost").exec(), null);
  assert.equal(await client.get("a"), "5");
  await client.watch("a");
  await other.incr("a");
  await client.unwatch();
  assert.deepEqual(await client.multi().incr("a").exec(), [[null, 7]]);
  const failed = await client.multi().set("text", "x").incr("text").exec();
  assert.match(failed[1][0].message, /^ERR value is not an integer/);
  await Promise.all([client.quit(), other.quit()]);
}

async function what_is_refused() {
  const client = await connected();
  assert.match(await refusal(client.eval("return 1", 0)), /^ERR unknown command 'eval'/i);
  client.defineCommand("mine", { numberOfKeys: 1, lua: "return redis.call('get', KEYS[1])" });
  assert.match(await refusal(client.mine("a")), /^ERR unknown command 'eval/i);
  assert.match(await refusal(client.lpush("list", "1")), /^ERR unknown command 'lpush'/i);
  assert.match(await refusal(client.select(1)), /^ERR DB index is out of range/);
  assert.match(await refusal(client.multi().set("a", "1").lpush("list", "1").exec()), /^EXECABORT /);
  assert.equal(await client.ping(), "PONG");
  await client.quit();
}

async function published_messages() {
  const subscriber = await connected(), speaker = await connected();
  const heard = [], all = awaited();
  const hear = (message) => {
    heard.push(message);
    if (heard.length === 102) all.resolve();
  };
  subscriber.on("message", (channel, message) => hear(`${channel} ${message}`));
  subscriber.on("pmessage", (pattern, channel, message) => hear(`${pattern} ${channel} ${message}`));
  assert.equal(await subscriber.subscribe("news", "news2"), 2);
  assert.equal(await subscriber.psubscribe("n?ws*"), 3);
  assert.equal(await speaker.publish("news", "first"), 2);
  await Promise.all(Array.from({ length: 50 }, (_, n) => speaker.publish("news2", `${n}`)));
  await all.promise;
  const expected = ["news first", "n?ws* news first"];
  for (let n = 0; n < 50; ++n) expected.push(`news2 ${n}`, `n?ws* news2 ${n}`);
  assert.deepEqual(heard, expected);
  assert.deepEqual(await subscriber.ping(), ["pong", ""]);
  await subscriber.unsubscribe("news", "news2");
  await subscriber.punsubscribe("n?ws*");
  assert.equal(await speaker.publish("news", "to nobody"), 0);
  const shard = awaited();
  subscriber.on("smessage", (_, message) => shard.resolve(message));
  assert.equal(await subscriber.ssubscribe("s"), 1);
  assert.equal(await speaker.spublish("s", "message"), 1);
  assert.equal(await shard.promise, "message");
  await Promise.all([subscriber.quit(), speaker.quit()]);
}

async function a_cluster_of_one_node() {
  const cluster = new Redis.Cluster([{ host: "127.0.0.1", port }], { lazyConnect: true });
  cluster.on("error", () => {});
  await cluster.connect();
  assert.equal(cluster.nodes("master").length, 1);
  await Promise.all(Array.from({ length: 500 }, (_, n) => cluster.set(`c:${n}`, `${n}`)));
  assert.deepEqual(await Promise.all(Array.from({ length: 500 }, (_, n) => cluster.get(`c:${n}`))), Array.from({ length: 500 }, (_, n) => `${n}`));
  assert.deepEqual(await cluster.pipeline().set("{t}a", "1").get("{t}a").exec(), [[null, "OK"], [null, "1"]]);
  assert.deepEqual(await cluster.multi().set("{t}a", "2").get("{t}a").exec(), [[null, "OK"], [null, "2"]]);
  const heard = awaited();
  cluster.on("message", (_, message) => heard.resolve(message));
  await cluster.subscribe("news");
  // It listens on a connection of its own, which may still be on its way.
  const again = setInterval(() => cluster.publish("news", "m"), 20);
  assert.equal(await heard.promise, "m");
  clearInterval(again);
  await cluster.quit();
}

async function a_server_that_was_killed() {
  const retryStrategy = () => 20;
  const client = await connected({ retryStrategy, maxRetriesPerRequest: null }), subscriber = await connected({ retryStrategy });
  const heard = awaited();
  subscriber.on("message", (_, message) => heard.resolve(message));
  await subscriber.subscribe("news");
  assert.equal(await client.call("WARP.DURABILITY", "sync"), "OK");
  assert.equal(await client.set("survives", "yes"), "OK");
  const lost = new Promise((resolve) => client.once("reconnecting", resolve));
  await harness("kill");
  await lost;
  const answer = client.get("survives"); // waits in the client until the server is back
  await harness("restart");
  assert.equal(await answer, "yes");
  // The other one connects and subscribes anew by itself.
  while ((await client.publish("news", "back")) === 0);
  assert.equal(await heard.promise, "back");
  await Promise.all([client.quit(), subscriber.quit()]);
}

await run([strings_and_keys, pipelines, many_connections, transactions, what_is_refused, published_messages, a_cluster_of_one_node, a_server_that_was_killed]);
