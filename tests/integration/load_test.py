"""warp load and warp dump: what goes in comes out, and mistakes in a file are named."""
import json
import random
import shutil
import subprocess
import unittest

from programs import ProgramTest


def line(key, value, **more):
    return json.dumps({"key": key, "value": value, **more}, ensure_ascii=False) + "\n"


class Load(ProgramTest):
    def write(self, text, name="data.ndjson"):
        path = self.root / name
        path.write_text(text)
        return path

    def test_values_are_stored_as_they_stand_in_the_file(self):
        server = self.start()
        texts = ['{"name":  "Vila", "lat": 42.50, "tags": [1,2 , 3]}', "[]", "1e3", "-0", "true", "null"]
        path = self.write("".join('{"key": "k%d", "value": %s}\n' % (i, t) for i, t in enumerate(texts)) + line("text", "a\tb €") + "\n")
        self.assertEqual(self.tool_json(server, "load", path)["stored"], len(texts) + 1)
        for i, text in enumerate(texts):
            self.assertEqual(self.tool(server, "get", f"k{i}"), text.encode())
        self.assertEqual(self.tool(server, "get", "text"), "a\tb €".encode())

    def test_after_load_all_of_it_survives_sigkill(self):
        for level in "sync", "async":
            with self.subTest(level):
                server = self.start(folder=f"data-{level}")
                path = self.write("".join(line(f"k{i}", i) for i in range(5000)))
                out = self.tool_json(server, "load", path, "--durability", level)
                server.kill()
                self.assertEqual((out["stored"], out["bad_lines"]), (5000, 0))
                again = self.start(folder=f"data-{level}")
                self.assertEqual(sum(s["keys"] for s in self.tool_json(again, "shards")), 5000)
                self.assertEqual(self.tool(again, "get", "k4999"), b"4999")

    @unittest.skipUnless(shutil.which("zstd"), "zstd is not installed")
    def test_compressed_files_and_standard_input_are_loaded_alike(self):
        server = self.start()
        plain = self.write("".join(line(f"k{i}", i) for i in range(1000)))
        packed = self.root / "data.ndjson.zst"
        subprocess.run(["zstd", "-q", plain, "-o", packed], check=True)
        self.assertEqual(self.tool_json(server, "load", packed)["stored"], 1000)
        self.assertEqual(self.tool_json(server, "load", "-", stdin=packed.read_bytes())["stored"], 1000)
        self.assertEqual(self.tool_json(server, "load", "-", stdin=plain.read_bytes())["stored"], 1000)
        packed.write_bytes(packed.read_bytes()[:-9])
        self.assertIn("cut off", self.tool_error(server, "load", packed, code=1))

    def test_a_bad_line_is_named_and_stops_the_load(self):
        server = self.start()
        path = self.write(line("a", 1) + line("b", 2) + '{"key": "c", "value": tru}\n' + line("d", 4))
        said = self.tool_error(server, "load", path, code=1)
        self.assertIn(f"{path}:3: column ", said)
        self.assertIn("--keep-going", said)
        self.assertIn("--from-line 3", said)
        self.tool(server, "get", "b")
        self.tool(server, "get", "d", code=3)

    def test_with_keep_going_the_rest_is_loaded_and_the_exit_code_tells(self):
        server = self.start()
        bad = ['{"key": 5, "value": 1}', "not json", '{"key": "x", "value": 1, "value": 2}', '{"value": 1}', '{"key": "", "value": 1}', "[]"]
        path = self.write("".join(line(f"k{i}", i) + bad[i % len(bad)] + "\n" for i in range(60)))
        done = self.run_tool("--json", "load", path, "--keep-going", server=server)
        self.assertEqual(done.returncode, 1)
        summary = json.loads(done.stdout)
        self.assertEqual((summary["stored"], summary["bad_lines"], summary["not_stored"]), (60, 60, 0))
        said = done.stderr.decode().splitlines()
        self.assertTrue(said[0].startswith(f"warp: {path}:2: "), said[0])
        self.assertEqual(len(said), 21)  # 20 in full, then one line that says that the rest is counted

    def test_of_two_lines_with_the_same_key_the_later_one_wins(self):
        server = self.start()
        path = self.write("".join(line(f"k{i % 50}", i) for i in range(20_000)))
        self.tool(server, "load", path)
        for k in range(50):
            self.assertEqual(self.tool(server, "get", f"k{k}"), b"%d" % (19_950 + k))

    def test_byte_order_mark_line_ends_and_blank_lines_are_no_mistakes(self):
        server = self.start()
        text = "\ufeff" + line("a", 1).replace("\n", "\r\n") + "\n   \n" + line("b", 2).rstrip("\n")
        self.assertEqual(self.tool_json(server, "load", "-", stdin=text.encode())["stored"], 2)

    def test_a_time_to_live_in_a_line_counts(self):
        server = self.start()
        self.tool(server, "load", "-", stdin=(line("a", 1, ttl_ms=3_600_000) + line("b", 1, expires_at_ms=4_102_444_800_000) + line("c", 1)).encode())
        self.assertLessEqual(self.tool_json(server, "ttl", "a")["ttl_ms"], 3_600_000)
        self.assertEqual(self.tool_json(server, "ttl", "b")["expires_at_ms"], 4_102_444_800_000)
        self.assertIsNone(self.tool_json(server, "ttl", "c")["ttl_ms"])

    def test_a_value_that_is_too_long_is_named_with_its_line(self):
        server = self.start("--storage.value_max", "1KiB")
        path = self.write(line("a", "x" * 1024) + line("b", "x" * 1025) + line("c", "x"))
        done = self.run_tool("load", path, "--keep-going", server=server)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"{path}:2: not stored: invalid_argument", done.stderr.decode())
        self.tool(server, "get", "c")
        self.tool(server, "get", "b", code=3)

    def test_resume_goes_on_where_the_load_ended(self):
        server = self.start()
        good = [line(f"k{i}", i) for i in range(3000)]
        broken = good.copy()
        broken[2000] = "x" * (len(good[2000]) - 1) + "\n"  # same size, so that the state sees the same file
        path, state = self.write("".join(broken)), self.root / "load.state"
        self.assertEqual(self.run_tool("load", path, "--resume", state, server=server).returncode, 1)
        self.assertEqual(json.loads(state.read_text())["lines"], 2000)
        self.write("".join(good))
        self.assertEqual(self.tool_json(server, "load", path, "--resume", state)["stored"], 1000)
        self.assertEqual(self.tool_json(server, "load", path, "--resume", state)["stored"], 0)
        self.assertEqual(sum(s["keys"] for s in self.tool_json(server, "shards")), 3000)
        self.write("".join(good[:10]))
        self.assertIn("another load", self.tool_error(server, "load", path, "--resume", state, code=2))
        self.tool_error(server, "load", "-", "--resume", state, code=2)
        self.tool_error(server, "load", path, "--resume", state, "--durability", "async", code=2)

    def test_from_line_skips_what_stands_before(self):
        server = self.start()
        path = self.write("".join(line(f"k{i}", i) for i in range(1, 101)))
        self.assertEqual(self.tool_json(server, "load", path, "--from-line", "91")["stored"], 10)
        self.tool(server, "get", "k90", code=3)
        self.tool(server, "get", "k91")

    def test_a_file_that_is_not_there_is_a_failure_with_its_name(self):
        server = self.start()
        self.assertIn("absent.ndjson", self.tool_error(server, "load", "absent.ndjson", code=1))

    def test_a_server_that_ends_during_the_load_is_no_success(self):
        server = self.start()
        path = self.write("".join(line(f"k{i}", "x" * 1000) for i in range(60_000)))
        loading = subprocess.Popen([*self.words(server), "--deadline", "2s", "load", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while sum(s["keys"] for s in self.tool_json(server, "shards")) == 0 and loading.poll() is None:
            pass
        server.kill()
        out, said = loading.communicate(timeout=120)
        if b"loaded 60,000 records" in out:
            self.skipTest("the load was over before the server ended")
        self.assertIn(loading.returncode, (5, 6), said)
        self.assertIn(b"not stored", said)

    def words(self, server):
        from programs import WARP
        return [str(WARP), "-s", server.address]


class Dump(ProgramTest):
    def test_what_is_dumped_loads_back_to_the_same_bytes(self):
        server = self.start()
        rng = random.Random(11)
        records = {}
        for i in range(300):
            key = rng.randbytes(rng.randint(1, 20)) if i % 3 else f"käse {i}".encode()
            records[key] = rng.choice([b"", b"text", b"123", b'{"a": 1}', b' {"a": 1}', b'"quoted"', b"[1, 2]\n", b"\xff\xfe", rng.randbytes(30)])
        lines = b""
        for key, value in records.items():
            import base64
            lines += b'{"key_base64": "%s", "value_base64": "%s"}\n' % (base64.b64encode(key), base64.b64encode(value))
        self.tool(server, "load", "-", stdin=lines)
        dumped = self.tool(server, "dump")
        for text in dumped.splitlines():
            json.loads(text)
        other = self.start(folder="other")
        self.tool(other, "load", "-", stdin=dumped)
        for key, value in list(records.items())[::7]:
            self.assertEqual(self.tool(other, "get", "--hex", key.hex()), value)
        self.assertEqual(sorted(set(self.tool(other, "dump").splitlines())), sorted(set(dumped.splitlines())))

    def test_expiry_survives_dump_and_load(self):
        server = self.start()
        self.tool(server, "put", "k", "v", "--ttl", "1h")
        at = self.tool_json(server, "ttl", "k")["expires_at_ms"]
        dumped = self.tool(server, "dump")
        self.tool(server, "del", "k")
        self.tool(server, "load", "-", stdin=dumped)
        self.assertEqual(self.tool_json(server, "ttl", "k")["expires_at_ms"], at)

    def test_large_values_are_dumped_whole(self):
        server = self.start()
        value = b"y" * (8 << 20)
        for i in range(4):
            self.tool(server, "put", f"k{i}", "-", stdin=value)
        dumped = [json.loads(text) for text in self.tool(server, "dump").splitlines()]
        self.assertEqual({d["key"] for d in dumped}, {"k0", "k1", "k2", "k3"})
        self.assertTrue(all(len(d["value"]) == len(value) for d in dumped))

    def test_only_the_prefix_is_dumped(self):
        server = self.start()
        for key in "a1", "a2", "b1":
            self.tool(server, "put", key, "v")
        self.assertEqual(len(self.tool(server, "dump", "--prefix", "a").splitlines()), 2)


if __name__ == "__main__":
    unittest.main()
