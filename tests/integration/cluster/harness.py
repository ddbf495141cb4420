"""A real cluster for tests: etcd and warpd in processes of their own, on loopback or in network namespaces, clients that write down what
they hear, and everything that can be done to them. What is started here is ended here, by its pid, whatever happens."""
import json
import mmap
import os
import pathlib
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

BUILD = pathlib.Path(os.environ["TEST_BUILD"])
PROGRAMS, TOOLS = BUILD / "cluster" / "programs", BUILD / "tests" / "integration" / "cluster"
WARPD, WARP = PROGRAMS / "warpd", PROGRAMS / "warp"
# Generous: a sanitized build on a busy machine is slow, and nothing passes because of a limit.
PATIENCE_S = 120
NAME = "demo"


class Failed(Exception):
    """A scenario did not hold what is promised."""


class Skipped(Exception):
    """This machine cannot do it."""


def eventually(what, condition, patience=PATIENCE_S, every=0.1):
    """Waits until condition() is true, and returns what it returned."""
    end = time.monotonic() + patience
    while True:
        got = condition()
        if got:
            return got
        if time.monotonic() > end:
            raise Failed(f"not within {patience} s: {what() if callable(what) else what}")
        time.sleep(every)


def clean_environment(**more):
    return {**{k: v for k, v in os.environ.items() if not k.startswith(("WARP_", "ETCD_"))}, **more}


class Loopback:
    """Everybody is 127.0.0.1, with ports of their own; nothing can be cut."""
    cuts = False

    def __init__(self):
        self.held = []

    def add(self, name):
        pass

    def host(self, name):
        return "127.0.0.1"

    def port(self, number):
        """Below those that the kernel gives to whoever asks for any, so that it is still free when a process comes back. Tests that run at
        the same time hold theirs by a socket that bears the number in its name."""
        while True:
            port = random.randrange(10_000, 32_000)
            held = socket.socket(socket.AF_UNIX)
            try:
                held.bind(f"\0warpengine test port {port}")
                with socket.socket() as s:
                    s.bind(("127.0.0.1", port))
            except OSError:
                held.close()
                continue
            self.held.append(held)
            return port

    def inside(self, name, words):
        return words

    def close(self):
        for held in self.held:
            held.close()


class Namespaces:
    """Each has a network namespace and an address of its own, on one bridge; the clients are at the bridge. A link is cut in one direction by
    a wrong neighbour address, so that packets go nowhere and nobody is told. Only in a namespace of the runner's own (see enter())."""
    cuts = True
    NOWHERE = "02:00:00:00:00:99"

    def __init__(self):
        self.places = {}
        self.run("ip", "link", "add", "warp0", "type", "bridge")
        self.run("ip", "link", "set", "warp0", "up")
        self.run("ip", "addr", "add", "10.77.0.254/24", "dev", "warp0")

    @staticmethod
    def run(*words):
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(f"{' '.join(words)}: {done.stderr.strip()}")

    def add(self, name):
        if name in self.places:
            return
        number = len(self.places) + 1
        self.places[name] = f"10.77.0.{number}"
        self.run("ip", "netns", "add", name)
        self.run("ip", "link", "add", f"v-{name}", "type", "veth", "peer", "name", "eth0", "netns", name)
        self.run("ip", "link", "set", f"v-{name}", "master", "warp0", "up")
        self.run("ip", "-n", name, "link", "set", "lo", "up")
        self.run("ip", "-n", name, "link", "set", "eth0", "up")
        self.run("ip", "-n", name, "addr", "add", f"{self.places[name]}/24", "dev", "eth0")

    def host(self, name):
        return self.places[name]

    def port(self, number):
        return number

    def inside(self, name, words):
        return ["ip", "netns", "exec", name, *words]

    def cut(self, a, b):
        """What a sends to b is lost."""
        self.run("ip", "-n", a, "neigh", "replace", self.places[b], "lladdr", self.NOWHERE, "dev", "eth0", "nud", "permanent")

    def heal(self, a, b):
        subprocess.run(["ip", "-n", a, "neigh", "del", self.places[b], "dev", "eth0"], capture_output=True)

    def isolate(self, name, *but):
        """In both directions, from everybody but those; clients still reach it."""
        for other in self.places:
            if other != name and other not in but:
                self.cut(name, other)
                self.cut(other, name)

    def narrow(self, name, mbit):
        """So much a second reaches it, from everybody together; 0: as much as there is."""
        device = f"v-{name}"
        if mbit:
            if not shutil.which("tc"):
                raise Skipped("no 'tc' (package iproute2)")
            self.run("tc", "qdisc", "replace", "dev", device, "root", "tbf", "rate", f"{mbit}mbit", "burst", "64kb", "latency", "400ms")
        else:
            self.run("tc", "qdisc", "del", "dev", device, "root")

    def heal_all(self):
        for a in self.places:
            for b in self.places:
                if a != b:
                    self.heal(a, b)

    def close(self):
        for name in self.places:
            subprocess.run(["ip", "link", "del", f"v-{name}"], capture_output=True)
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
        subprocess.run(["ip", "link", "del", "warp0"], capture_output=True)


def enter():
    """Starts this program again in namespaces of its own, for networks, mounts and processes, which vanish with it. Returns the reason where
    the machine does not let it; returns None inside of them."""
    if os.environ.get("WARP_TEST_NAMESPACES"):
        return None
    setup = "mount -t tmpfs none /run && mkdir /run/netns && ip link set lo up"
    probe = f"{setup} && ip netns add a && ip link add warp0 type bridge && ip link add v type veth peer name w netns a"
    why = "no 'ip' (package iproute2) or no 'unshare'"
    if shutil.which("ip") and shutil.which("unshare"):
        for rights in ([], ["--user", "--map-root-user"]):
            words = ["unshare", *rights, "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c"]
            done = subprocess.run([*words, probe], capture_output=True, text=True)
            if done.returncode == 0:
                sys.stdout.flush()
                os.environ["WARP_TEST_NAMESPACES"] = "1"
                os.execvp("unshare", [*words, f'{setup} && exec "$0" "$@"', sys.executable, "-B", *sys.argv])
            why = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "not permitted"
    return why


class Process:
    """A child in a place of the network."""

    def __init__(self, cluster, place, words, log, environment=None):
        self.log_path = log
        with open(log, "ab") as out:
            self.child = subprocess.Popen(cluster.net.inside(place, [str(w) for w in words]), stdout=out, stderr=subprocess.STDOUT,
                                          stdin=subprocess.DEVNULL, cwd=cluster.root, env=clean_environment(**(environment or {})))

    @property
    def runs(self):
        return self.child.poll() is None

    def signal(self, number):
        self.child.send_signal(number)

    def kill(self):
        """SIGKILL, and waits; the moment (ns of the steady clock) at which it was sent."""
        at = time.monotonic_ns()
        if self.runs:
            self.child.kill()
        self.child.wait(PATIENCE_S)
        return at

    def stop(self):
        """SIGTERM; the exit code."""
        self.signal(signal.SIGTERM)
        return self.child.wait(PATIENCE_S)

    def log(self):
        return pathlib.Path(self.log_path).read_text(errors="replace")


class Etcd:
    """One member; its data outlives its process."""

    def __init__(self, cluster):
        self.cluster, self.process = cluster, None
        cluster.net.add("etcd")
        host = cluster.net.host("etcd")
        self.url = f"http://{host}:{cluster.net.port(2379)}"
        self.peer = f"http://{host}:{cluster.net.port(2380)}"

    def start(self):
        self.process = Process(self.cluster, "etcd", [
            "etcd", "--name=test", f"--data-dir={self.cluster.root / 'etcd'}", f"--listen-client-urls={self.url}",
            f"--advertise-client-urls={self.url}", f"--listen-peer-urls={self.peer}", f"--initial-advertise-peer-urls={self.peer}",
            f"--initial-cluster=test={self.peer}", "--heartbeat-interval=50", "--election-timeout=500", "--logger=zap"],
            self.cluster.root / "etcd.log")

        def ready():
            if not self.process.runs:
                raise Failed("etcd does not start (is etcd-server installed?):\n" + self.process.log()[-2000:])
            return self.answers()
        eventually("etcd answers", ready)

    def answers(self):
        return subprocess.run(["curl", "-sf", "-m", "2", f"{self.url}/health"], capture_output=True).returncode == 0

    def call(self, what, body):
        done = subprocess.run(["curl", "-sf", "-m", "10", f"{self.url}/v3/{what}", "-d", json.dumps(body)], capture_output=True)
        if done.returncode != 0:
            raise Failed(f"etcd does not answer {what}")
        return json.loads(done.stdout)


class FaultFile:
    """What fault_shim.cpp reads: four numbers, changed while the process runs."""

    def __init__(self, path):
        path.write_bytes(bytes(32))
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 32)
        self.path = path

    def set(self, place, value):
        self.memory[8 * place:8 * place + 8] = struct.pack("<q", value)

    def delay_us(self, us):
        self.set(0, us)

    def full(self, is_full):
        self.set(1, int(is_full))

    def fast_ppm(self, ppm):
        self.set(2, ppm)

    def wall_ahead_s(self, seconds):
        self.set(3, seconds)


class Node:
    """A warpd of the cluster; its data folder outlives its process."""

    def __init__(self, cluster, number):
        self.cluster, self.number, self.place, self.process = cluster, number, f"n{number}", None
        cluster.net.add(self.place)
        self.host = cluster.net.host(self.place)
        self.ports = {name: cluster.net.port(at) for name, at in
                      (("resp", 7379), ("rpc", 7400), ("links", 7401), ("checkpoints", 7402), ("http", 7480))}
        self.folder = cluster.root / f"node{number}"
        self.faults = FaultFile(cluster.root / f"faults{number}")
        self.log_path = cluster.root / f"node{number}.log"

    @property
    def resp(self):
        return f"{self.host}:{self.ports['resp']}"

    @property
    def rpc(self):
        return f"{self.host}:{self.ports['rpc']}"

    def words(self, *more):
        c = self.cluster
        given = {"--storage.folder": self.folder, "--cluster.name": c.name, "--cluster.node": self.number, "--cluster.etcd": c.etcd.url,
                 "--cluster.listen": f"{self.host}:{self.ports['links']}", "--cluster.checkpoints": f"{self.host}:{self.ports['checkpoints']}",
                 "--resp.listen": self.resp, "--rpc.listen": self.rpc, "--http.listen": f"{self.host}:{self.ports['http']}",
                 "--storage.shards": c.shards, **c.flags}
        words = [WARPD]
        for flag, value in given.items():
            words += [flag, value]
        return words + (["--insecure"] if c.net.cuts else []) + list(more)

    def start(self, *more, shim=False, wait=True):
        port_file = self.cluster.root / f"ports{self.number}.json"
        port_file.unlink(missing_ok=True)
        environment = {}
        if shim:
            environment = {"LD_PRELOAD": str(TOOLS / "libfault_shim.so"), "FAULT_SHIM_CONTROL": str(self.faults.path)}
        self.process = Process(self.cluster, self.place, self.words("--port-file", port_file, *more), self.log_path, environment)
        if wait:
            def ready():
                if not self.process.runs:
                    raise Failed(f"node {self.number} ended with {self.process.child.returncode}:\n{self.process.log()[-2000:]}")
                return port_file.exists()
            eventually(f"node {self.number} gets ready", ready, every=0.02)
        return self

    def kill(self):
        return self.process.kill()

    def stop(self):
        return self.process.stop()

    def pause(self):
        self.process.signal(signal.SIGSTOP)
        return time.monotonic_ns()

    def resume(self):
        self.process.signal(signal.SIGCONT)

    def wipe(self):
        shutil.rmtree(self.folder)

    def ask(self, *words, silence=5):
        """One reply of the RESP port, without its line end; None where none comes."""
        try:
            with socket.create_connection((self.host, self.ports["resp"]), silence) as s:
                s.settimeout(silence)
                s.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in (str(x).encode() for x in words)))
                got = b""
                while not got.endswith(b"\r\n") or (got[:1] == b"$" and got[:2] != b"$-" and got.count(b"\r\n") < 2):
                    more = s.recv(65536)
                    if not more:
                        return None
                    got += more
                return got.decode(errors="replace").strip()
        except OSError:
            return None

    def cpu_s(self):
        """User and system seconds of the process."""
        text = pathlib.Path(f"/proc/{self.process.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(text[11]) + int(text[12])) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self, most=False):
        """Of the process now, or the most it ever had."""
        text = pathlib.Path(f"/proc/{self.process.child.pid}/status").read_text()
        return 1024 * int(next(line.split()[1] for line in text.splitlines() if line.startswith("VmHWM:" if most else "VmRSS:")))

    def is_sanitized(self):
        """Such a build's memory says nothing of the others."""
        return "san.so" in pathlib.Path(f"/proc/{self.process.child.pid}/maps").read_text()

    def metrics(self):
        """All of one scrape: by name a list of (labels, value)."""
        done = subprocess.run(["curl", "-s", "-m", "5", f"http://{self.host}:{self.ports['http']}/metrics"], capture_output=True, text=True)
        found = {}
        for row in done.stdout.splitlines():
            if not row.startswith("#") and row:
                head, value = row.rsplit(" ", 1)
                name, _, labels = head.partition("{")
                found.setdefault(name, []).append((labels.rstrip("}"), float(value)))
        return found

    def metric(self, name):
        """Sum over the labels of a metric."""
        return sum(value for _, value in self.metrics().get(name, []))


class Cluster:
    """etcd and nodes 1..n in a folder of their own; a context manager that leaves nothing behind."""

    def __init__(self, nodes=3, rf=3, min_isr=2, shards=16, level="durable", net=None, name=NAME, flags=None):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="warp-cluster-"))
        self.name, self.rf, self.min_isr, self.shards, self.level = name, rf, min_isr, shards, level
        self.flags = flags or {}
        self.loads, self.nodes = [], {}
        self.net = (net or Loopback)()
        try:
            self.etcd = Etcd(self)
            for number in range(1, nodes + 1):
                self.nodes[number] = Node(self, number)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None and kind is not Skipped:
            self.tell()
        self.close()

    def close(self):
        for load in self.loads:
            load.end()
        for part in [*self.nodes.values(), getattr(self, "etcd", None)]:
            if part is not None and part.process is not None:
                part.process.kill()
        self.net.close()
        shutil.rmtree(self.root, ignore_errors=True)

    def tell(self):
        """What the parts have said last, for whoever looks at a failure."""
        try:
            print(self.tool("cluster", "status", check=False)[-1500:])
        except Exception as problem:
            print(f"(no status: {problem})")
        for node in self.nodes.values():
            if node.log_path.exists():
                lines = node.log_path.read_text(errors="replace").splitlines()
                print(f"-- node {node.number}, the last of {len(lines)} lines:\n   " + "\n   ".join(line[:300] for line in lines[-12:]))

    # -- the whole ------------------------------------------------------------------------------------------------------

    def start(self, shim=()):
        """etcd, the cluster's facts, and all nodes; returns when every shard is whole."""
        self.etcd.start()
        self.init(sorted(self.nodes))
        for node in self.nodes.values():
            node.start(shim=node.number in shim, wait=False)
        self.wait_whole()
        return self

    def init(self, nodes):
        self.operate("init", "--nodes", ",".join(str(n) for n in nodes), "--shards", self.shards, "--rf", self.rf, "--min-isr", self.min_isr,
                     "--level", self.level)

    def tool(self, *words, check=True):
        done = subprocess.run([str(WARP), *[str(w) for w in words], "--etcd", self.etcd.url, "--name", self.name], capture_output=True, text=True,
                              timeout=PATIENCE_S, cwd=self.root, env=clean_environment())
        if check and done.returncode != 0:
            raise Failed(f"warp {' '.join(str(w) for w in words)}: exit code {done.returncode}: {done.stderr.strip()}")
        return done.stdout + ("" if check else done.stderr)

    def operate(self, *words):
        return self.tool("cluster", *words)

    def status(self):
        return json.loads(self.tool("--json", "cluster", "status"))

    def why_not_whole(self, rf=None, nodes=None):
        """Empty: every shard has a live primary and `rf` members in sync, all of `nodes` where they are named."""
        for node in self.nodes.values():
            if node.process and not node.process.runs and node.process.child.returncode not in (0, -signal.SIGKILL):
                raise Failed(f"node {node.number} ended with {node.process.child.returncode}:\n{node.process.log()[-2000:]}")
        try:
            now = self.status()
        except Failed as problem:
            return str(problem)
        live = {n["node"] for n in now["nodes"] if n["live"]}
        rf = self.rf if rf is None else rf
        for shard in now["shards"]:
            isr = shard["isr"]
            if shard["epoch"] == 0 or shard["primary"] not in live or len(isr) != rf or not set(isr) <= (nodes or live):
                return f"{shard}, of live {sorted(live)}"
        return ""

    def wait_whole(self, rf=None, nodes=None, patience=PATIENCE_S):
        """Seconds that it took."""
        began = time.monotonic()
        eventually(lambda: "the cluster is whole: " + self.why_not_whole(rf, nodes), lambda: not self.why_not_whole(rf, nodes), patience, 0.2)
        return time.monotonic() - began

    def primaries(self):
        """By node, its shards."""
        held = {number: [] for number in self.nodes}
        for shard in self.status()["shards"]:
            held.setdefault(shard["primary"], []).append(shard["shard"])
        return held

    def busiest(self):
        """The node that is primary of most shards."""
        held = self.primaries()
        return self.nodes[max(held, key=lambda n: len(held[n]))]

    def load(self, **options):
        return Load(self, **options)

    def key_of(self, shard):
        """Some key that the shard holds."""
        for n in range(100_000):
            key = f"key{n}"
            if slot_of(key) * self.shards // 16384 == shard:
                return key
        raise AssertionError("no key")


def slot_of(key):
    crc = 0
    for byte in key.encode():
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc % 16384


class Load:
    """Clients that write down what they hear (cluster_load.cpp), from now until done()."""
    number = 0

    def __init__(self, cluster, threads=8, pause_us=300, **options):
        Load.number += 1
        self.cluster = cluster
        self.history, self.acknowledged = cluster.root / f"history{Load.number}", cluster.root / f"acknowledged{Load.number}"
        words = ["--history", self.history, "--acknowledged", self.acknowledged, "--threads", threads, "--pause-us", pause_us,
                 "--number", Load.number, "--seed", Load.number]
        for name, value in options.items():
            words += [f"--{name.replace('_', '-')}", value]
        self.child = subprocess.Popen([str(w) for w in [TOOLS / "cluster_load", *self.client(cluster), *words]], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)
        cluster.loads.append(self)
        self.summary = None

    @staticmethod
    def client(cluster):
        words = ["--shards", cluster.shards]
        for node in cluster.nodes.values():
            words += ["--node", node.resp]
        return words

    def end(self):
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        self.child.stdin.close()
        self.child.stdout.close()

    def stop(self):
        """Ends the clients; their summary."""
        if self.summary is None:
            try:
                out, _ = self.child.communicate(timeout=PATIENCE_S)
            finally:
                self.end()
            if self.child.returncode != 0:
                raise Failed(f"cluster_load ended with {self.child.returncode}")
            self.summary = json.loads(out)
        return self.summary

    def judge(self):
        """Stops; every acknowledged write must be there and the history linearizable, all histories of this cluster together."""
        summary = self.stop()
        if summary["acknowledged"] == 0:
            raise Failed(f"nothing was acknowledged: {summary}")
        done = subprocess.run([str(w) for w in [TOOLS / "cluster_load", *self.client(self.cluster), "--verify", self.acknowledged, "--patience-ms",
                                                20000]], capture_output=True, text=True, timeout=PATIENCE_S)
        if done.returncode != 0:
            raise Failed(done.stdout[-3000:])
        judged = subprocess.run([str(TOOLS / "history_check"), *[str(x.history) for x in self.cluster.loads if x.summary]],
                                capture_output=True, text=True, timeout=10 * PATIENCE_S)
        if judged.returncode != 0:
            raise Failed(judged.stdout[-4000:] + judged.stderr[-1000:])
        return {**summary, "judged": judged.stdout.strip()}

    def calls(self):
        """What was heard, one dict a call; only once it has stopped."""
        with open(self.history, encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def writes_between(self, begin_ns, end_ns):
        """How many writes began and were acknowledged between two moments."""
        return sum(c["outcome"] == "ok" and c["call"] != "get" and begin_ns <= c["began"] and c["ended"] <= end_ns for c in self.calls())

    def waits(self, at_ns, longer_s=1.0):
        """Calls that took long, for whoever looks for the reason: their times are seconds after a moment."""
        return sorted((round((c["began"] - at_ns) / 1e9, 2), round((c["ended"] - at_ns) / 1e9, 2), c["key"], c["call"], c["outcome"])
                      for c in self.calls() if c["outcome"] != "unknown" and c["ended"] - c["began"] > longer_s * 1e9)

    def resumed_s(self, at_ns, within_s=3):
        """How long after a moment the last of the calls that had to wait for a quarter of a second or more was answered, of those that began
        soon after it: from then on all were served again."""
        ends = [c["ended"] - at_ns for c in self.calls() if c["outcome"] not in ("unknown", "refused") and
                at_ns < c["ended"] and c["began"] < at_ns + within_s * 1e9 and c["ended"] - max(c["began"], at_ns) > 0.25e9]
        return max(ends, default=0) / 1e9


class Flood:
    """Clients that write as much as is taken, in long pipelines, and do not remember any of it; from now until end()."""
    summary = None

    def __init__(self, cluster, threads=8, depth=8192, value=400):
        words = ["--rate", 3600, "--threads", threads, "--depth", depth, "--value", value]
        self.child = subprocess.Popen([str(w) for w in [TOOLS / "cluster_load", *Load.client(cluster), *words]], stdin=subprocess.DEVNULL,
                                      stdout=subprocess.DEVNULL)
        cluster.loads.append(self)

    def end(self):
        self.child.kill()
        self.child.wait()
