"""Clients of a Redis cluster, and the warp tool, against three nodes and an etcd as they are; one of the nodes is killed under them."""
import json
import pathlib
import shutil
import subprocess
import sys
import unittest

from node_test import MODULES, install
from served import HERE, PATIENCE_S

sys.path.insert(0, str(HERE.parent / "integration" / "cluster"))
import harness  # noqa: E402


@unittest.skipUnless(shutil.which("etcd"), "etcd is not installed (deploy/setup installs it)")
class ClusterTest(unittest.TestCase):
    def setUp(self):
        self.cluster = harness.Cluster()
        self.addCleanup(self.cluster.close)
        self.cluster.start()
        self.nodes = list(self.cluster.nodes.values())

    def run_program(self, *words, code=0, stdin=b""):
        done = subprocess.run([str(w) for w in words], input=stdin, capture_output=True, timeout=PATIENCE_S, cwd=self.cluster.root)
        self.assertEqual(done.returncode, code, f"{words}\n{done.stdout[-3000:].decode()}\n{done.stderr[-1000:].decode()}")
        return done.stdout.decode()

    def run_client(self, program):
        """Runs a client program, which gets the addresses, to its end. It says "kill" to have a node killed that others use, "restart" to
        have it back, "move" to have other primaries for its shards; "done" is the answer."""
        words = ["node", str(MODULES / program), ",".join(node.resp for node in self.nodes)]
        client = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        said, gone = [], None
        try:
            for line in client.stdout:
                said.append(line)
                if line == "kill\n":
                    gone = self.cluster.busiest()
                    gone.kill()
                elif line == "restart\n":
                    gone.start()
                    self.cluster.wait_whole()
                elif line == "move\n":
                    self.move_shards()
                else:
                    continue
                client.stdin.write("done\n")
                client.stdin.flush()
            code = client.wait(PATIENCE_S)
        finally:
            client.kill()
            client.wait()
            client.stdin.close()
            client.stdout.close()
        self.assertEqual(code, 0, "".join(said))


    def move_shards(self):
        """Those of the node that has most, for a while: nodes take back what they prefer."""
        held = self.cluster.primaries()
        node = max(held, key=lambda n: len(held[n]))
        for shard in held[node][:3]:
            # An order that comes too late, as the shard has gone already, is none.
            self.cluster.tool("cluster", "switchover", "--shard", shard, "--to", node % len(self.nodes) + 1, check=False)


class ProgramsOfRedisInACluster(ClusterTest):
    def cli(self, *words, node=0, **options):
        return self.run_program("redis-cli", "-p", self.nodes[node].ports["resp"], *words, **options)

    def test_redis_cli(self):
        for n in range(30):
            self.assertEqual(self.cli("-c", "SET", f"key{n}", str(n), node=n % 3), "OK\n")
        for n in range(30):
            self.assertEqual(self.cli("-c", "GET", f"key{n}", node=(n + 1) % 3), f"{n}\n")
        self.assertIn("CROSSSLOT", self.cli("MSET", "a", "1", "b", "2"))
        self.assertEqual(self.cli("-c", "MSET", "{t}a", "1", "{t}b", "2"), "OK\n")
        self.assertEqual(self.cli("-c", stdin=b"MULTI\nINCR {t}a\nINCR {t}b\nEXEC\n").splitlines()[-2:], ["2", "3"])
        check = self.cli("--cluster", "check", self.nodes[1].resp)
        for line in ("32 keys in 3 masters", "All nodes agree about slots configuration", "All 16384 slots covered"):
            self.assertIn(line, check)
        self.assertIn("cluster_state:ok", self.cli("CLUSTER", "INFO"))
        shards = json.loads(self.cli("-3", "--json", "CLUSTER", "SHARDS"))
        self.assertEqual(sum(to - at + 1 for s in shards for at, to in zip(s["slots"][::2], s["slots"][1::2])), 16_384)

    def test_redis_benchmark(self):
        lines = self.run_program("redis-benchmark", "-p", self.nodes[0].ports["resp"], "--cluster", "-t", "set,get,incr", "-n", "3000", "-c", "10",
                                 "-q", "--csv").splitlines()
        self.assertEqual([line.split(",")[0] for line in lines if line.startswith('"')][1:], ['"SET"', '"GET"', '"INCR"'])


class NodeClientsInACluster(ClusterTest):
    @classmethod
    def setUpClass(cls):
        if reason := install():
            raise unittest.SkipTest(reason)

    def test_node_redis(self):
        self.run_client("node_redis_cluster.mjs")

    def test_ioredis(self):
        self.run_client("ioredis_cluster.mjs")


class ToolInACluster(ClusterTest):
    def warp(self, *words, **options):
        return self.run_program(harness.WARP, "-s", ",".join(node.rpc for node in self.nodes), *words, **options)

    def test_its_commands(self):
        for n in range(10):
            self.warp("put", f"k{n}", f"v{n}")
        self.assertEqual([self.warp("get", f"k{n}") for n in range(10)], [f"v{n}" for n in range(10)])
        self.assertEqual([self.warp("incr", "n") for _ in range(3)], ["1\n", "2\n", "3\n"])
        self.assertIn("deleted 3 of 3", self.warp("del", "k0", "k1", "k2"))
        records = pathlib.Path(self.cluster.root, "records.ndjson")
        records.write_text("".join(json.dumps({"key": f"load:{n}", "value": str(n)}) + "\n" for n in range(5_000)))
        self.assertIn("loaded 5,000 records", self.warp("load", records))
        self.assertEqual(len(self.warp("dump", "--prefix", "load:").splitlines()), 5_000)
        # With a node less; the others take over.
        self.cluster.busiest().kill()
        self.assertEqual(self.warp("--deadline", "60s", "incr", "n"), "4\n")
        self.assertEqual(len(self.warp("--deadline", "60s", "dump", "--prefix", "load:").splitlines()), 5_000)
        self.assertIn("loaded 5,000 records", self.warp("--deadline", "60s", "load", records))


if __name__ == "__main__":
    unittest.main()
