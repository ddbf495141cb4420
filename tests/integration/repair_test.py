"""Damaged data folders: the start that refuses them, warp verify, warp repair."""
import json
import os

from programs import ProgramTest

KEYS = 400


class Repair(ProgramTest):
    def filled(self):
        """A data folder of a server that was stopped, and what is in it."""
        server = self.start("--storage.shards", "2")
        values = {f"key{i}": f"value {i} " * 5 for i in range(KEYS)}
        path = self.root / "data.ndjson"
        path.write_text("".join(json.dumps({"key": k, "value": v}) + "\n" for k, v in values.items()))
        self.tool(server, "load", path)
        self.tool(server, "checkpoint")
        for i in range(20):
            values[f"key{i}"] = f"later {i}"
            self.tool(server, "put", f"key{i}", f"later {i}", "--durability", "sync")
        self.assertEqual(server.stop(), 0)
        return server.folder, values

    def damage(self, path, offset):
        with open(path, "r+b") as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ 0x10]))

    def newest_segment(self, folder):
        return sorted(p for p in (folder / "wal").iterdir() if not p.name.startswith("spare"))[-1]

    def contents(self, folder):
        return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != "lock"}

    def repair(self, *words, code=0):
        done = self.run_tool("--json", "repair", *words)
        self.assertEqual(done.returncode, code, done.stderr.decode())
        return json.loads(done.stdout)

    def values_of(self, keys):
        server = self.start()
        got = {key: self.run_tool("get", key, server=server) for key in keys}
        self.assertEqual(server.stop(), 0)
        return {key: done.stdout.decode() for key, done in got.items() if done.returncode == 0}

    def test_a_damaged_log_is_refused_shown_repaired_and_starts(self):
        folder, values = self.filled()
        segment = self.newest_segment(folder)
        self.damage(segment, segment.read_bytes().index(b"later 10") + 2)
        code, said = self.refused()
        self.assertEqual(code, 3, said)
        self.assertIn(segment.name, said)
        found = self.run_tool("verify", folder)
        self.assertEqual(found.returncode, 1)
        self.assertIn(segment.name, found.stdout.decode())

        before = self.contents(folder)
        plan = self.repair("--dry-run", folder, code=1)
        self.assertEqual(plan["verdict"], "rewrite")
        self.assertTrue(plan["may_lose_durable"])
        self.assertIn(segment.name, plan["refusal"])
        self.assertEqual(self.contents(folder), before)
        said = self.run_tool("repair", "--dry-run", folder)
        self.assertEqual(said.returncode, 1)
        self.assertIn("warp repair would:", said.stdout.decode())
        self.assertIn("cannot be read", said.stdout.decode())

        done = self.repair(folder)
        aside = os.path.join(done["put_aside"], "wal", segment.name)
        with open(aside, "rb") as file:
            self.assertEqual(file.read(), before[f"wal/{segment.name}"])
        self.assertEqual(self.repair("--dry-run", folder)["verdict"], "starts")
        after = self.values_of(values)
        lost = {key for key in values if after[key] != values[key]}
        self.assertLessEqual(lost, {f"key{i}" for i in range(10, 20)})
        self.assertIn("key10", lost)
        for key in lost:
            self.assertEqual(after[key], f"value {key[3:]} " * 5)

    def test_a_damaged_checkpoint_costs_nothing_and_a_lost_manifest_is_made_again(self):
        folder, values = self.filled()
        self.assertEqual(self.run_tool("verify", folder).returncode, 0)
        checkpoint = sorted((folder / "checkpoint").iterdir())[-1]
        self.damage(checkpoint, 500)
        found = self.run_tool("verify", folder)
        self.assertEqual(found.returncode, 1)
        self.assertIn(checkpoint.name, found.stdout.decode())
        self.assertEqual(self.repair("--dry-run", folder)["verdict"], "starts")
        self.assertEqual(self.values_of(values), values)

        (folder / "MANIFEST").unlink()
        code, said = self.refused()
        self.assertEqual(code, 3, said)
        self.assertIn("warp repair", said)
        self.assertEqual(self.repair("--dry-run", folder, code=1)["verdict"], "manifest_only")
        self.assertEqual(self.repair(folder)["verdict"], "manifest_only")
        self.assertEqual(self.values_of(values), values)

    def test_the_folder_of_a_node_of_a_cluster_is_not_repaired(self):
        folder, _ = self.filled()
        segment = self.newest_segment(folder)
        self.damage(segment, segment.read_bytes().index(b"later 10") + 2)
        (folder / "cluster-node").write_text("{}")
        before = self.contents(folder)
        for words in ([], ["--dry-run"], ["--salvage"]):
            done = self.run_tool("repair", *words, folder)
            self.assertEqual(done.returncode, 1)
            self.assertIn("start the node in a new, empty folder", done.stderr.decode())
        self.assertEqual(self.contents(folder), before)

    def test_a_checkpoint_file_is_shown_to_people_and_programs(self):
        folder, values = self.filled()
        shown = {}
        for path in sorted((folder / "checkpoint").iterdir()):
            lines = [json.loads(line) for line in self.run_tool("--json", "checkpoint", "dump", "--values", path).stdout.splitlines()]
            self.assertEqual(lines[0]["records"], len(lines) - 1)
            shown.update({line["key"]: line["value"] for line in lines[1:]})
            self.assertIn(f"shard {lines[0]['shard']} of 2", self.run_tool("checkpoint", "dump", path).stdout.decode())
        self.assertEqual(shown, {f"key{i}": f"value {i} " * 5 for i in range(KEYS)})
        self.damage(path, 500)
        self.assertEqual(self.run_tool("checkpoint", "dump", path).returncode, 1)

    def test_a_running_server_is_checked_and_not_repaired(self):
        server = self.start("--storage.scrub_rate", "0")
        for i in range(20):
            self.tool(server, "put", f"key{i}", "value", "--durability", "sync")
        self.tool(server, "checkpoint")
        self.assertEqual(self.tool_json(server, "verify")["findings"], [])
        self.assertIn("every checksum is right", self.tool(server, "verify").decode())
        done = self.run_tool("repair", server.folder)
        self.assertEqual(done.returncode, 1)
        self.assertIn("in use", done.stderr.decode())

        checkpoint = sorted((server.folder / "checkpoint").iterdir())[-1]
        self.damage(checkpoint, 200)
        self.assertIn(checkpoint.name, self.tool_json(server, "verify", code=1)["findings"][0])
        status, body = server.http("/healthz")
        self.assertIn("damage at rest", body)
        self.assertIn("warp_scrub_findings 1", server.http("/metrics")[1])
