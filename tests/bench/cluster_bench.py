"""Real clusters of three nodes on this machine: how long a fault is felt, and what replication costs. See tests/bench/run cluster --help."""
# builds: warpd warp cluster_load fault_shim history_check
import argparse
import json
import os
import pathlib
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration" / "cluster"))
import harness  # noqa: E402
from harness import PATIENCE_S, TOOLS, Cluster, Loopback, Namespaces  # noqa: E402

rows = []


def hardware():
    cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8") if line.startswith("model name")), "unknown CPU")
    memory = int(next(line.split()[1] for line in open("/proc/meminfo", encoding="utf-8") if line.startswith("MemTotal"))) // 2 ** 20
    return f"hardware: {os.cpu_count()} x {cpu}, {memory} GiB, kernel {platform.release()}"


def figure(name, unit, runs, bar=None, at_most=False, note=""):
    """A row: the median of the runs, their spread, the bar."""
    value = statistics.median(runs)
    verdict = "-" if bar is None else "met" if (max(runs) <= bar if at_most else value >= bar) else "NOT MET"
    bound = "" if bar is None else f"{'at most' if at_most else 'at least'} {bar:g}"
    rows.append({"name": name, "unit": unit, "runs": runs, "bar": bar, "at_most": at_most, "verdict": verdict})
    print(f"{name:66} {value:12,.2f} {unit:10} [{min(runs):,.2f} .. {max(runs):,.2f}]  {bound:14} {verdict}{'  ' + note if note else ''}", flush=True)


def title(text):
    print(f"\n-- {text}", flush=True)


def kills(rounds):
    took, whole = [], []
    with Cluster(shards=64).start() as c:
        for _ in range(rounds):
            load = c.load(threads=12, pause_us=500, silence_ms=200)
            time.sleep(1.5)
            victim = c.busiest()
            at = victim.kill()
            time.sleep(5)
            load.stop()
            took.append(load.resumed_s(at))
            victim.start()
            whole.append(c.wait_whole())
            time.sleep(3)
        load.judge()
    figure("kill -9 of a primary: until every shard is served", "s", took, 2, at_most=True)
    figure("restart after it: until every shard has three copies", "s", whole)


def partitions(rounds, why):
    took = []
    with Cluster(shards=64, net=Loopback if why else Namespaces).start() as c:
        for _ in range(rounds):
            load = c.load(threads=12, pause_us=500, silence_ms=200)
            time.sleep(1.5)
            victim = c.busiest()
            if why:
                at = victim.pause()
            else:
                at = time.monotonic_ns()
                c.net.isolate(victim.place)
            time.sleep(6)
            load.stop()
            took.append(load.resumed_s(at))
            victim.resume() if why else c.net.heal_all()
            c.wait_whole()
            time.sleep(3)
        load.judge()
    figure("silent partition of a primary: until every shard is served", "s", took, 3, at_most=True,
           note=f"by SIGSTOP, as there are no namespaces: {why}" if why else "")


class Writer(threading.Thread):
    """Writes one key over and over, follows redirects, and keeps the moments of its answers."""

    def __init__(self, cluster, key):
        super().__init__()
        self.links = {}
        for node in cluster.nodes.values():
            link = socket.create_connection((node.host, node.ports["resp"]), 10)
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.links[node.resp] = link
        self.at = next(iter(self.links))
        self.request = b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$1\r\nv\r\n" % (len(key), key.encode())
        self.moments, self.stopped = [], False

    def run(self):
        while not self.stopped:
            link = self.links[self.at]
            link.sendall(self.request)
            reply = b""
            while not reply.endswith(b"\r\n"):
                reply += link.recv(4096)
            if reply == b"+OK\r\n":
                self.moments.append(time.monotonic())
            elif reply.startswith(b"-MOVED "):
                self.at = reply.decode().split()[2]

    def end(self):
        self.stopped = True
        self.join(PATIENCE_S)
        for link in self.links.values():
            link.close()


def switch_overs(rounds):
    pauses = []
    with Cluster(shards=64).start() as c:
        time.sleep(3)  # primaries go where they are wanted
        writer = Writer(c, c.key_of(0))
        writer.start()
        try:
            for _ in range(rounds):
                time.sleep(1)
                shard = c.status()["shards"][0]
                to = next(n for n in shard["isr"] if n != shard["primary"])
                began = time.monotonic()
                c.operate("switchover", "--shard", 0, "--to", to)
                time.sleep(0.5)
                around = [m for m in writer.moments if began - 0.1 <= m]
                pauses.append(1000 * max(b - a for a, b in zip(around, around[1:])))
        finally:
            writer.end()
    figure("planned switch-over: longest pause of one key's writes", "ms", pauses, 50, at_most=True)


def rate(c, level, seconds, threads, depth):
    """Answers a second, and CPU microseconds of all nodes for each."""
    words = [TOOLS / "cluster_load", "--shards", c.shards, "--level", level, "--rate", seconds, "--threads", threads, "--depth", depth]
    for node in c.nodes.values():
        words += ["--node", node.resp]
    child = subprocess.Popen([str(w) for w in words], stdout=subprocess.PIPE, text=True)
    cpu = {}
    try:
        for line in child.stdout:
            if line.startswith("measur"):
                cpu[line.strip()] = sum(n.cpu_s() for n in c.nodes.values())
            else:
                got = json.loads(line)
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    return got["per_s"], 1e6 * (cpu["measured"] - cpu["measuring"]) / max(1, got["answered"])


class Alone(Cluster):
    """One warpd without a cluster."""

    def start(self):
        node = self.nodes[1]
        port_file = self.root / "ports.json"
        node.process = harness.Process(self, node.place, [harness.WARPD, "--storage.folder", node.folder, "--storage.shards", self.shards, "--resp.listen",
                                                          node.resp, "--rpc.listen", node.rpc, "--http.listen", f"{node.host}:{node.ports['http']}",
                                                          "--port-file", port_file], node.log_path)
        harness.eventually("the node gets ready", port_file.exists)
        return self


# Connections, and how many SETs each has under way: the first is what redis-benchmark does by default.
LOADS = {(50, 1): "50 connections of 1", (12, 64): "12 connections of 64", (48, 64): "48 connections of 64"}


def throughput(rounds, seconds):
    figures = {}
    for _ in range(rounds):
        with Alone(nodes=1, shards=64).start() as c:
            for level in ("sync", "async"):
                for load in LOADS:
                    figures.setdefault((level, load), []).append(rate(c, level, seconds, *load))
        for level in ("durable", "replicated"):
            with Cluster(shards=64, level=level).start() as c:
                time.sleep(3)
                for load in LOADS:
                    figures.setdefault((level, load), []).append(rate(c, level, seconds, *load))

    def column(level, load, number):
        return [run[number] for run in figures[level, load]]
    for load, name in LOADS.items():
        for level, what in (("sync", "one node, sync"), ("durable", "three nodes, durable"), ("async", "one node, async"),
                            ("replicated", "three nodes, replicated")):
            figure(f"{what}: SET of 100 B, {name}", "k/s", [x / 1000 for x in column(level, load, 0)])
        for many, one, bar in (("durable", "sync", 35), ("replicated", "async", 40)):
            shares = [100 * a / b for a, b in zip(column(many, load, 0), column(one, load, 0))]
            figure(f"{many} of three nodes / {one} of one, {name}", "%", shares, bar)
        for level, what in (("sync", "one node, sync"), ("async", "one node, async"), ("durable", "three nodes together, durable"),
                            ("replicated", "three nodes together, replicated")):
            figure(f"{what}: CPU for each SET, {name}", "us", column(level, load, 1))


class ValkeyCopies:
    """A Valkey primary with two replicas, their append-only files synced every second: what it has nearest to three copies."""

    def __init__(self, folder):
        self.net, self.children = Loopback(), []
        self.ports = [self.net.port(6379) for _ in range(3)]
        for i, port in enumerate(self.ports):
            home = pathlib.Path(folder, str(i))
            home.mkdir(parents=True)
            words = ["valkey-server", "--port", port, "--bind", "127.0.0.1", "--dir", home, "--save", "", "--appendonly", "yes", "--logfile", home / "log"]
            words += ["--replicaof", "127.0.0.1", self.ports[0]] if i else []
            self.children.append(subprocess.Popen([str(w) for w in words], start_new_session=True))
        harness.eventually("two replicas are in step", lambda: self.ask("info", "replication").count("state=online") == 2)

    def ask(self, *words):
        return subprocess.run(["valkey-cli", "-p", str(self.ports[0]), *words], capture_output=True, text=True).stdout

    def stop(self):
        for child in self.children:
            os.killpg(child.pid, signal.SIGKILL)  # and who writes its files for it
            child.wait()
        self.net.close()


def benchmark_sets(host, port, seconds, *more):
    """SETs a second that valkey-benchmark makes, about as long."""
    rate = 200_000
    for _ in range(2):
        words = ["valkey-benchmark", "-h", host, "-p", port, "-c", 48, "-P", 64, "-d", 100, "-r", 300_000, "-t", "set", "--csv", "-n", int(rate * seconds), *more]
        said = subprocess.run([str(w) for w in words], capture_output=True, text=True).stdout
        rate = float(next(line for line in said.splitlines() if line.startswith('"SET"')).split(",")[1].strip('"'))
    return rate


def beside_valkey(rounds, seconds):
    if not shutil.which("valkey-server"):
        print("valkey-server is not installed (deploy/setup --bench): nothing to compare with")
        return
    ours, theirs = [], []
    for _ in range(rounds):
        with Cluster(shards=64, level="replicated").start() as c:
            time.sleep(3)
            node = c.nodes[1]
            ours.append(benchmark_sets(node.host, node.ports["resp"], seconds, "--cluster"))
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            valkey = ValkeyCopies(folder)
            try:
                theirs.append(benchmark_sets("127.0.0.1", valkey.ports[0], seconds))
            finally:
                valkey.stop()
    figure("three nodes, replicated: every SET is on all three when answered", "k/s", [x / 1000 for x in ours])
    figure("Valkey, two replicas: no SET waits for them", "k/s", [x / 1000 for x in theirs])
    figure("ratio", "x", [a / b for a, b in zip(ours, theirs)])


def main():
    parser = argparse.ArgumentParser(prog="tests/bench/run cluster")
    parser.add_argument("--quick", action="store_true", help="one round of each")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement of throughput")
    parser.add_argument("--only", default="", help="kill, partition, switchover, throughput or valkey")
    parser.add_argument("--json", help="writes the figures for programs")
    given = parser.parse_args()
    rounds, seconds = (1, 2) if given.quick else (given.rounds, given.seconds)
    why = harness.enter()
    print(hardware())
    print(f"three nodes and etcd on one machine and one disk, 64 shards, RF 3, min_isr 2; {rounds} rounds; of times the longest counts")
    if given.only in ("", "kill", "partition"):
        title("faults, with 12 clients that read and write")
    if given.only in ("", "kill"):
        kills(rounds)
    if given.only in ("", "partition"):
        partitions(rounds, why)
    if given.only in ("", "switchover"):
        switch_overs(2 * rounds)
    if given.only in ("", "throughput"):
        title("throughput, clients and nodes on the same cores")
        throughput(rounds, seconds)
    if given.only in ("", "valkey"):
        title("valkey-benchmark, 48 connections of 64, SET of 100 B")
        beside_valkey(rounds, seconds)
    if given.json:
        pathlib.Path(given.json).write_text(json.dumps({"name": "cluster", "figures": rows}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
