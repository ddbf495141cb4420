"""warp backup: a running server is backed up, killed, and restored elsewhere; what comes back is compared key by key."""
import calendar
import json
import subprocess
import threading
import time

from programs import WARP, ProgramTest, clean_environment


class Backup(ProgramTest):
    def load(self, server, records):
        text = "".join(json.dumps({"key": k, "value": v}) + "\n" for k, v in records.items())
        self.tool(server, "load", "-", "--durability", "sync", stdin=text.encode())

    def dump(self, server):
        """Everything but what the load in the background writes."""
        lines = [json.loads(line) for line in self.tool(server, "dump").decode().splitlines()]
        return {r["key"]: r["value"] for r in lines if not r["key"].startswith("busy")}

    def contents_of(self, folder):
        server = self.start(folder=folder)
        contents = self.dump(server)
        self.assertEqual(server.stop(), 0)
        return contents

    def busy(self, server, stop):
        """Writes until it is told to stop or the server is gone."""
        n = 0
        while not stop.is_set():
            text = "".join(json.dumps({"key": f"busy{i}", "value": n}) + "\n" for i in range(2000))
            done = subprocess.run([str(WARP), "-s", server.address, "--deadline", "2s", "load", "-"], input=text.encode(), capture_output=True,
                                  env=clean_environment())
            if done.returncode != 0:
                return
            n += 1

    def test_the_restore_drill(self):
        server = self.start("--storage.segment_size", "1MiB", "--storage.checkpoint_interval", "1s")
        repository = self.root / "backups"
        first = {f"k{i}": f"one {i}" for i in range(3000)}
        self.load(server, first)
        stop = threading.Event()
        load = threading.Thread(target=self.busy, args=(server, stop))
        load.start()
        self.addCleanup(stop.set)

        one = self.tool_json(server, "backup", "create", repository)
        between = {**first, **{f"k{i}": f"between {i}" for i in range(500)}, "new": "here"}
        self.load(server, between)
        time.sleep(0.2)  # moments are told apart by time, and what is asynchronous gets its turn
        moment = time.time()
        time.sleep(0.2)
        second = {**between, **{f"k{i}": f"two {i}" for i in range(400, 900)}}
        for i in range(1000, 1100):
            del second[f"k{i}"]
        self.load(server, second)
        self.tool(server, "del", *[f"k{i}" for i in range(1000, 1100)])
        two = self.tool_json(server, "backup", "create", repository)
        self.assertLess(two["new_bytes"], two["bytes"])
        self.assertGreater(two["taken_us"], one["taken_us"])
        stop.set()
        server.kill()
        load.join()

        listed = json.loads(self.tool(None, "--json", "backup", "list", repository))
        self.assertEqual([b["name"] for b in listed], [one["name"], two["name"]])
        self.assertEqual(listed[1]["follows"], one["name"])
        self.assertLessEqual(listed[1]["from_us"], one["taken_us"])
        verified = json.loads(self.tool(None, "--json", "backup", "verify", repository))
        self.assertEqual((verified["backups"], verified["problems"]), (2, []))

        at = calendar.timegm(time.gmtime(int(moment)))
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(moment % 1 * 1_000_000):06}Z"
        for name, words, expected in (("r1", [one["name"]], first), ("r2", [], second), ("rt", ["--to", text], between),
                                      ("rs", ["--to", f"{moment:.6f}"], between)):
            with self.subTest(name):
                done = json.loads(self.tool(None, "--json", "backup", "restore", repository, self.root / name, *words))
                self.assertGreaterEqual(done["records"], len(expected))
                self.assertEqual(self.contents_of(name), expected)

        removed = json.loads(self.tool(None, "--json", "backup", "prune", repository, "--keep", "1"))
        self.assertEqual(removed["removed"], 1)
        self.tool(None, "backup", "restore", repository, self.root / "r3")
        self.assertEqual(self.contents_of("r3"), second)

    def test_backups_by_the_clock_and_their_metrics(self):
        folder = self.root / "by-the-clock"
        server = self.start("--backup.folder", str(folder), "--backup.interval", "1s", "--backup.keep", "2")
        self.load(server, {"a": "text"})
        end = time.monotonic() + 60
        while "warp_backups_total 3" not in (metrics := server.http("/metrics")[1]):
            self.assertLess(time.monotonic(), end, metrics)
            time.sleep(0.05)
        self.assertIn("warp_backup_interval_seconds 1", metrics)
        self.assertIn("warp_backup_failures_total 0", metrics)
        said = self.tool_error(server, "backup", "create", self.root / "elsewhere", code=1)
        self.assertIn("backup.folder", said)
        self.assertFalse((self.root / "elsewhere").exists())
        self.tool(server, "backup", "create")
        self.assertEqual(server.stop(), 0)
        listed = json.loads(self.tool(None, "--json", "backup", "list", folder))
        self.assertLessEqual(len(listed), 3)
        self.tool(None, "backup", "restore", folder, self.root / "back")
        self.assertEqual(self.contents_of("back"), {"a": "text"})

    def test_mistakes_are_named(self):
        server = self.start()
        self.load(server, {"a": "text"})
        self.assertIn("is not a backup repository", self.tool_error(server, "backup", "create", self.root / "data", code=2))
        self.assertIn("is not a backup repository", self.tool_error(None, "backup", "list", self.root / "nothing", code=3))
        self.tool(server, "backup", "create", "backups")
        self.assertIn("not empty", self.tool_error(None, "backup", "restore", "backups", "data", code=2))
        self.assertIn("2026-11-21T16:30:00Z", self.tool_error(None, "backup", "restore", "backups", "x", "--to", "noon", code=2))
        self.assertIn("no backup reaches", self.tool_error(None, "backup", "restore", "backups", "x", "--to", "1000", code=2))
        (self.root / "half").mkdir()
        (self.root / "half" / "RESTORE-UNFINISHED").write_text("")
        code, said = self.refused(folder="half")
        self.assertEqual(code, 3)
        self.assertIn("restore", said)
