"""Compares what a server answers with the file that was loaded: verify_cities.py WARP SERVER FILE [--write].

With --write it first makes the writes of the quick start (a batch, a compare-and-set, a counter, times to live, a deletion), each
acknowledged after it was on disk; without, it expects to find their outcome. Every difference is printed; exit code 1 if there was one."""
import json
import random
import re
import subprocess
import sys
import time

# What the writes leave behind, as the text of the values.
LEFT = {"note:1": "first", "visits": "3", "lease:long": "held", "batch:1": '{"n": 1}', "batch:2": '{"n": 2}', "batch:3": '{"n": 3}'}
GONE = ["lease:short", "note:2"]
ABSENT, CONDITION = 3, 4  # exit codes of warp

DECODER, KEY, VALUE = json.JSONDecoder(), re.compile(r'\s*\{\s*"key"\s*:\s*'), re.compile(r'\s*,\s*"value"\s*:\s*')
differences = 0


def differ(text):
    global differences
    differences += 1
    if differences <= 20:
        print(f" DIFFERENT  {text}")


def report(text, before):
    """A line for what was looked at since `before` differences were known."""
    print(f" ok  {text}" if differences == before else f" --  {text}: {differences - before} differences")


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
    begin = KEY.match(line)
    key, at = DECODER.raw_decode(line, begin.end())
    begin = VALUE.match(line, at)
    _, end = DECODER.raw_decode(line, begin.end())
    return key, line[begin.end():end]


def read_file(path):
    text = subprocess.run(["zstd", "-dcq", path], check=True, capture_output=True).stdout.decode()
    return dict(value_text(line) for line in text.splitlines())


def write(run):
    before = differences
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
    report("writes: batch, compare-and-set (once kept, once refused), counter, time to live, deletion", before)


def compare_dump(run, expected):
    before = differences
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
    report(f"{same:,} of {len(expected):,} values are equal, byte for byte", before)


def plain(value):
    """Texts that are no JSON are dumped as JSON strings."""
    return json.loads(value) if value.startswith('"') else value


def compare_queries(run, cities):
    before = differences
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
    left = json.loads(run("--json", "ttl", "lease:long") or "{}").get("ttl_ms", 0)
    if not 0 < left <= 3_600_000:
        differ(f"lease:long has {left} ms left of an hour")
    report("queries: get, scan by prefix, batch, compare-and-set, counter, time to live", before)


def main():
    run = warp(sys.argv[1], sys.argv[2])
    cities = read_file(sys.argv[3])
    if "--write" in sys.argv:
        write(run)
    compare_dump(run, {**cities, **LEFT})
    compare_queries(run, cities)
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
