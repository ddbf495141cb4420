"""Sends the same commands to redis-server and to warpd and compares what they answer, reply by reply, then all keys."""
import argparse
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from resp_wire import Connection, Error, Push, Simple  # noqa: E402

PATIENCE_S = 60


class Server:
    def __init__(self, folder, name, words, port):
        self.name, self.port = name, port
        self.log = open(folder / f"{name}.log", "wb")
        self.process = subprocess.Popen(words, stdout=self.log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=folder)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port, process):
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit("a server did not start")
            time.sleep(0.02)


def start_redis(folder):
    port = free_port()
    server = Server(folder, "redis", ["redis-server", "--port", str(port), "--save", "", "--appendonly", "no", "--databases", "1", "--enable-debug-command", "yes", "--dir",
                                      str(folder)], port)
    wait_for(port, server.process)
    return server


def start_warp(folder, program, *flags):
    ports = folder / "ports.json"
    words = [program, "--rpc.listen", "127.0.0.1:0", "--resp.listen", "127.0.0.1:0", "--http.listen", "127.0.0.1:0", "--storage.folder",
             str(folder / "data"), "--port-file", str(ports), *flags]
    server = Server(folder, "warpd", words, 0)
    end = time.monotonic() + PATIENCE_S
    while not ports.exists():
        if server.process.poll() is not None or time.monotonic() > end:
            raise SystemExit("warpd did not start:\n" + (folder / "warpd.log").read_text())
        time.sleep(0.02)
    server.port = json.loads(ports.read_text())["resp"]
    return server


# -- what may differ -----------------------------------------------------------------------------------------------------------

def is_near(a, b, by):
    return isinstance(a, int) and isinstance(b, int) and (a == b or (a > 0 and b > 0 and abs(a - b) <= by))


def is_null(reply):
    return reply is None or reply == ("null",)


def same(words, a, b):
    """Are the replies to a command as like as they can be?"""
    if a == b and type(a) is type(b):
        return True
    if isinstance(a, Error) or isinstance(b, Error):
        return False
    name = word(words[0])
    if name == "ttl":
        return is_near(a, b, 2)
    if name == "pttl":
        return is_near(a, b, 3000)
    if name == "expiretime":
        return is_near(a, b, 2)
    if name == "pexpiretime":
        return is_near(a, b, 3000)
    if name == "keys":
        return sorted(a) == sorted(b)
    if name == "randomkey":
        return is_null(a) == is_null(b)
    if name == "memory" and isinstance(a, int) and is_null(b):
        return True  # it finds keys that have expired and that Redis has not come round to yet
    if name in ("memory", "object"):
        return is_null(a) == is_null(b) and type(a) is type(b)
    # The order of fields is Redis's own above the listpack's limits, and ours above those of a packed hash.
    if name in ("hkeys", "hvals"):
        return isinstance(a, list) and isinstance(b, list) and sorted(a) == sorted(b)
    if name == "hrandfield":
        return same_draw(words, a, b)
    if name == "hgetall":
        return type(a) is type(b) and fields_of(a) == fields_of(b)
    if name == "hscan":
        if not isinstance(a, list) or not isinstance(b, list):
            return False
        # One that comes in pieces is compared when all keys are.
        return a[0] != b"0" or b[0] != b"0" or len(words) > 3 or fields_of(a[1]) == fields_of(b[1])
    if name in ("time", "info", "lastsave", "command", "scan", "role"):
        return type(a) is type(b)
    if name == "client":
        return type(a) is type(b) and (not isinstance(a, Simple) or a == b)
    if name == "hello":
        return type(a) is type(b) and len(a) == len(b)
    if name == "config" and isinstance(a, (list, tuple)):
        return type(a) is type(b)
    if name in ("cluster", "acl", "slowlog", "latency", "pubsub"):
        return type(a) is type(b)
    if name == "exec" and isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b)  # the caller compares the parts, whose commands it knows
    return False


def same_draw(words, a, b):
    """Of HRANDFIELD: which fields come is left to chance, unless all of them are asked for."""
    if not isinstance(a, list) or not isinstance(b, list) or len(a) != len(b):
        return type(a) is type(b) and not isinstance(a, list)
    in_pairs = all(isinstance(x, list) and len(x) == 2 for x in a)
    if in_pairs != all(isinstance(x, list) and len(x) == 2 for x in b):
        return False
    step = 2 if len(words) > 3 and not in_pairs else 1
    entries = [sorted(map(tuple, x)) if in_pairs else sorted(tuple(x[i:i + step]) for i in range(0, len(x), step)) for x in (a, b)]
    # Fewer than were asked for are all there are.
    return int(words[2]) < 0 or len(entries[0]) == int(words[2]) or entries[0] == entries[1]


def fields_of(reply):
    """Of HGETALL in either protocol, sorted."""
    if isinstance(reply, tuple):
        return sorted(reply[1])
    return sorted(zip(reply[::2], reply[1::2]))


def word(w):
    return (w.decode("latin-1") if isinstance(w, bytes) else str(w)).lower()


class Mismatch(Exception):
    pass


class Pair:
    """The same connection to both."""

    def __init__(self, redis, warp, protocol):
        self.protocol = protocol
        self.redis, self.warp = Connection(redis.port, protocol), Connection(warp.port, protocol)
        self.queued = []
        self.history = []
        self.count = 0

    def run(self, commands):
        self.redis.send(*commands)
        self.warp.send(*commands)
        for words in commands:
            a, b = self.redis.reply(), self.warp.reply()
            self.count += 1
            self.history.append(words)
            if len(self.history) > 40:
                del self.history[0]
            self.compare(words, a, b)

    def compare(self, words, a, b):
        name = word(words[0])
        if a == Simple("QUEUED"):
            self.queued.append(words)
        elif name == "exec":
            queued, self.queued = self.queued, []
            if isinstance(a, list) and isinstance(b, list) and len(a) == len(b) == len(queued):
                for inner, x, y in zip(queued, a, b):
                    if not same(inner, x, y):
                        self.differ(["EXEC of"] + inner, x, y)
                return
        elif name in ("discard", "reset"):
            self.queued = []
        if not same(words, a, b):
            self.differ(words, a, b)

    def differ(self, words, a, b):
        shown = "\n".join("  " + " ".join(repr(w)[:60] for w in h) for h in self.history[-15:])
        raise Mismatch(f"RESP{self.protocol}: {' '.join(repr(w)[:200] for w in words)}\n  redis: {a!r:.400}\n  warpd: {b!r:.400}\nafter\n{shown}")


# -- picked by hand ------------------------------------------------------------------------------------------------------------

BY_HAND = (pathlib.Path(__file__).parent / "by_hand.txt").read_text()


def split_line(line):
    import shlex
    return [w.encode() for w in shlex.split(line)]


# What RESP3 answers is asked without HELLO 2 in between, and without what tells connections apart.
def by_hand(redis, warp, protocol):
    pair = Pair(redis, warp, protocol)
    for line in BY_HAND.strip().splitlines():
        words = split_line(line)
        if protocol == 3 and words[0].upper() in (b"HELLO", b"RESET"):
            continue
        pair.run([words])
    return pair.count


def messages(redis, warp, protocol):
    """What subscribers hear, and in which order."""
    listener, speaker = Pair(redis, warp, protocol), Pair(redis, warp, 2)
    listener.run([["SUBSCRIBE", "a"], ["PSUBSCRIBE", "a*"], ["SSUBSCRIBE", "s"]])
    speaker.run([["PUBLISH", "a", "1"], ["PUBLISH", "ab", b"\x00\r\n"], ["PUBLISH", "b", "no"], ["SPUBLISH", "s", "3"], ["PUBSUB", "NUMSUB", "a", "s"],
                 ["PUBSUB", "NUMPAT"], ["PUBSUB", "CHANNELS"], ["PUBSUB", "SHARDCHANNELS"], ["MULTI"], ["PUBLISH", "a", "in"], ["EXEC"]])
    for _ in range(6):
        a, b = listener.redis.reply(), listener.warp.reply()
        if a != b or type(a) is not type(b):
            raise Mismatch(f"RESP{protocol}: a subscriber heard {a!r} from redis and {b!r} from warpd")
    listener.run([["UNSUBSCRIBE"], ["PUNSUBSCRIBE"], ["SUNSUBSCRIBE"], ["PING"]])
    if protocol == 3:  # a client that hears itself
        listener.run([["SUBSCRIBE", "me"]])
        listener.redis.send(["PUBLISH", "me", "x"])
        listener.warp.send(["PUBLISH", "me", "x"])
        for _ in range(2):
            a, b = listener.redis.reply(), listener.warp.reply()
            if a != b or type(a) is not type(b):
                raise Mismatch(f"a client that hears itself: {a!r} from redis, {b!r} from warpd")
    return speaker.count + listener.count


BROKEN = [b"*x\r\n", b"*1\r\n$x\r\n", b"*1\r\n$-1\r\n", b"*1\r\nPING\r\n", b"*2147483648\r\n", b"*1\r\n$9999999999\r\n", b"get 'a\r\n",
          b"*" + b"1" * 70000, b"*1\r\n$" + b"1" * 70000, b"x" * 70000, b"*-2\r\nPING\r\n", b"\r\n\r\nPING\r\n", b"*0\r\nPING\r\n",
          b"PING \"a\\x41b\" \r\n", b"ping 'it\\'s'\r\n", b"*1\r\n$4\r\nPING\r\n*1\r\n$-5\r\n"]


def broken(redis, warp):
    """The protocol broken: the same error, and the connection closed or not alike."""
    for bytes_sent in BROKEN:
        heard = []
        for server in (redis, warp):
            with socket.create_connection(("127.0.0.1", server.port)) as s:
                s.settimeout(PATIENCE_S)
                try:
                    s.sendall(bytes_sent)
                    s.shutdown(socket.SHUT_WR)
                except OSError:
                    pass
                got = b""
                while True:
                    try:
                        piece = s.recv(65536)
                    except ConnectionResetError:
                        break
                    if not piece:
                        break
                    got += piece
                heard.append(got)
        if heard[0] != heard[1]:
            raise Mismatch(f"after {bytes_sent[:60]!r} redis said {heard[0]!r} and warpd {heard[1]!r}")
    return len(BROKEN)


# -- at random -----------------------------------------------------------------------------------------------------------------

class Generator:
    def __init__(self, seed, protocol):
        self.random = random.Random(f"{seed} {protocol}")
        r = self.random
        self.keys = [f"key:{i}" for i in range(60)] + [f"{{tag{i % 5}}}:{i}" for i in range(30)] + [b"\x00bin\xff", "a b", "x" * 300, "{}", "{a", "k"]
        self.numbers = [0, 1, -1, 5, 10, 100, 12345, 2**31, 2**63 - 1, -2**63, 2**63, -2**63 - 1, "x", "1.5", "", " 1", "01", "-0", "+1", "1e3"]
        self.fields = ["f", "g", "field", "", b"\x00\xff", "n", *(f"f{i}" for i in range(12)), "y" * 70]
        self.words = ["NX", "XX", "GET", "EX", "PX", "KEEPTTL", "PERSIST", "EXAT", "PXAT", "GT", "LT", "100", "5000", "REPLACE", "DB", "foo"]
        del r

    def key(self):
        r = self.random
        return r.choice(self.keys) if r.random() < 0.7 else self.keys[r.randrange(12)]

    def hash_key(self):
        """Mostly one of those that are mostly hashes."""
        r = self.random
        return f"key:{r.randrange(40, 52)}" if r.random() < 0.85 else self.key()

    def field(self):
        r = self.random
        # Enough for a hash to be indexed, now and then.
        return r.choice(self.fields) if r.random() < 0.8 else f"wide{r.randrange(700)}"

    def pairs(self):
        r = self.random
        return [x for _ in range(r.choice([1, 1, 1, 2, 5, 150])) for x in (self.field(), self.value()[:200])]

    def value(self):
        r = self.random
        p = r.random()
        if p < 0.4:
            return str(r.randint(-1000, 1000))
        if p < 0.5:
            return f"{r.uniform(-1000, 1000):.{r.randint(0, 6)}f}"
        if p < 0.55:
            return ""
        if p < 0.6:
            return str(r.choice(self.numbers))
        if p < 0.95:
            return r.randbytes(r.randint(1, 60))
        return r.randbytes(r.choice([200, 1000, 4000, 20000]))

    def number(self):
        r = self.random
        return r.randint(-50, 50) if r.random() < 0.8 else r.choice(self.numbers)

    def ttl(self, unit):
        r = self.random
        p = r.random()
        if p < 0.7:
            return r.randint(5_000, 100_000) * unit
        return r.choice([0, -1, -1000, "x", 2**62, 2**63 - 1, "1.5"])

    def at(self, unit, past=()):
        r = self.random
        # Not in the past: Redis counts such a key in DBSIZE until somebody asks for it.
        return r.choice([4_000_000_000 * unit, 3_999_999_999 * unit + 1, *past, 0, -5, "x"])

    def set_options(self, also=()):
        r = self.random
        out = []
        for _ in range(r.choice([0, 0, 0, 1, 1, 2, 3])):
            p = r.random()
            if p < 0.35:
                out.append(r.choice(["NX", "XX", "GET", "KEEPTTL", *also]))
            elif p < 0.8:
                name, unit = r.choice([("EX", 1), ("PX", 1000)])
                out += [name, self.ttl(unit)]
            elif p < 0.95:
                name, unit = r.choice([("EXAT", 1), ("PXAT", 1000)])
                out += [name, self.at(unit)]
            else:
                out.append(r.choice(self.words))
        return out

    def command(self):
        r = self.random
        k, v, h, f = self.key, self.value, self.hash_key, self.field
        name = r.choice(self.NAMES)
        words = {
            "append": lambda: [k(), v()[:100]], "strlen": lambda: [k()], "get": lambda: [k()], "getdel": lambda: [k()],
            "set": lambda: [k(), v(), *self.set_options()], "getex": lambda: [k(), *self.set_options(["PERSIST"])],
            "getset": lambda: [k(), v()], "setnx": lambda: [k(), v()], "setex": lambda: [k(), self.ttl(1), v()],
            "psetex": lambda: [k(), self.ttl(1000), v()], "mget": lambda: [k() for _ in range(r.randint(1, 8))],
            "mset": lambda: [x for _ in range(r.randint(1, 6)) for x in (k(), v())],
            "msetnx": lambda: [x for _ in range(r.randint(1, 3)) for x in (k(), v())],
            "getrange": lambda: [k(), self.number(), self.number()], "substr": lambda: [k(), self.number(), self.number()],
            "setrange": lambda: [k(), r.choice([0, 1, 5, 20, 300, -1, "x"]), v()[:50]], "incr": lambda: [k()], "decr": lambda: [k()],
            "incrby": lambda: [k(), self.number()], "decrby": lambda: [k(), self.number()],
            "incrbyfloat": lambda: [k(), r.choice([0.5, 1, -3, "1e2", "0.1", "x", "nan", "5.0e3", 2, "-0.25"])],
            "del": lambda: [k() for _ in range(r.choice([1, 1, 2, 4]))], "unlink": lambda: [k() for _ in range(r.choice([1, 1, 3]))],
            "exists": lambda: [k() for _ in range(r.choice([1, 1, 3]))], "touch": lambda: [k() for _ in range(r.choice([1, 3]))],
            "expire": lambda: [k(), self.ttl(1), *self.expire_options()], "pexpire": lambda: [k(), self.ttl(1000), *self.expire_options()],
            "expireat": lambda: [k(), self.at(1, [1]), *self.expire_options()], "pexpireat": lambda: [k(), self.at(1000, [1]), *self.expire_options()],
            "ttl": lambda: [k()], "pttl": lambda: [k()], "expiretime": lambda: [k()], "pexpiretime": lambda: [k()], "persist": lambda: [k()],
            "type": lambda: [k()], "rename": lambda: [k(), k()], "renamenx": lambda: [k(), k()],
            "copy": lambda: [k(), k(), *r.choice([[], [], ["REPLACE"], ["DB", "0"], ["foo"]])],
            "dbsize": lambda: [], "randomkey": lambda: [], "keys": lambda: [r.choice(["key:1*", "*tag*", "[a-k]*", "?", "nope", "*"])],
            "ping": lambda: r.choice([[], ["x"]]), "echo": lambda: [v()], "object": lambda: ["refcount", k()], "memory": lambda: ["usage", k()],
            "publish": lambda: [k(), v()],
            "hset": lambda: [h(), *self.pairs()], "hmset": lambda: [h(), *self.pairs()], "hsetnx": lambda: [h(), f(), v()],
            "hget": lambda: [h(), f()], "hmget": lambda: [h(), *(f() for _ in range(r.randint(1, 6)))], "hgetall": lambda: [h()],
            "hdel": lambda: [h(), *(f() for _ in range(r.choice([1, 1, 3, 60])))], "hexists": lambda: [h(), f()], "hlen": lambda: [h()],
            "hstrlen": lambda: [h(), f()], "hkeys": lambda: [h()], "hvals": lambda: [h()], "hincrby": lambda: [h(), f(), self.number()],
            "hincrbyfloat": lambda: [h(), f(), r.choice([0.5, 1, -3, "1e2", "0.1", "x", "5.0e3", 2, "-0.25"])],
            "hrandfield": lambda: [h(), *r.choice([[], [r.choice([1, 5, 1000, -7, 0, -1, "x", 2**63 - 1, -2**63])], [r.choice([1, 5, 1000, -7, 2**62]), "WITHVALUES"],
                                                   [3, "foo"]])],
            "hscan": lambda: [h(), "0", *r.choice([[], [], ["COUNT", "1000"], ["MATCH", "f*"], ["COUNT", "0"], ["foo"]])],
        }[name]()
        # Of a subcommand the words are counted when it runs, also within a transaction.
        if name not in ("object", "memory") and r.random() < 0.02:  # the wrong number of words
            words = words[:-1] if r.random() < 0.5 else words + [r.choice(self.words)]
        if r.random() < 0.1:
            name = name.upper() if r.random() < 0.5 else name.title()
        return [name, *words]

    NAMES = (["get", "set"] * 5 + "append strlen getdel getex getset setnx setex psetex mget mset msetnx getrange substr setrange incr decr incrby "
             "decrby incrbyfloat del unlink exists touch expire pexpire expireat pexpireat ttl pttl expiretime pexpiretime persist type rename renamenx "
             "copy dbsize randomkey ping echo object memory publish".split() + ["incr", "del", "mget", "mset"] + ["keys"] + ["hset"] * 4 +
             "hmset hsetnx hget hmget hgetall hdel hexists hlen hstrlen hkeys hvals hincrby hincrbyfloat hscan hrandfield hget hdel".split())

    def expire_options(self):
        r = self.random
        return [r.choice(["NX", "XX", "GT", "LT", "foo"] if r.random() < 0.1 else ["NX", "XX", "GT", "LT"])
                for _ in range(r.choice([0, 0, 0, 1, 1, 2]))]

    def transaction(self):
        r = self.random
        body = [self.command() for _ in range(r.randint(0, 8))]
        if r.random() < 0.1:
            body.append(r.choice([["nope", "x"], ["get"], ["flushall"], ["multi"], ["watch", "a"]]))
        return [["MULTI"], *body, ["EXEC"] if r.random() < 0.9 else ["DISCARD"]]


def watched(generator, one, other):
    """A transaction with a watched key, which another connection touches or not."""
    r = generator.random
    key, second = generator.key(), generator.key()
    there = r.random() < 0.6
    one.run([["SET", key, "1"] if there else ["DEL", key], ["WATCH", key, second] if r.random() < 0.3 and there else ["WATCH", key]])
    p = r.random()
    if p < 0.25:
        other.run([["SET", key, generator.value()]])
    elif p < 0.4:
        other.run([["SET", key, "x"], ["DEL", key]])
    elif p < 0.5:
        other.run([["GET", key], ["EXPIRE", key, 10_000]])
    elif p < 0.6:
        other.run([["SET", "aside", "1"]])
    if r.random() < 0.1:
        one.run([["UNWATCH"]])
    one.run(generator.transaction())


def at_random(redis, warp, protocol, seed, commands):
    generator = Generator(seed, protocol)
    one, other = Pair(redis, warp, protocol), Pair(redis, warp, protocol)
    one.run([["FLUSHALL"]])
    r = generator.random
    while one.count + other.count < commands:
        p = r.random()
        if p < 0.15:
            one.run(generator.transaction())
        elif p < 0.3:
            watched(generator, one, other)
        else:
            pair = one if r.random() < 0.7 else other
            pair.run([generator.command() for _ in range(r.choice([1, 5, 30, 200]))])
        if r.random() < 0.002:
            one.run([["FLUSHALL"]])
    return one.count + other.count


def forget_lookups(*servers):
    for server in servers:
        c = Connection(server.port)
        c.ask("CONFIG", "RESETSTAT")
        c.close()


def lookups(redis, warp):
    """Both have counted the same reads of keys since then."""
    counted = []
    for server in (redis, warp):
        c = Connection(server.port)
        lines = c.ask("INFO", "stats").decode().splitlines()
        counted.append([line for line in lines if line.startswith("keyspace_")])
        c.close()
    if counted[0] != counted[1]:
        raise Mismatch(f"redis counted {counted[0]} and warpd {counted[1]}")


def fields_by_scan(connection, key):
    fields, cursor = {}, b"0"
    while True:
        cursor, page = connection.ask("HSCAN", key, cursor, "COUNT", "7")
        fields.update(fields_of(page))
        if cursor == b"0":
            return fields


def whole_space(redis, warp):
    """All keys with their values and expiries, by SCAN."""
    spaces = []
    for server in (redis, warp):
        c = Connection(server.port)
        keys, cursor = set(), b"0"
        while True:
            cursor, page = c.ask("SCAN", cursor, "COUNT", "50")
            keys.update(page)
            if int(cursor) >= 2**53:
                raise Mismatch(f"{server.name}: a cursor that a floating point number cannot hold: {cursor!r}")
            if cursor == b"0":
                break
        space = {}
        for key in keys:
            kind, expires = c.ask("TYPE", key), c.ask("PEXPIRETIME", key)
            value = (kind, fields_by_scan(c, key)) if kind == "hash" else c.ask("GET", key)
            if kind == "hash" and value[1] != dict(fields_of(c.ask("HGETALL", key))):
                raise Mismatch(f"{server.name}: HSCAN and HGETALL of {key!r} do not agree")
            if value is not None:
                space[key] = (value, expires)
        if c.ask("DBSIZE") != len(space):
            raise Mismatch(f"{server.name}: DBSIZE and SCAN do not agree")
        spaces.append(space)
        c.close()
    a, b = spaces
    if a.keys() != b.keys():
        raise Mismatch(f"keys of one only: {sorted(a.keys() ^ b.keys())[:10]}")
    for key in a:
        if a[key][0] != b[key][0] or not (a[key][1] == b[key][1] or is_near(a[key][1], b[key][1], 3000)):
            raise Mismatch(f"{key!r}: {a[key]} in redis, {b[key]} in warpd")
    return len(a)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--warpd", required=True)
    parser.add_argument("--commands", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--all", action="store_true", help="go on after what differs in the cases picked by hand, and show all of it")
    parser.add_argument("flags", nargs="*", help="of warpd")
    options = parser.parse_args()
    if shutil.which("redis-server") is None:
        raise SystemExit("redis-server is not here: install it with deploy/setup --test")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="warp-resp-"))
    servers = []
    print(f"seed {options.seed}", flush=True)
    begun = time.monotonic()
    try:
        servers.append(start_redis(folder))
        servers.append(start_warp(folder, os.path.abspath(options.warpd), *options.flags))
        redis, warp = servers
        count = 0
        if options.all:
            differ = Pair.differ

            def show(self, words, a, b):
                print(f"RESP{self.protocol}: {' '.join(repr(w)[:100] for w in words)}\n  redis: {a!r:.300}\n  warpd: {b!r:.300}")
            Pair.differ = show
        for protocol in (2, 3):
            forget_lookups(redis, warp)
            count += by_hand(redis, warp, protocol)
            lookups(redis, warp)
            count += messages(redis, warp, protocol)
        if options.all:
            Pair.differ = differ
        count += broken(redis, warp)
        for protocol in (2, 3):
            forget_lookups(redis, warp)
            count += at_random(redis, warp, protocol, options.seed, options.commands // 2)
            lookups(redis, warp)
            keys = whole_space(redis, warp)
            print(f"RESP{protocol}: {count} commands alike so far, and {keys} keys", flush=True)
    except Mismatch as mismatch:
        print(f"{mismatch}\nseed {options.seed}: tests/run resp --seed {options.seed}")
        return 1
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{count} commands were answered alike, in {time.monotonic() - begun:.0f} s")
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main())
