"""Compares what a server answers with the file that was loaded: verify_cities.py WARP SERVER FILE [--write].

With --write it first makes the writes of the quick start (a batch, a compare-and-set, a counter, times to live, a deletion), each
acknowledged after it was on disk; without, it expects to find their outcome. Every difference is printed; exit code 1 if there was one."""
import json
import random
import subprocess
import sys
import time

# What the writes leave behind, as the text of the values.
LEFT = {"note:1": "first", "visits": "3", "lease:long": "held", "batch:1": '{"n": 1}', "batch:2": '{"n": 2}', "batch:3": '{"n": 3}'}
GONE = ["lease:short", "note:2"]
ABSENT, CONDITION = 3, 4  # exit codes of warp

differences = 0


def differ(text):
    global differences
    differences += 1
    if differences <= 20:
        print(f" DIFFERENT  {text}")


def equal(what, found, expected):
    if found != expected:
        differ(f"{what}: found {str(found)[:200]!r}, expected {str(expected)[:200]!r}")


class warp:
    def __init__(self, program, server):
        self.command = [program, "-s", server]

    def __call__(self, *arguments, code=0, text=None):
        """Standard output of a command; its exit code has to be `code`."""
        done = subprocess.run(self.command + list(arguments), input=text, capture_output=True, encoding="utf-8")
        if done.returncode != code:
            differ(f"warp {' '.join(arguments)}: exit code {done.returncode}, expected {code}: {done.stderr.strip()}")
        return done.stdout


def value_text(line):
    """Key, and value exactly as it stands in the line: {"key": "...", "value": ...}."""
    decoder = json.JSONDecoder()
    record = decoder.decode(line)
    at = line.index('"value"', line.index('"key"') + 5 + len(json.dumps(record["key"], ensure_ascii=False)))
    at = line.index(":", at) + 1
    while line[at] == " ":
        at += 1
    _, end = decoder.raw_decode(line, at)
    return record["key"], line[at:end]


def read_file(path):
    text = subprocess.run(["zstd", "-dcq", path], check=True, capture_output=True).stdout.decode()
    return dict(value_text(line) for line in text.splitlines())


def write(run):
    sync = ("--durability", "sync")
    lines = "".join(f'{{"key": "{k}", "value": {v}}}\n' for k, v in LEFT.items() if k.startswith("batch:"))
    run("load", "-", text=lines)
    run("cas", *sync, "note:1", "0", "first")
    run("cas", *sync, "note:1", "0", "second", code=CONDITION)
    for _ in range(3):
        run("incr", *sync, "visits")
    run("put", *sync, "note:2", "for a moment")
    run("del", *sync, "note:2")
    run("put", *sync, "--ttl", "1h", "lease:long", "held")
    run("put", *sync, "--ttl", "300ms", "lease:short", "held")
    deadline = time.monotonic() + 30
    while subprocess.run(run.command + ["exists", "lease:short"], capture_output=True).returncode == 0:
        if time.monotonic() > deadline:
            differ("lease:short outlived its time to live of 300 ms")
            break
        time.sleep(0.05)
    print(" ok  writes: batch, compare-and-set (once kept, once refused), counter, time to live, deletion")


def compare_dump(run, expected):
    found = dict(value_text(line) for line in run("dump").splitlines())
    missing, unknown = expected.keys() - found.keys(), found.keys() - expected.keys()
    for key in sorted(missing)[:5]:
        differ(f"{key} is missing")
    for key in sorted(unknown)[:5]:
        differ(f"{key} should not be there")
    equal("number of keys", len(found), len(expected))
    same = 0
    for key, value in expected.items():
        if key in found:
            equal(key, plain(found[key]), plain(value))
            same += plain(found[key]) == plain(value)
    print(f" ok  {same:,} of {len(expected):,} values are equal, byte for byte")


def plain(value):
    """Texts that are no JSON are dumped as JSON strings."""
    return json.loads(value) if value.startswith('"') else value


def compare_queries(run, cities):
    seed = random.randrange(1 << 32)
    for key in random.Random(seed).sample(sorted(cities), 20):
        equal(f"get {key} (seed {seed})", run("get", key), cities[key])
    run("get", "city:XX:1", code=ABSENT)
    for prefix in ("city:LI:", "city:IS:", "city:US:1", "city:XX:"):
        lines = [json.loads(line) for line in run("--json", "scan", "--prefix", prefix).splitlines()]
        found = {r["key"]: r["value"] for r in lines}
        equal(f"scan --prefix {prefix}", found, {k: v for k, v in cities.items() if k.startswith(prefix)})
    for key, value in LEFT.items():
        equal(f"get {key}", run("get", key), value)
    for key in GONE:
        run("get", key, code=ABSENT)
    left = json.loads(run("--json", "ttl", "lease:long"))["ttl_ms"]
    if not 0 < left <= 3_600_000:
        differ(f"lease:long has {left} ms left of an hour")
    print(" ok  queries: get, scan by prefix, batch, compare-and-set, counter, time to live")


def main():
    run = warp(sys.argv[1], sys.argv[2])
    cities = read_file(sys.argv[3])
    if "--write" in sys.argv:
        write(run)
    compare_dump(run, {**cities, **LEFT})
    compare_queries(run, cities)
    if differences:
        print(f"{differences} differences")
    return 1 if differences else 0


sys.exit(main())
