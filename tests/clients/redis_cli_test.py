"""redis-cli and redis-benchmark against a warpd as it is, whose ports alone are chosen."""
import json
import shutil
import subprocess
import unittest

from served import ClientTest, PATIENCE_S


class ProgramOfRedis(ClientTest):
    """Runs a program of Redis's package against the server."""

    def run_program(self, program, *words, stdin=b"", code=0):
        done = subprocess.run([program, "-h", "127.0.0.1", "-p", str(self.port), *words], input=stdin, capture_output=True, timeout=PATIENCE_S,
                              cwd=self.root)
        shown = f"{program} {' '.join(words)[:200]}\n{done.stdout[:4000].decode(errors='replace')}\n{done.stderr[:2000].decode(errors='replace')}"
        self.assertEqual(done.returncode, code, shown)
        if code == 0:
            self.assertEqual(done.stderr, b"", shown)
        return done.stdout.decode()


@unittest.skipUnless(shutil.which("redis-cli"), "redis-cli is not installed (deploy/setup installs it)")
class RedisCli(ProgramOfRedis):
    def cli(self, *words, **options):
        return self.run_program("redis-cli", *words, **options)

    def test_commands_in_each_of_its_ways(self):
        for way in ([], ["-3"], ["-c"], ["-2"]):
            with self.subTest(way=way):
                self.cli(*way, "FLUSHALL")
                self.assertEqual(self.cli(*way, "SET", "greeting", "hello", "EX", "100"), "OK\n")
                self.assertEqual(self.cli(*way, "GET", "greeting"), "hello\n")
                self.assertEqual(self.cli(*way, "--no-raw", "TTL", "greeting"), "(integer) 100\n")
                self.assertEqual(self.cli(*way, "--no-raw", "GET", "absent"), "(nil)\n")
                self.assertEqual(self.cli(*way, "MSET", "{a}", "1", "{b}", "2", "c", "3"), "OK\n")
                self.assertEqual(self.cli(*way, "--no-raw", "MGET", "{a}", "{b}", "x"), '1) "1"\n2) "2"\n3) (nil)\n')
                self.assertEqual(self.cli(*way, "-r", "5", "INCR", "n"), "1\n2\n3\n4\n5\n")
                self.assertEqual(self.cli(*way, "--no-raw", "FOO", "bar"), "(error) ERR unknown command 'FOO', with args beginning with: 'bar' \n")
                self.assertEqual(self.cli(*way, "HSET", "h", "f", "1", "g", "2"), "2\n")
                self.assertEqual(self.cli(*way, "HMGET", "h", "g", "none", "f"), "2\n\n1\n")
                self.assertEqual(self.cli(*way, "-x", "SET", "from stdin", stdin=b"a\0b"), "OK\n")
                self.assertEqual(self.cli(*way, "--no-raw", "GET", "from stdin"), '"a\\x00b"\n')
        self.assertEqual(json.loads(self.cli("-3", "--json", "MGET", "c", "none")), ["3", None])
        self.assertEqual(self.cli("-e", "GET", "c"), "3\n")
        self.cli("-e", "INCR", "from stdin", code=1)

    def test_a_script_of_lines_with_a_transaction(self):
        script = b"MULTI\nSET a 1\nINCR a\nGET b\nEXEC\nMULTI\nSET a 9\nDISCARD\nGET a\nMULTI\nINCR a b\nEXEC\n"
        expected = "OK\nQUEUED\nQUEUED\nQUEUED\nOK\n2\n\nOK\nQUEUED\nOK\n2\nOK\nERR wrong number of arguments for 'incr' command\n\n" \
                   "EXECABORT Transaction discarded because of previous errors.\n\n"
        self.assertEqual(self.cli(stdin=script), expected)
        self.assertEqual(self.cli("-3", stdin=script), expected)
        self.assertEqual(self.cli("WARP.DURABILITY"), "async\n")
        self.assertEqual(self.cli(stdin=b"WARP.DURABILITY sync\nSET s 1\nMULTI\nSET s 2\nSET t 2\nEXEC\nWARP.DURABILITY\n"),
                         "OK\nOK\nOK\nQUEUED\nQUEUED\nOK\nOK\nsync\n")

    def test_mass_insertion_by_pipe(self):
        commands = b"".join(b"*3\r\n$3\r\nSET\r\n$7\r\nkey%04d\r\n$5\r\nvalue\r\n" % n for n in range(5_000))
        self.assertIn("errors: 0, replies: 5000", self.cli("--pipe", stdin=commands))
        self.assertEqual(self.cli("DBSIZE"), "5000\n")
        # Lines are as good as the protocol, and an error is counted and shown.
        done = subprocess.run(["redis-cli", "-p", str(self.port), "--pipe"], input=b"SET a 1\r\nINCR key0000\r\nSET b 2\r\n", capture_output=True, timeout=PATIENCE_S)
        self.assertIn(b"errors: 1, replies: 3", done.stdout)
        self.assertIn(b"ERR value is not an integer or out of range", done.stdout + done.stderr)

    def test_scanning(self):
        self.cli("--pipe", stdin=b"".join(b"SET key:%d %d\r\nSET other:%d 1\r\n" % (n, n, n) for n in range(1_000)))
        found = self.cli("--scan", "--pattern", "key:*").split()
        self.assertEqual(len(found), 1_000)
        self.assertEqual({*found}, {f"key:{n}" for n in range(1_000)})
        self.assertEqual(len(self.cli("--scan").split()), 2_000)
        self.assertIn("Biggest string found", self.cli("--bigkeys"))
        self.assertIn("Biggest string found", self.cli("--memkeys"))

    def test_what_its_hints_are_made_of(self):
        docs = json.loads(self.cli("-3", "--json", "COMMAND", "DOCS"))
        # cliInitCommandHelpEntries() of redis-cli 7: each command is a map with these.
        for name in ("get", "set", "exec", "subscribe", "config", "hello"):
            self.assertIn("summary", docs[name])
            self.assertIn("group", docs[name])
            self.assertIn("since", docs[name])
        self.assertIn("EXAT unix-time-seconds", self.cli(stdin=b"help set\n"))
        self.assertIn("GETDEL", self.cli(stdin=b"help @string\n"))

    def test_what_operators_look_at(self):
        self.assertIn("redis_version:7.", self.cli("INFO"))
        self.assertIn("127.0.0.1", self.cli("CLIENT", "LIST"))
        self.assertIn("maxmemory", self.cli("CONFIG", "GET", "maxmemory"))
        self.assertIn("slots", json.loads(self.cli("-3", "--json", "CLUSTER", "SHARDS"))[0])
        self.assertIn("EVAL", self.cli("EVAL", "return 1", "0"))

    def test_that_a_cluster_is_checked_by_its_tool(self):
        self.cli("SET", "a", "1")
        self.assertIn("cluster_enabled:1", self.cli("INFO", "cluster"))
        done = subprocess.run(["redis-cli", "--cluster", "check", f"127.0.0.1:{self.port}"], capture_output=True, timeout=PATIENCE_S)
        shown = done.stdout.decode() + done.stderr.decode()
        self.assertEqual(done.returncode, 0, shown)
        for line in ("1 keys in 1 masters", "All nodes agree about slots configuration", "All 16384 slots covered"):
            self.assertIn(line, shown)


@unittest.skipUnless(shutil.which("redis-benchmark"), "redis-benchmark is not installed (deploy/setup installs it)")
class RedisBenchmark(ProgramOfRedis):
    TESTS = {"PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "HSET", "MSET (10 keys)"}

    def bench(self, *words):
        lines = self.run_program("redis-benchmark", "-q", "--csv", *words).splitlines()
        rows = {row[0]: float(row[1]) for row in ([cell.strip('"') for cell in line.split('","')] for line in lines[1:])}
        for name, per_second in rows.items():
            self.assertGreater(per_second, 0, name)
        return rows

    def test_its_commands_one_by_one_and_in_pipelines(self):
        for way in (["-c", "1", "-n", "500"], ["-c", "50", "-n", "5000"], ["-c", "50", "-n", "20000", "-P", "16"], ["-c", "200", "-n", "20000", "-P", "64", "-d", "100"],
                    ["-c", "20", "-n", "5000", "-3"], ["-c", "20", "-n", "5000", "--threads", "2"], ["-c", "20", "-n", "5000", "-r", "10000"]):
            with self.subTest(way=way):
                self.assertEqual({*self.bench("-t", "ping,set,get,incr,mset,hset", *way)}, self.TESTS)

    def test_with_large_values(self):
        self.assertEqual({*self.bench("-t", "set,get", "-d", "1000000", "-n", "200", "-c", "5")}, {"SET", "GET"})


if __name__ == "__main__":
    unittest.main()
