"""What people do with warp: keys, values, conditions, lists, the operator's commands, and the exit codes."""
import json
import os
import random
import re
import socket
import unittest

from programs import ProgramTest


class Keys(ProgramTest):
    def test_put_and_get_at_every_level_that_one_node_has(self):
        server = self.start()
        for level in "memory", "async", "sync":
            self.tool(server, "put", f"key-{level}", f"value {level}", "--durability", level)
            self.assertEqual(self.tool(server, "get", f"key-{level}"), f"value {level}".encode())
            self.assertEqual(self.tool(server, "get", f"key-{level}", "--durability", "sync"), f"value {level}".encode())
        for level in "replicated", "durable":
            self.assertIn("replica", self.tool_error(server, "put", "k", "v", "--durability", level, code=1))
        self.tool_error(server, "put", "k", "v", "--durability", "certain", code=2)

    def test_values_from_nothing_to_64_mib_come_back_byte_for_byte(self):
        server = self.start()
        value = random.Random(7).randbytes(1 << 20) * 64
        source, back = self.root / "value.bin", self.root / "back.bin"
        for size in 0, 1, 16 << 10, (16 << 10) + 1, 1 << 20, 64 << 20:
            with self.subTest(size=size):
                source.write_bytes(value[:size])
                self.tool(server, "put", "large", "--file", source, "--durability", "sync")
                self.tool(server, "get", "large", "--output", back)
                self.assertEqual(back.read_bytes(), value[:size])
                self.assertEqual(self.tool(server, "get", "large"), value[:size])
        source.write_bytes(value + b"!")
        self.assertIn("67108865", self.tool_error(server, "put", "large", "--file", source, code=2).replace(",", ""))
        server.kill()
        again = self.start()
        self.assertEqual(self.tool(again, "get", "large"), value)

    def test_keys_may_be_any_bytes(self):
        server = self.start()
        for key in (b"\0", bytes(range(256)), b"\xff" * 300, "käse ☃".encode()):
            self.tool(server, "put", "--hex", key.hex(), b"\xfe\0value".hex())
            self.assertEqual(self.tool(server, "get", "--hex", key.hex()), b"\xfe\0value")
        found = [json.loads(line) for line in self.tool(server, "--json", "scan", "-k").splitlines()]
        self.assertEqual(len(found), 4)
        self.assertEqual(sum("key_base64" in f for f in found), 2)
        self.tool_error(server, "put", "--hex", "0g", "00", code=2)
        self.tool_error(server, "put", "--hex", "000", "00", code=2)
        self.assertEqual(self.tool_error(server, "put", "", "x", code=2).count("\n"), 1)
        self.tool_error(server, "put", "k" * 65537, "x", code=2)
        self.tool(server, "put", "k" * 65536, "x")

    def test_a_value_comes_from_the_line_a_file_or_standard_input(self):
        server = self.start()
        self.tool(server, "put", "k", "-", stdin=b"from\0stdin\n")
        self.assertEqual(self.tool(server, "get", "k"), b"from\0stdin\n")
        self.tool(server, "put", "k", "--", "-5")
        self.assertEqual(self.tool(server, "get", "k"), b"-5")
        self.tool_error(server, "put", "k", code=2)
        self.tool_error(server, "put", "k", "v", "--file", "x", code=2)
        self.assertIn("absent", self.tool_error(server, "put", "k", "--file", "absent", code=1))

    def test_absent_keys_are_exit_code_3(self):
        server = self.start()
        for words in ["get", "k"], ["del", "k"], ["exists", "k"], ["ttl", "k"], ["expire", "k", "10s"], ["put", "k", "v", "--if-present"]:
            with self.subTest(words):
                self.tool(server, *words, code=3)
        self.assertEqual(self.tool_json(server, "get", "k", code=3)["error"], "not_found")

    def test_delete_counts_what_was_there(self):
        server = self.start()
        for key in "a", "b":
            self.tool(server, "put", key, "1")
        self.assertEqual(self.tool_json(server, "del", "a", "b", "c", code=3), {"deleted": 2, "absent": 1})
        self.tool(server, "exists", "a", code=3)

    def test_compare_and_set_stores_only_over_the_version_it_names(self):
        server = self.start()
        first = self.tool_json(server, "cas", "k", "0", "one")["version"]
        self.assertEqual(self.tool_json(server, "cas", "k", "0", "two", code=4)["version"], first)
        self.tool_error(server, "cas", "k", str(first + 1000), "two", code=4)
        second = self.tool_json(server, "cas", "k", str(first), "two")["version"]
        self.assertGreater(second, first)
        self.assertEqual(self.tool(server, "get", "k"), b"two")
        self.tool_error(server, "put", "k", "x", "--if-absent", code=4)
        self.tool_error(server, "put", "k", "x", "--if-version", str(first), code=4)
        self.tool(server, "put", "k", "three", "--if-version", str(second))
        self.tool_error(server, "put", "k", "x", "--if-absent", "--if-present", code=2)

    def test_increment_counts_and_refuses_texts(self):
        server = self.start()
        self.assertEqual(self.tool(server, "incr", "n"), b"1\n")
        self.assertEqual(self.tool(server, "incr", "n", "41"), b"42\n")
        self.assertEqual(self.tool(server, "incr", "n", "--by=-2"), b"40\n")
        self.assertEqual(self.tool(server, "incr", "n", "--", "-40"), b"0\n")
        self.tool(server, "put", "text", "abc")
        self.tool_error(server, "incr", "text", code=1)

    def test_a_time_to_live_can_be_set_seen_and_removed(self):
        server = self.start()
        self.tool(server, "put", "k", "v", "--ttl", "1h")
        self.assertLessEqual(self.tool_json(server, "ttl", "k")["ttl_ms"], 3_600_000)
        self.tool(server, "put", "k", "w", "--keep-ttl")
        self.assertGreater(self.tool_json(server, "ttl", "k")["ttl_ms"], 3_000_000)
        self.tool(server, "expire", "k", "never")
        self.assertIsNone(self.tool_json(server, "ttl", "k")["ttl_ms"])
        self.assertEqual(self.tool(server, "ttl", "k"), b"never expires\n")
        self.tool(server, "expire", "k", "1ms")
        while self.run_tool("exists", "k", server=server).returncode == 0:
            pass
        self.tool(server, "get", "k", code=3)
        self.tool_error(server, "put", "k", "v", "--ttl", "5", code=2)

    def test_scan_lists_a_prefix_whole(self):
        server = self.start()
        lines = "".join(json.dumps({"key": f"{p}:{i}", "value": i}) + "\n" for p in ("a", "b") for i in range(500))
        self.tool(server, "load", "-", stdin=lines.encode())
        found = [line.split("\t") for line in self.tool(server, "scan", "--prefix", "a:").decode().splitlines()]
        self.assertEqual(sorted(found), sorted([f"a:{i}", str(i)] for i in range(500)))
        self.assertEqual(len(set(self.tool(server, "scan", "-k").splitlines())), 1000)
        done = self.run_tool("scan", "-k", "--limit", "7", server=server)
        self.assertEqual(len(done.stdout.splitlines()), 7)
        self.assertIn(b"--limit 0", done.stderr)
        self.assertEqual(self.tool(server, "scan", "--prefix", "none"), b"")

    def test_text_on_the_command_line_is_not_interpreted(self):
        server = self.start()
        self.tool(server, "put", "quote\"\\\n", "{\"a\": \"\t\"}")
        record = self.tool_json(server, "get", "quote\"\\\n")
        self.assertEqual((record["key"], record["value"]), ("quote\"\\\n", "{\"a\": \"\t\"}"))


class Connection(ProgramTest):
    def nobody(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            return f"127.0.0.1:{free.getsockname()[1]}"

    def test_no_server_is_exit_code_5_with_the_way_to_start_one(self):
        address = self.nobody()
        done = self.run_tool("-s", address, "--deadline", "1s", "get", "k")
        self.assertEqual(done.returncode, 5)
        self.assertIn(f"cannot connect to {address}: is warpd running?", done.stderr.decode())
        self.assertIn("start it with: warpd", done.stderr.decode())
        done = self.run_tool("--json", "--deadline", "1s", "get", "k", environment={"WARP_SERVER": address})
        self.assertEqual(done.returncode, 5)
        self.assertEqual(json.loads(done.stdout)["error"], "unavailable")

    def test_the_server_comes_from_the_flag_before_the_environment(self):
        server = self.start()
        done = self.run_tool("ping", environment={"WARP_SERVER": server.address})
        self.assertEqual(done.returncode, 0, done.stderr)
        done = self.run_tool("-s", server.address, "ping", environment={"WARP_SERVER": self.nobody()})
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_of_several_addresses_one_that_answers_is_enough(self):
        server = self.start()
        done = self.run_tool("-s", f"{self.nobody()},{server.address}", "ping")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_mistakes_on_the_command_line_are_exit_code_2(self):
        for words in [], ["frobnicate"], ["get"], ["get", "a", "b"], ["put", "k", "v", "--ttl", "x"], ["--deadline", "soon", "ping"]:
            with self.subTest(words):
                self.assertEqual(self.run_tool(*words).returncode, 2)

    def test_help_says_what_the_exit_codes_mean(self):
        done = self.run_tool("--help")
        self.assertEqual(done.returncode, 0)
        self.assertIn("Exit codes", done.stdout.decode())
        for command in re.findall(r"^  ([a-z-]+)  ", done.stdout.decode(), re.M):
            self.assertEqual(self.run_tool(command, "--help").returncode, 0)

    def test_a_full_disk_behind_standard_output_is_a_failure(self):
        server = self.start()
        self.tool(server, "put", "k", "v")
        with open("/dev/full", "wb") as full:
            import subprocess
            from programs import WARP, clean_environment
            for words in ["get", "k"], ["scan"], ["dump"]:
                done = subprocess.run([WARP, "-s", server.address, *words], stdout=full, stderr=subprocess.PIPE, env=clean_environment())
                self.assertEqual(done.returncode, 1, words)
                self.assertIn(b"No space left", done.stderr)


class Operation(ProgramTest):
    def test_metrics_are_prometheus_text_with_our_names(self):
        server = self.start()
        for i in range(5):
            self.tool(server, "put", f"k{i}", "v")
        status, text = server.http("/metrics")
        self.assertEqual(status, 200)
        helped, typed, samples = set(), {}, {}
        sample = re.compile(r'^([a-z_][a-z0-9_]*)(\{(?:[a-z_]+="(?:[^"\\]|\\.)*",?)*\})? (\S+)$')
        for line in text.splitlines():
            if line.startswith("# HELP "):
                helped.add(line.split(" ")[2])
            elif line.startswith("# TYPE "):
                typed[line.split(" ")[2]] = line.split(" ")[3]
            elif line:
                match = sample.match(line)
                self.assertTrue(match, line)
                samples[match[1]] = samples.get(match[1], 0) + float(match[3])
        for name in samples:
            base = re.sub(r"_(bucket|sum|count)$", "", name)
            self.assertTrue(name in typed or base in typed, name)
            self.assertTrue(name.startswith("warp_"), name)
        for name, kind in typed.items():
            self.assertIn(name, helped)
            self.assertEqual(kind == "counter", name.endswith("_total"), f"{name} is a {kind}")
        self.assertGreaterEqual(samples["warp_rpc_operations_total"], 5)
        self.assertGreaterEqual(samples["warp_http_requests_total"], 1)

    def test_health_pages_answer_as_their_names_say(self):
        server = self.start()
        self.assertEqual(server.http("/livez")[0], 200)
        self.assertEqual(server.http("/readyz")[0], 200)
        status, page = server.http("/healthz")
        self.assertEqual((status, json.loads(page)["status"]), (200, "ok"))
        self.assertEqual(server.http("/elsewhere")[0], 404)

    def test_no_http_port_when_it_is_switched_off(self):
        server = self.start("--http.listen", "", ports=False, environment={"WARP_RPC_LISTEN": "127.0.0.1:0"})
        self.assertNotIn("http", server.ports)
        self.tool(server, "ping")

    def test_shards_show_keys_load_and_log(self):
        server = self.start("--storage.shards", "8")
        lines = "".join(json.dumps({"key": f"k{i}", "value": "v"}) + "\n" for i in range(200))
        self.tool(server, "load", "-", stdin=lines.encode())
        shards = self.tool_json(server, "shards")
        self.assertEqual([s["shard"] for s in shards], list(range(8)))
        self.assertEqual(sum(s["keys"] for s in shards), 200)
        self.assertEqual(sum(s["puts"] for s in shards), 200)
        self.assertAlmostEqual(sum(s["load_share"] for s in shards), 1, places=4)
        self.assertTrue(all(s["durable_lsn"] == s["last_lsn"] for s in shards))
        table = self.tool(server, "shards").decode().splitlines()
        self.assertEqual(len(table), 8 + 2)

    def test_checkpoint_takes_all_shards_or_those_that_are_named(self):
        server = self.start("--storage.shards", "4")
        for i in range(40):
            self.tool(server, "put", f"k{i}", "v")
        self.tool(server, "checkpoint", "2")
        self.assertEqual([s["shard"] for s in self.tool_json(server, "shards") if s["checkpoint_lsn"]], [2])
        self.tool(server, "checkpoint")
        self.assertTrue(all(s["checkpoint_lsn"] == s["last_lsn"] for s in self.tool_json(server, "shards")))
        self.assertIn("no shard 9", self.tool_error(server, "checkpoint", "9", code=2))

    def test_the_log_is_shown_by_server_and_from_the_folder_alike(self):
        server = self.start("--storage.shards", "2")
        self.tool(server, "put", "k", "one", "--durability", "sync")
        self.tool(server, "put", "k", "two", "--durability", "sync", "--ttl", "1h")
        self.tool(server, "del", "k", "--durability", "sync")
        self.tool(server, "put", "--hex", "ff", "fe", "--durability", "sync")
        online = []
        for shard in 0, 1:
            out = self.tool(server, "--json", "wal", "dump", "--shard", str(shard), "--values")
            online += [json.loads(line) for line in out.splitlines()]
        offline = [json.loads(line) for line in self.run_tool("--json", "wal", "dump", "--folder", server.folder, "--values").stdout.splitlines()]
        for records in online, offline:
            of_k = [(r["op"], r.get("value")) for r in records if r.get("key") == "k"]
            self.assertEqual(of_k, [("put", "one"), ("put", "two"), ("erase", None)])
            self.assertEqual([r["value_base64"] for r in records if r.get("key_base64") == "/w=="], ["/g=="])
        self.assertIn("expires_at_ms", [r for r in offline if r.get("value") == "two"][0])
        self.assertIn("k  two", self.run_tool("wal", "dump", "--folder", server.folder, "--values").stdout.decode())
        self.assertEqual(server.stop(), 0)
        again = self.run_tool("--json", "wal", "dump", "--folder", server.folder, "--values")
        self.assertEqual(len(again.stdout.splitlines()), 4)
        self.assertEqual(self.run_tool("wal", "dump", "--folder", self.root).returncode, 1)
        self.assertEqual(self.run_tool("wal", "dump").returncode, 2)

    def test_chaos_lists_the_tree_and_an_ended_actor_comes_back(self):
        server = self.start()
        tree = {n["path"]: n for n in self.tool_json(server, "chaos")}
        self.assertIn("universe", tree)
        writers = [p for p in tree if "wal-writer" in p]
        self.assertTrue(writers, tree.keys())
        self.tool(server, "chaos", writers[0])
        self.tool(server, "put", "k", "v", "--durability", "sync")
        self.assertEqual(self.tool(server, "get", "k"), b"v")
        while True:
            node = {n["path"]: n for n in self.tool_json(server, "chaos")}[writers[0]]
            if node["restarts"] == 1 and node["state"] == "running":
                break
        self.assertIn("no living actor", self.tool_error(server, "chaos", "universe/nobody", code=3))

    def test_a_restarted_port_keeps_its_number(self):
        server = self.start()
        for name in "http", "rpc":
            paths = [n["path"] for n in self.tool_json(server, "chaos") if n["path"].endswith("/" + name)]
            self.assertEqual(len(paths), 1)
            done = self.run_tool("chaos", paths[0], server=server)
            self.assertIn(done.returncode, (0, 5, 6), done.stderr)  # ending the RPC port may cost its own answer
            while True:
                nodes = self.run_tool("--json", "chaos", server=server)
                if nodes.returncode == 0:
                    node = {n["path"]: n for n in json.loads(nodes.stdout)}[paths[0]]
                    if node["restarts"] == 1 and node["state"] == "running":
                        break
        self.assertEqual(server.http("/readyz")[0], 200)
        self.tool(server, "put", "k", "v", "--durability", "sync")
        self.assertEqual(server.stop(), 0)

    def test_check_config_says_what_is_in_force_and_from_where(self):
        config = self.root / "warp.toml"
        config.write_text('[storage]\nsegment_size = "1MiB"\n')
        words = ["check-config", "--config", config, "--http.listen", "127.0.0.1:0"]
        environment = {"WARP_LOG_LEVEL": "debug"}
        done = self.run_tool("--json", *words, environment=environment)
        page = json.loads(done.stdout)
        self.assertEqual(page["storage.segment_size"], {"value": 1 << 20, "text": '"1MiB"', "from": "file", "where": f"{config}:2"})
        self.assertEqual(page["log.level"]["where"], "WARP_LOG_LEVEL")
        self.assertEqual(page["http.listen"]["where"], "--http.listen")
        self.assertEqual(page["rpc.listen"]["from"], "default")
        text = self.run_tool(*words, environment=environment).stdout.decode()
        self.assertRegex(text, rf'storage\.segment_size +"1MiB" +{re.escape(str(config))}:2')
        config.write_text("[storage]\nsegmnt_size = 1\n")
        done = self.run_tool(*words)
        self.assertEqual(done.returncode, 2)
        self.assertIn("did you mean segment_size?", done.stderr.decode())

    def test_the_reference_it_prints_is_a_configuration(self):
        reference = self.root / "reference.toml"
        reference.write_bytes(self.run_tool("check-config", "--reference").stdout)
        self.assertEqual(self.run_tool("check-config", "--config", reference).returncode, 0)


if __name__ == "__main__":
    unittest.main()
