"""What a running server learns about itself: which keys belong together, how its load lies, and what it keeps of that."""
import socket
import time

from programs import PATIENCE_S, ProgramTest

LEARN = ("--physics.windows_one_in", "1", "--physics.samples_max", "1000000", "--physics.save_interval", "1s")
USERS = 40


class Resp:
    """The least of a Redis client: commands out, replies in."""

    def __init__(self, server):
        self.socket = socket.create_connection(("127.0.0.1", server.ports["resp"]), PATIENCE_S)
        self.file = self.socket.makefile("rb")

    def send(self, *words):
        out = [b"*%d\r\n" % len(words)]
        for word in words:
            data = word if isinstance(word, bytes) else str(word).encode()
            out.append(b"$%d\r\n%s\r\n" % (len(data), data))
        self.socket.sendall(b"".join(out))

    def reply(self):
        line = self.file.readline()[:-2]
        kind, rest = line[:1], line[1:]
        if kind in b"*%":
            return [self.reply() for _ in range(int(rest))]
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2].decode()
        if kind == b":":
            return int(rest)
        return ("error " if kind == b"-" else "") + rest.decode()

    def ask(self, *words):
        self.send(*words)
        return self.reply()

    def close(self):
        self.file.close()
        self.socket.close()


class PhysicsTest(ProgramTest):
    def resp(self, server):
        client = Resp(server)
        self.addCleanup(client.close)
        return client

    def use(self, server, rounds=12):
        """Users come one after the other; each reads what is theirs with one MGET."""
        client = self.resp(server)
        for user in range(USERS):
            for kind in ("user", "profile", "settings", "cart"):
                self.assertEqual(client.ask("SET", f"{kind}:{user}", f"{kind} of {user}"), "OK")
        for _ in range(rounds):
            for user in range(USERS):
                got = client.ask("MGET", f"user:{user}", f"profile:{user}", f"settings:{user}")
                self.assertEqual(got[1], f"profile of {user}")

    def until(self, what, holds):
        """Waits until `holds` of what() is true; returns it."""
        end = time.monotonic() + PATIENCE_S
        while True:
            seen = what()
            if holds(seen):
                return seen
            self.assertLess(time.monotonic(), end, f"still {seen}")
            time.sleep(0.05)

    def partners(self, server, key, *words):
        return {p["key"]: p for p in self.tool_json(server, "qget", key, *words)["partners"]}

    def wait_learned(self, server):
        return self.until(lambda: self.partners(server, "user:7"), lambda p: {"profile:7", "settings:7"} <= p.keys())

    def test_keys_that_are_read_together_are_partners(self):
        server = self.start(*LEARN)
        self.use(server)
        found = self.wait_learned(server)
        self.assertNotIn("cart:7", found)
        self.assertEqual(found["profile:7"]["origin"], "learned")
        self.assertTrue(found["profile:7"]["present"])
        self.assertGreater(found["profile:7"]["strength"], 0.5)
        self.assertNotIn("value", found["profile:7"])
        self.assertEqual(self.partners(server, "user:7", "--values")["profile:7"]["value"], "profile of 7")
        self.assertEqual(len(self.partners(server, "user:7", "--max", 1)), 1)
        self.tool(server, "del", "profile:7")
        self.assertFalse(self.partners(server, "user:7")["profile:7"]["present"])
        shown = self.tool(server, "qget", "user:7").decode()
        self.assertTrue(shown.startswith("user of 7\n"), shown)
        self.assertIn("absent   profile:7", shown)
        # A hash shows its fields, as the key and as a partner.
        redis = self.resp(server)
        redis.ask("HSET", "basket:7", "apples", "3")
        redis.ask("WARP.ENTANGLE", "user:7", "basket:7", "STRENGTH", "0.9")
        basket = self.partners(server, "user:7", "--values")["basket:7"]
        self.assertEqual((basket["present"], basket["fields"]), (True, {"apples": "3"}))
        self.assertEqual(self.tool_json(server, "qget", "basket:7")["fields"], {"apples": "3"})
        self.assertIn("hash     basket:7", self.tool(server, "qget", "user:7").decode())
        self.assertEqual(redis.ask("WARP.QGET", "basket:7")[0], ["apples", "3"])
        redis.ask("WARP.ENTANGLE", "basket:7", "user:7")
        partner = redis.ask("WARP.QGET", "user:7", "VALUES")[1]
        partner = next(p for p in (dict(zip(x[::2], x[1::2])) for x in partner) if p["key"] == "basket:7")
        self.assertEqual((partner["state"], partner["value"]), ("hash", ["apples", "3"]))
        # Redis clients see the same.
        value, partners = self.resp(server).ask("WARP.QGET", "user:8", "VALUES")
        self.assertEqual(value, "user of 8")
        first = dict(zip(partners[0][::2], partners[0][1::2]))
        self.assertIn(first["key"], ("profile:8", "settings:8"))
        self.assertEqual((first["state"], first["origin"], first["value"]), ("present", "learned", f"{first['key'][:-2]} of 8"))

    def test_links_and_rules_are_declared_and_taken_back(self):
        server = self.start(*LEARN, "--physics.rules", "examples; invoice:* -> line:*")
        self.tool(server, "put", "a", "1")
        self.tool(server, "entangle", "a", "b", "c", "--strength", "0.9")
        self.assertEqual({k: (round(p["strength"], 6), p["origin"]) for k, p in self.partners(server, "a").items()},
                         {"b": (0.9, "declared"), "c": (0.9, "declared")})
        self.tool(server, "entangle", "a", "c", "--strength", "0")
        self.assertEqual(self.partners(server, "a").keys(), {"b"})
        self.assertEqual(self.resp(server).ask("WARP.ENTANGLE", "a", "d", "STRENGTH", "0.5"), "OK")
        self.assertEqual(self.partners(server, "a", "--min-strength", "0.6").keys(), {"b"})
        absent = self.tool_json(server, "qget", "invoice:5", code=3)
        self.assertEqual((absent["present"], absent["partners"][0]["key"]), (False, "line:5"))
        self.assertEqual(self.partners_of_absent(server, "user:1"), {"profile:1", "settings:1", "sessions:1"})
        self.tool(server, "physics", "rule", "x:* -> y:*", "--strength", "0.4")
        self.assertEqual(self.partners_of_absent(server, "x:1"), {"y:1"})
        self.tool(server, "physics", "rule", "x:* -> y:*", "--remove")
        self.tool(server, "physics", "rule", "x:* -> y:*", "--remove", code=3)
        self.assertIn("is no rule", self.tool_error(server, "physics", "rule", "nonsense", code=2))
        self.assertIn("nothing is known", self.tool_error(server, "qget", "x:1", code=3))
        self.assertIn("strength", self.resp(server).ask("WARP.ENTANGLE", "a", "d", "STRENGTH", "7"))

    def partners_of_absent(self, server, key):
        return {p["key"] for p in self.tool_json(server, "qget", key, code=3)["partners"]}

    def test_load_is_seen_and_tiers_switch(self):
        server = self.start(*LEARN, "--storage.shards", "8")
        self.use(server)
        client = self.resp(server)
        for _ in range(2000):
            client.ask("GET", "user:0")
        entropy = self.until(lambda: self.tool_json(server, "entropy"), lambda e: e["accesses"]["max_over_mean"] > 1.5)
        self.assertEqual((entropy["shards"], entropy["entropy_bits_max"]), (8, 3))
        self.assertLess(entropy["accesses"]["evenness"], 1)
        shards = self.tool_json(server, "shards")
        self.assertAlmostEqual(sum(s["accesses_per_s"] for s in shards), entropy["accesses_per_s"], delta=entropy["accesses_per_s"])
        self.assertGreater(max(s["mass"] for s in shards), 0)
        self.assertEqual(len(client.ask("WARP.SHARDS")), 8)
        self.assertEqual(client.ask("WARP.ENTROPY")[:2], ["shards", 8])
        self.assertEqual(client.ask("WARP.WORMHOLES"), [])
        plan = self.tool_json(server, "rebalance", "--dry-run")
        self.assertTrue(plan["called_for"])
        self.assertLessEqual(plan["max_over_mean"]["after"], plan["max_over_mean"]["before"])
        self.assertIn("max/mean", self.tool(server, "rebalance", "--dry-run", "--strategy", "aggressive").decode())
        self.assertIn("--dry-run", self.tool_error(server, "rebalance", code=2))
        metrics = server.http("/metrics")[1]
        for name in ("warp_physics_tier 2", 'warp_load_evenness_ratio{load="accesses"}', 'warp_shard_mass_kib_per_second{shard="7"}',
                     "warp_physics_samples_total", "warp_physics_cpu_seconds_total"):
            self.assertIn(name, metrics)

        self.tool(server, "physics", "tier", "T0")
        self.assertIn("T2", self.tool_error(server, "entropy", code=1))
        self.assertTrue(client.ask("WARP.ENTROPY").startswith("error ERR "))
        before = self.tool_json(server, "physics")["samples"]
        # What was sampled before is still learned; nothing new is.
        before = self.until(lambda: self.tool_json(server, "physics")["samples"], lambda n: n >= before)
        self.use(server, rounds=1)
        time.sleep(1)
        now = self.tool_json(server, "physics")
        self.assertEqual((now["tier"], now["ordered"]), ("T0", "T0"))
        self.assertLess(now["samples"] - before, USERS)
        self.tool(server, "physics", "tier", "t3")
        self.use(server, rounds=1)
        self.until(lambda: self.tool_json(server, "physics"), lambda p: p["tier"] == "T3" and p["samples"] > now["samples"])
        self.assertIn("T0, T1, T2 and T3", self.tool_error(server, "physics", "tier", "T4", code=2))
        self.assertIn("tier      T3", self.tool(server, "physics", "status").decode())

    def test_the_horizon_says_what_less_memory_would_cost(self):
        server = self.start(*LEARN, "--physics.keys_one_in", "1")
        client = self.resp(server)
        for user in range(USERS):
            self.assertEqual(client.ask("SET", f"user:{user}", "x" * 100), "OK")
        self.until(lambda: self.tool_json(server, "physics", "horizon"), lambda h: h["bytes"] > USERS * 100)
        for i in range(2000):  # every other read is of one of four
            client.ask("GET", f"user:{i % 4 if i % 2 else i // 2 % USERS}")
        seen = self.until(lambda: self.tool_json(server, "physics", "horizon"), lambda h: h["reads"] > 1500)
        self.assertEqual((seen["keys_one_in"], [p["share"] for p in seen["curve"]]), (1, [0.01, 0.05, 0.1, 0.2, 0.5]))
        misses = [p["miss_ratio"] for p in seen["curve"]]
        self.assertGreater(misses[0], 0.9)  # there is not even room for one
        self.assertLess(misses[4], 0.6)  # the four stay
        self.assertGreater(seen["settings"]["small_share"], 0)
        shown = self.tool(server, "physics", "horizon").decode()
        self.assertIn("nothing is demoted", shown)
        self.assertIn("would miss", shown)
        self.assertIn('warp_horizon_miss_ratio{share="0.1"}', server.http("/metrics")[1])
        self.tool(server, "physics", "tier", "T1")
        self.assertEqual(self.tool_json(server, "physics", "horizon")["keys_one_in"], 0)

    def test_what_was_learned_survives_a_kill(self):
        server = self.start(*LEARN)
        self.use(server)
        self.wait_learned(server)
        self.tool(server, "entangle", "user:7", "note:7", "--strength", "0.3")
        self.tool(server, "physics", "rule", "x:* -> y:*")
        learned = self.partners(server, "user:7")
        for _ in range(2):  # the first save may have begun before the last order
            saves = self.tool_json(server, "physics")["saves"]
            self.tool(server, "entangle", "some", "key")
            self.until(lambda: self.tool_json(server, "physics")["saves"], lambda n: n > saves)
        server.kill()
        server = self.start(*LEARN)
        self.assertEqual(self.tool_json(server, "physics")["found_at_start"], "loaded")
        self.assertEqual(self.partners(server, "user:7").keys(), learned.keys())
        self.assertEqual(self.partners(server, "user:7")["note:7"]["origin"], "declared")
        self.assertEqual(self.partners_of_absent(server, "x:1"), {"y:1"})
        # A clean stop keeps all of it without waiting for a save.
        self.tool(server, "entangle", "last", "word")
        self.assertEqual(server.stop(), 0)
        server = self.start(*LEARN)
        self.assertEqual(self.partners_of_absent(server, "last"), {"word"})

    def test_a_damaged_state_of_physics_is_rebuilt(self):
        server = self.start(*LEARN)
        self.use(server)
        self.wait_learned(server)
        self.assertEqual(server.stop(), 0)
        path = server.folder / "physics"
        whole = path.read_bytes()
        for damage in (whole[:-1], whole[:200] + bytes([whole[200] ^ 1]) + whole[201:], b"", b"x" * 5000):
            path.write_bytes(damage)
            server = self.start(*LEARN)
            self.assertIn("is damaged", self.tool_json(server, "physics")["found_at_start"])
            self.assertIn("learned anew", server.log())
            self.assertEqual(self.partners(server, "user:7"), {})
            self.assertEqual(self.tool(server, "get", "user:7"), b"user of 7")
            server.kill()
        server = self.start(*LEARN)
        self.use(server)
        self.wait_learned(server)
        self.assertEqual(server.stop(), 0)
        server = self.start(*LEARN)
        self.assertEqual(self.tool_json(server, "physics")["found_at_start"], "loaded")

    def test_rules_of_the_configuration_are_checked(self):
        code, log = self.refused("--physics.rules", "user:* -> profile:*; nonsense")
        self.assertEqual(code, 2)
        self.assertIn("'nonsense' is no rule", log)
        code, log = self.refused("--physics.tier", "T9")
        self.assertEqual(code, 2)
        self.assertIn("T0, T1, T2, T3", log)
