"""warp watch as a process beside others that write."""
import json
import signal
import subprocess
import unittest

from programs import PATIENCE_S, WARP, ProgramTest, clean_environment


class Watch(ProgramTest):
    def setUp(self):
        super().setUp()
        self.watching = []

    def _clean(self):
        for process in self.watching:
            if process.poll() is None:
                process.kill()
            process.wait(PATIENCE_S)
            process.stdout.close()
            process.stderr.close()
        super()._clean()

    def watch(self, server, *words):
        """`warp watch ... --json`, once it has said that it is there."""
        process = subprocess.Popen([str(WARP), "-s", server.address, "--json", "watch", *words], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=clean_environment())
        self.watching.append(process)
        return process

    def told(self, process, count):
        """The next events that are no `synced`."""
        events = []
        while len(events) < count:
            line = process.stdout.readline()
            self.assertTrue(line, process.stderr.read() if process.poll() is not None else "no more output")
            event = json.loads(line)
            if event["event"] != "synced":
                events.append(event)
        return events

    def wait_synced(self, process):
        self.assertEqual(json.loads(process.stdout.readline()), {"event": "synced"})

    def test_changes_are_printed_as_they_are_made(self):
        server = self.start()
        one, many = self.watch(server, "a"), self.watch(server, "--prefix", "")
        self.wait_synced(one)
        self.wait_synced(many)
        self.tool(server, "put", "a", "1")
        self.tool(server, "put", "b", "2")
        version = int(json.loads(self.tool(server, "--json", "put", "a", "3"))["version"])
        self.tool(server, "del", "a")
        put, again, erased = self.told(one, 3)
        self.assertEqual((put["event"], put["key"], put["value"]), ("put", "a", "1"))
        self.assertEqual((again["value"], again["version"]), ("3", version))
        self.assertEqual((erased["event"], erased["key"]), ("erase", "a"))
        self.assertEqual([e["key"] for e in self.told(many, 4)].count("a"), 3)
        for process in (one, many):
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(PATIENCE_S), 0)

    def test_it_ends_by_itself_after_so_many_changes(self):
        server = self.start()
        self.tool(server, "put", "a", "0")
        done = self.run_tool("watch", "a", "--state", "--count", "1", server=server)
        self.assertEqual(done.returncode, 0)
        self.assertEqual(done.stdout.split(b"\t")[1:], [b"state", b"a", b"0\n"])
        self.assertEqual(done.stderr, b"")

    def test_it_begins_after_a_version(self):
        server = self.start()
        versions = [int(json.loads(self.tool(server, "--json", "put", "a", str(i)))["version"]) for i in range(3)]
        done = self.run_tool("watch", "a", "--from", versions[0], "--count", "2", "--durable", server=server)
        self.assertEqual(done.stdout.decode(), f"{versions[1]}\tput\ta\t1\n{versions[2]}\tput\ta\t2\n")

    def test_it_goes_on_over_a_kill_of_the_server(self):
        server = self.start()
        process = self.watch(server, "--prefix", "k", "--durable")
        self.wait_synced(process)
        self.tool(server, "put", "k1", "before", "--durability", "sync")
        self.assertEqual(self.told(process, 1)[0]["value"], "before")
        rpc = server.ports["rpc"]
        server.kill()
        again = self.start("--rpc.listen", f"127.0.0.1:{rpc}", "--resp.listen", "127.0.0.1:0", "--http.listen", "127.0.0.1:0", ports=False, folder="data")
        self.tool(again, "put", "k1", "after", "--durability", "sync")
        self.assertEqual([(e["event"], e["value"]) for e in self.told(process, 1)], [("put", "after")])

    def test_a_server_that_is_gone_for_good_is_exit_code_5(self):
        server = self.start()
        process = self.watch(server, "--deadline", "500ms", "a")
        self.wait_synced(process)
        server.kill()
        out, _ = process.communicate(timeout=PATIENCE_S)
        self.assertEqual(process.returncode, 5)
        self.assertIn("no server has taken the watch for 500 ms", json.loads(out.splitlines()[-1])["message"])

    def test_mistakes_are_exit_code_2(self):
        server = self.start("--storage.memory_only", "true")
        for words in ([], ["a", "--prefix", "b"], ["--prefix", "b", "--from", "3"], ["a", "--from", "3", "--state"]):
            done = self.run_tool("watch", *words, server=server)
            self.assertEqual(done.returncode, 2, words)
            self.assertTrue(done.stderr.startswith(b"warp: "), words)
        self.assertEqual(self.run_tool("watch", "a", "--durable", server=server).returncode, 1)


if __name__ == "__main__":
    unittest.main()
