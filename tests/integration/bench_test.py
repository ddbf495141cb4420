"""warp bench: what it measures, what it leaves behind, and how it ends."""
import json
import signal
import subprocess
import unittest

from programs import PATIENCE_S, WARP, ProgramTest


class Bench(ProgramTest):
    def bench(self, server, *words, code=0):
        return self.tool_json(server, "bench", "--http", f"127.0.0.1:{server.ports['http']}", *words, code=code)

    def keys(self, server):
        return sum(s["keys"] for s in self.tool_json(server, "shards"))

    def operations(self, server):
        return sum(s["gets"] + s["puts"] for s in self.tool_json(server, "shards"))

    def test_a_load_is_measured(self):
        server = self.start()
        for more in [], ["--clients", "3", "--batch", "50", "--pipeline", "4", "--zipf", "0.99"], ["--durability", "sync", "--get", "10"]:
            with self.subTest(more):
                out = self.bench(server, "--seconds", "0.3", "--keys", "2000", *more)
                self.assertGreater(out["operations"], 0)
                self.assertEqual((out["errors"], out["misses"], out["late"]), (0, 0, 0))
                latency = list(out["latency_us"].values())
                self.assertEqual(latency, sorted(latency))
                self.assertGreater(latency[0], 0)
                self.assertGreater(out["server_cpu_us_per_operation"], 0)
                self.assertEqual(self.keys(server), 2000)

    def test_people_see_the_settings_in_one_line_and_the_figures_below(self):
        server = self.start()
        lines = self.tool(server, "bench", "--seconds", "0.2", "--keys", "100", "--value", "7", "--http", "off").decode().splitlines()
        for word in "1 client,", "16 requests", "50 % get", "100 keys", "values of 7 B", "async (the server's default)":
            self.assertIn(word, lines[0])
        self.assertEqual([line.split()[0] for line in lines[1:]], ["stored", "rate", "latency", "errors", "The"])

    def test_without_its_http_port_the_server_keeps_its_processor_time_to_itself(self):
        server = self.start()
        said = self.tool(server, "bench", "--seconds", "0.1", "--keys", "10", "--http", "127.0.0.1:1").decode()
        self.assertIn("processor time not known", said)
        self.assertIn("--http", said)
        self.assertIsNone(self.tool_json(server, "bench", "--seconds", "0.1", "--keys", "10", "--http", "off")["server_cpu_us_per_operation"])

    def test_cleanup_removes_its_keys_and_no_others(self):
        server = self.start()
        self.tool(server, "put", "mine", "value")
        self.bench(server, "--seconds", "0.1", "--keys", "10000")
        self.assertEqual(self.keys(server), 10001)
        self.bench(server, "--seconds", "0.1", "--keys", "10000", "--cleanup")
        self.assertEqual(self.keys(server), 1)
        self.assertEqual(self.tool(server, "get", "mine"), b"value")

    def test_no_more_is_sent_than_the_rate_allows_and_what_is_late_is_told(self):
        server = self.start()
        out = self.bench(server, "--seconds", "0.5", "--keys", "100", "--clients", "2", "--rate", "1000")
        self.assertGreater(out["operations"], 0)
        self.assertLessEqual(out["operations"] + out["late"], 502)
        out = self.bench(server, "--seconds", "0.3", "--keys", "100", "--pipeline", "1", "--rate", "100000000")
        self.assertGreater(out["late"], 0)
        # What waited for its turn is in the latency: the last ones waited for nearly all of the time.
        self.assertGreater(out["latency_us"]["max"], 100_000)

    def test_without_gets_nothing_is_stored_before(self):
        server = self.start()
        out = self.bench(server, "--seconds", "0.1", "--keys", "1000000", "--get", "0")
        self.assertLessEqual(self.keys(server), out["operations"])
        out = self.bench(server, "--seconds", "0.1", "--keys", "500", "--get", "100")
        self.assertEqual(out["misses"], 0)

    def test_errors_are_counted_named_and_the_exit_code_tells(self):
        server = self.start("--storage.memory_only", "true")
        done = self.run_tool("--json", "bench", "--get", "0", "--seconds", "0.1", "--durability", "sync", "--http", "off", server=server)
        self.assertEqual(done.returncode, 1)
        out = json.loads(done.stdout)
        self.assertEqual(out["errors"], out["operations"])
        self.assertIn(b"no_replicas", done.stderr)

    def test_settings_that_make_no_sense_are_exit_code_2(self):
        server = self.start("--storage.value_max", "1KiB")
        for words in ["--get", "101"], ["--zipf", "1"], ["--clients", "0"], ["--batch", "65537"], ["--value", "1025"], ["--rate", "-1"]:
            with self.subTest(words):
                self.tool_error(server, "bench", *words, code=2)

    def test_without_a_server_it_is_exit_code_5(self):
        self.assertEqual(self.run_tool("-s", "127.0.0.1:1", "--deadline", "1s", "bench").returncode, 5)

    def under_way(self, server, *words):
        """A long benchmark, once the server feels it."""
        running = subprocess.Popen([str(WARP), "-s", server.address, "--deadline", "1s", "bench", "--seconds", "600", "--keys", "10", "--http", "off", *words],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(running.kill)
        while self.operations(server) < 1000 and running.poll() is None:
            pass
        return running

    def end_by_ctrl_c(self, *words):
        running = self.under_way(self.start(), *words)
        running.send_signal(signal.SIGINT)
        out, said = running.communicate(timeout=PATIENCE_S)
        self.assertEqual(running.returncode, 0, said)
        self.assertIn(b"rate ", out)

    def test_ctrl_c_ends_it_and_shows_what_it_has(self):
        self.end_by_ctrl_c()

    def test_ctrl_c_ends_a_steady_rate_too(self):
        self.end_by_ctrl_c("--rate", "5000")

    def test_a_server_that_ends_is_no_success(self):
        server = self.start()
        running = self.under_way(server)
        server.kill()
        while running.poll() is None:  # its requests time out after a second, again and again
            try:
                running.wait(2)
            except subprocess.TimeoutExpired:
                running.send_signal(signal.SIGINT)
        out, _ = running.communicate(timeout=PATIENCE_S)
        self.assertIn(running.returncode, (5, 6), out)
        self.assertIn(b"the first one: ", out)


if __name__ == "__main__":
    unittest.main()
