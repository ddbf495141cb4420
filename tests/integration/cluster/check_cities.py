"""The sample data in a cluster that loses a primary while it loads: check_cities.py FILE (NDJSON in zstd). Every value is compared with the
file while the node is away, and again when it is back. Exit code 1 on any difference."""
import json
import pathlib
import socket
import subprocess
import sys
import time

from harness import WARP, Cluster, Failed, clean_environment, slot_of

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "deploy"))
from verify_cities import read_file  # noqa: E402


def stored(text):
    """The bytes that a value of the file is stored as."""
    return json.loads(text).encode() if text.startswith('"') else text.encode()


class Reader:
    """Replies of one node's RESP port."""

    def __init__(self, node):
        self.socket = socket.create_connection((node.host, node.ports["resp"]), 10)
        self.file = self.socket.makefile("rb")

    def values(self, keys):
        self.socket.sendall(b"".join(b"*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n" % (len(k), k) for k in (key.encode() for key in keys)))
        for _ in keys:
            head = self.file.readline()
            if head[:1] != b"$":
                yield head
                continue
            size = int(head[1:])
            yield None if size < 0 else self.file.read(size + 2)[:-2]

    def close(self):
        self.file.close()
        self.socket.close()


def is_redirect(reply):
    return reply is not None and reply.startswith((b"-MOVED", b"-TRYAGAIN", b"-CLUSTERDOWN"))


def ask_around(cluster, number, key):
    """The value of a key whose shard is being handed over: the way that a client goes, for ten seconds at most."""
    node, until = cluster.nodes[number], time.monotonic() + 10
    while time.monotonic() < until:
        reader = Reader(node)
        found = next(reader.values([key]))
        reader.close()
        if not is_redirect(found):
            return found
        if found.startswith(b"-MOVED"):
            at = found.split()[2].decode()
            node = next(n for n in cluster.nodes.values() if n.resp == at)
        else:
            time.sleep(0.01)
    return found


def compare(cluster, expected):
    """Reads every key where the status says that it is; returns how many were not as in the file."""
    places = [shard["primary"] for shard in cluster.status()["shards"]]
    by_node = {}
    for key in expected:
        by_node.setdefault(places[slot_of(key) * len(places) // 16384], []).append(key)
    differences = 0
    for number, keys in by_node.items():
        reader = Reader(cluster.nodes[number])
        for at in range(0, len(keys), 1000):
            some = keys[at:at + 1000]
            for key, found in zip(some, reader.values(some)):
                if found == stored(expected[key]):
                    continue
                if not is_redirect(found) or ask_around(cluster, number, key) != stored(expected[key]):
                    differences += 1
                    if differences <= 20:
                        print(f" DIFFERENT  {key}: found {str(found)[:200]}", flush=True)
        reader.close()
    return differences


def say(text):
    print(f" ok  {text}", flush=True)


def main(path):
    expected = read_file(path)
    with Cluster(shards=64).start() as c:
        say("etcd and three nodes on loopback, 64 shards with three copies each")
        print("\n".join(c.operate("status").splitlines()[:5]), flush=True)
        loader = subprocess.Popen([str(WARP), "-s", ",".join(n.rpc for n in c.nodes.values()), "--deadline", "60s", "load", "--durability", "durable",
                                   path], env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            time.sleep(0.5)
            victim = c.busiest()
            under_way = loader.poll() is None
            victim.kill()
            said, _ = loader.communicate(timeout=120)
        finally:
            loader.kill()
            loader.wait()
        if loader.returncode != 0:
            raise Failed(f"warp load: exit code {loader.returncode}: {said[-2000:]}")
        say(f"{said.strip().splitlines()[-1].strip()}; node {victim.number} was killed {'meanwhile' if under_way else 'when it was done'}")
        c.wait_whole(rf=2)
        differences = compare(c, expected)
        if differences:
            raise Failed(f"{differences} of {len(expected)} values differ after the kill")
        say(f"{len(expected):,} values, all as in the file, with node {victim.number} away")
        victim.start()
        took = c.wait_whole()
        differences = compare(c, expected)
        if differences:
            raise Failed(f"{differences} of {len(expected)} values differ when the node is back")
        say(f"node {victim.number} is back, {took:.1f} s later every shard has three copies in sync; all values as in the file")
        print("\n".join(c.operate("status").splitlines()[:5]), flush=True)
    say("stopped and cleaned up")
    return 0


if __name__ == "__main__":
    try:
        code = main(sys.argv[1])
    except Failed as problem:
        print(f" --  {problem}")
        code = 1
    print(f"deploy/cluster --check: {'passed' if code == 0 else 'FAILED'}")
    sys.exit(code)
