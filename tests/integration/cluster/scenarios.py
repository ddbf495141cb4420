"""What is done to real clusters, and what must hold: each scenario is a function that returns a line about what it saw, or raises Failed."""
import contextlib
import json
import random
import signal
import subprocess
import threading
import time

from harness import NAME, PATIENCE_S, WARP, Cluster, Failed, Flood, Loopback, Namespaces, Node, Skipped, clean_environment, eventually

SCENARIOS = []


def scenario(suite=False, long=False, net=Loopback):
    """suite: part of every run of the tests; long: only where asked for; net: Namespaces where links are cut."""
    def add(function):
        function.suite, function.long, function.net = suite, long, net
        SCENARIOS.append(function)
        return function
    return add


def need(condition, text):
    if not condition:
        raise Failed(text)


def told(summary):
    errors = "".join(f"; {count} times '{text[1:60]}'" for text, count in summary["errors"].items())
    return f"{summary['judged']}; {summary['replaced']} replaced by version; {summary['acknowledged']} writes acknowledged once, none lost{errors}"


def run_for(seconds):
    time.sleep(seconds)


# -- processes that die or stand still ---------------------------------------------------------------------------------------------

@scenario(suite=True)
def kill_of_a_primary():
    """kill -9 of a primary under load: the others serve on, it comes back, everything is there."""
    with Cluster().start() as c:
        load = c.load()
        run_for(1)
        victim = c.busiest()
        at = victim.kill()
        c.wait_whole(rf=2)
        whole = time.monotonic_ns()
        run_for(1.5)
        victim.start()
        c.wait_whole()
        summary = load.judge()
        need(load.writes_between(whole, whole + 60e9) > 0, "no write was acknowledged after the kill")
        return f"all shards served after {load.resumed_s(at):.2f} s; {told(summary)}"


@scenario()
def kill_of_one_after_the_other():
    """Each node in turn, each killed as soon as the one before is back; several threads for links on each, as where there are more cores."""
    with Cluster(flags={"--cluster.threads": 3}).start() as c:
        load = c.load()
        times = []
        for node in list(c.nodes.values()):
            run_for(0.5)
            at = node.kill()
            c.wait_whole(rf=2)
            run_for(0.5)
            node.start()
            times.append(c.wait_whole())
        return f"whole again after {', '.join(f'{t:.1f}' for t in times)} s; {told(load.judge())}"


@scenario()
def kill_of_all_at_once():
    """All nodes lose their power: what was acknowledged is on their disks (R11)."""
    with Cluster().start() as c:
        load = c.load(patience_ms=3000)
        run_for(2)
        for node in c.nodes.values():
            node.process.signal(signal.SIGKILL)
        for node in c.nodes.values():
            node.kill()
        for node in c.nodes.values():
            node.start(wait=False)
        back = c.wait_whole()
        run_for(1)
        return f"whole again after {back:.1f} s; {told(load.judge())}"


@scenario()
def pause_of_a_primary():
    """A primary stands still for 3 s and goes on as if nothing had been: it must not answer with what is out of date."""
    with Cluster().start() as c:
        load = c.load()
        run_for(1)
        victim = c.busiest()
        at = victim.pause()
        run_for(3)
        victim.resume()
        c.wait_whole()
        run_for(1)
        summary = load.judge()
        return f"all shards served after {load.resumed_s(at):.2f} s; {told(summary)}"


@scenario()
def pauses_of_a_follower_and_of_etcd():
    """Pauses that are too short for a take-over, and those of etcd, are of no consequence."""
    with Cluster().start() as c:
        load = c.load()
        for pause in (0.3, 0.8, 0.3):
            node = c.nodes[random.randrange(3) + 1]
            node.pause()
            run_for(pause)
            node.resume()
            c.etcd.process.signal(signal.SIGSTOP)
            run_for(pause)
            c.etcd.process.signal(signal.SIGCONT)
        c.wait_whole()
        return told(load.judge())


@scenario()
def etcd_away():
    """etcd is away for 20 s: reads and writes go on all the time."""
    with Cluster().start() as c:
        load = c.load()
        run_for(1)
        c.etcd.process.kill()
        at = time.monotonic_ns()
        run_for(20)
        c.etcd.start()
        c.wait_whole()
        summary = load.judge()
        writes = [load.writes_between(at + s * 1e9, at + (s + 2) * 1e9) for s in range(0, 20, 2)]
        need(min(writes) > 0, f"writes in each 2 s without etcd: {writes}")
        return f"at least {min(writes) // 2} writes/s without etcd; {told(summary)}"


@scenario()
def kill_of_etcd_and_a_primary():
    """Without etcd nobody takes over; as soon as it is back somebody does."""
    with Cluster().start() as c:
        load = c.load(patience_ms=20000)
        run_for(1)
        c.etcd.process.kill()
        victim = c.nodes[1]
        victim.kill()
        run_for(3)
        c.etcd.start()
        took = c.wait_whole(rf=2)
        victim.start()
        c.wait_whole()
        return f"taken over {took:.1f} s after etcd came back; {told(load.judge())}"


# -- links ------------------------------------------------------------------------------------------------------------------------

@scenario(net=Namespaces)
def silent_partition():
    """A primary is cut off from everybody but its clients: it must not acknowledge, the others take over."""
    with Cluster(net=Namespaces).start() as c:
        load = c.load()
        run_for(1)
        victim = c.busiest()
        shard = c.primaries()[victim.number][0]
        key = "alone{" + c.key_of(shard) + "}"
        c.net.isolate(victim.place)
        at = time.monotonic_ns()
        c.wait_whole(rf=2)
        said = victim.ask("SET", key, "of the minority", silence=3)
        need(said != "+OK", f"the minority has acknowledged a write: {said}")
        run_for(2)
        c.net.heal_all()
        c.wait_whole()
        summary = load.judge()
        return f"all shards served after {load.resumed_s(at):.2f} s, the minority said {said!r}; {told(summary)}"


@scenario(net=Namespaces)
def minority_never_acknowledges():
    """Of a primary without anybody no durable write is acknowledged from the moment of the cut on, not even the first."""
    with Cluster(net=Namespaces).start() as c:
        victim = c.busiest()
        shard = c.primaries()[victim.number][0]
        key = c.key_of(shard)
        need(victim.ask("SET", key, "before") == "+OK", "no write before the cut")
        c.net.isolate(victim.place)
        replies = []

        def write(n):
            replies.append(victim.ask("SET", f"alone{n}{{{key}}}", "of the minority", silence=4))
        writers = [threading.Thread(target=write, args=(n,)) for n in range(8)]
        for w in writers:
            w.start()
            time.sleep(0.3)
        for w in writers:
            w.join()
        need("+OK" not in replies, f"the minority has acknowledged a write: {replies}")
        c.wait_whole(rf=2)
        c.net.heal_all()
        c.wait_whole()
        kinds = sorted({(r or "nothing").split(" ")[0] for r in replies})
        return f"8 writes to the minority were answered with {', '.join(kinds)}"


@scenario(net=Namespaces)
def cut_from_etcd_only():
    """A primary that only etcd does not hear serves on."""
    with Cluster(net=Namespaces).start() as c:
        load = c.load()
        run_for(1)
        victim = c.busiest()
        c.net.cut(victim.place, "etcd")
        c.net.cut("etcd", victim.place)
        at = time.monotonic_ns()
        run_for(5)
        c.net.heal_all()
        summary = load.judge()
        need(load.writes_between(at, at + 5e9) > 0, "nothing was written meanwhile")
        c.wait_whole()
        return told(summary)


@scenario(net=Namespaces)
def one_way_cuts():
    """Links that work in one direction only: primary to follower, follower to primary, and from etcd."""
    with Cluster(net=Namespaces).start() as c:
        load = c.load()
        for a, b in (("n1", "n2"), ("n3", "n1"), ("n2", "etcd"), ("etcd", "n3")):
            run_for(0.5)
            c.net.cut(a, b)
            run_for(2)
            c.net.heal_all()
            c.wait_whole()
        return told(load.judge())


@scenario(net=Namespaces)
def flapping_links():
    """Links that come and go, some hundred milliseconds each."""
    with Cluster(net=Namespaces).start() as c:
        load = c.load()
        draw = random.Random(7)
        places = ["n1", "n2", "n3", "etcd"]
        end = time.monotonic() + 8
        cuts = 0
        while time.monotonic() < end:
            a, b = draw.sample(places, 2)
            c.net.cut(a, b)
            cuts += 1
            run_for(draw.uniform(0.05, 0.6))
            if draw.random() < 0.6:
                c.net.heal_all()
                run_for(draw.uniform(0.05, 0.5))
        c.net.heal_all()
        took = c.wait_whole()
        return f"{cuts} cuts, whole {took:.1f} s after the last; {told(load.judge())}"


# -- disks and clocks ---------------------------------------------------------------------------------------------------------------

@scenario()
def slow_disk():
    """One node's disk takes 30 ms longer for everything: slow writes, no wrong ones."""
    with Cluster().start(shim=(1,)) as c:
        load = c.load()
        run_for(1)
        c.nodes[1].faults.delay_us(30_000)
        run_for(5)
        c.nodes[1].faults.delay_us(0)
        c.wait_whole()
        return told(load.judge())


@scenario()
def full_disk():
    """One node's disk is full for some seconds: it steps aside or says so, nobody loses anything, and the cluster gets whole again."""
    with Cluster(flags={"--storage.segment_size": "1MiB"}).start(shim=(1,)) as c:
        load = c.load(value=1000)
        run_for(1)
        c.nodes[1].faults.full(True)
        run_for(5)
        c.nodes[1].faults.full(False)
        if not c.nodes[1].process.runs:
            c.nodes[1].kill()
            c.nodes[1].start()
            ended = "it ended, and was started again"
        else:
            ended = "it ran on"
        c.wait_whole()
        return f"{ended}; {told(load.judge())}"


@scenario()
def clocks_of_different_rates():
    """The lease clocks run 2 % fast and 2 % slow, within what rho allows, while primaries are killed and stand still."""
    with Cluster().start(shim=(1, 2, 3)) as c:
        c.nodes[1].faults.fast_ppm(20_000)
        c.nodes[2].faults.fast_ppm(-20_000)
        load = c.load()
        for number in (2, 1):
            run_for(1)
            c.nodes[number].pause()
            run_for(3)
            c.nodes[number].resume()
            c.wait_whole()
        c.nodes[2].kill()
        c.wait_whole(rf=2)
        c.nodes[2].start(shim=True)
        c.wait_whole()
        return told(load.judge())


# -- more than one copy can take -----------------------------------------------------------------------------------------------------

MIB = 1 << 20
# What replica_options.hpp and replication_host.hpp set: LSNs above what is committed, answers that wait, bytes kept for copies that lag.
WINDOW, TICKETS, KEPT = 65_536, 1 << 14, 8 * MIB
# What link_options.hpp sets for each peer: what waits, with an eighth more for answers, and what is on its way, there and in the network's own buffer.
LINK = 18 * MIB + 2 * 4 * MIB
OVERLOAD = {"--storage.max_memory": "64MiB", "--storage.log_buffer": "4MiB", "--storage.segment_size": "4MiB"}
VALUE = 1000


class Overload:
    """A cluster of two shards, whose primaries are nodes 2 and 3, and more writes for it than node 1 can follow."""

    def __init__(self, c):
        self.c, self.follower, self.primaries = c, c.nodes[1], {0: c.nodes[2], 1: c.nodes[3]}
        c.operate("move", "--shard", 0, "--to", "2,3,1")
        c.operate("move", "--shard", 1, "--to", "3,2,1")
        eventually("nodes 2 and 3 serve", lambda: c.primaries() == {1: [], 2: [0], 3: [1]} and not c.why_not_whole())
        self.before = {n: node.resident_bytes() for n, node in c.nodes.items()}
        # Nobody gives up an answer that comes late: what is not known to be done or not is hard to judge.
        self.load = c.load(threads=32, pause_us=0, silence_ms=40_000, patience_ms=60_000)
        self.flood = Flood(c, value=VALUE)
        self.samples, self.most = 0, 0

    def bound(self, number):
        """Bytes of memory that a node has at most: what it began with, its data; records that wait for their commit, in the log of its copy and
        pending; records kept for others; log that is not written, and its chunks; and two links."""
        waiting = TICKETS * (VALUE + 256)
        return self.before[number] + 64 * MIB + 2 * (2 * waiting + KEPT) + 2 * 4 * MIB + 32 * MIB + 2 * LINK

    def much(self):
        """Bytes of records: more than the memory of two nodes may hold, so that nothing can have been kept."""
        return 2 * MIB if self.follower.is_sanitized() else 2 * max(map(self.bound, self.c.nodes))

    def installed(self):
        return self.follower.metric("warp_cluster_checkpoints_installed_total")

    def logged(self):
        return sum(node.metric("warp_wal_record_bytes_total") for node in self.primaries.values())

    def refused(self):
        return sum(node.metric("warp_cluster_overloaded_total") for node in self.primaries.values())

    def members(self):
        """By shard its epoch, its primary, and whether node 1 is in sync."""
        return {s["shard"]: (s["epoch"], s["primary"], self.follower.number in s["isr"]) for s in self.c.status()["shards"]}

    def is_dropped(self):
        return not any(member for _, _, member in self.members().values())

    def look(self, follower=True):
        """What must hold at any time. The primary is looked at first: what it has committed then a member must have now."""
        def shards(scrape, name):
            return {int(labels.split('"')[1]): value for labels, value in scrape.get(name, [])}
        before = self.members()
        primaries = {shard: node.metrics() for shard, node in self.primaries.items()}
        held = shards(self.follower.metrics(), "warp_shard_log_end_lsn") if follower else {}
        after = self.members()
        for shard, scrape in primaries.items():
            if not shards(scrape, "warp_shard_serves").get(shard):
                continue
            ahead = shards(scrape, "warp_shard_uncommitted_records")[shard]
            need(ahead <= WINDOW, f"shard {shard}: the primary is {ahead:.0f} records ahead of what is committed")
            self.most = max(self.most, ahead)
            if before[shard] == after[shard] and before[shard][1:] == (self.primaries[shard].number, True) and shard in held:
                lag = shards(scrape, "warp_shard_log_end_lsn")[shard] - held[shard]
                need(lag <= WINDOW, f"shard {shard}: a member in sync lags by {lag:.0f} records")
                self.samples += 1
        return True

    def until(self, what, condition, follower=True):
        # Long: how fast a busy machine writes is not what is looked at.
        eventually(what, lambda: self.look(follower) and condition(), 5 * PATIENCE_S, 0.2)

    def end(self):
        """Peace; then node 1 has everything, and no node has ever had too much memory."""
        self.flood.end()
        self.load.stop()
        took = self.c.wait_whole()

        def ends(node):
            return sorted(node.metrics().get("warp_shard_commit_lsn", []))
        eventually(lambda: f"all copies end alike: {[ends(n) for n in self.c.nodes.values()]}",
                   lambda: len({tuple(ends(n)) for n in self.c.nodes.values()}) == 1 and ends(self.follower))
        summary = self.load.judge()
        reads = max((call["ended"] - call["began"] for call in self.load.calls() if call["call"] == "get" and "ended" in call), default=0)
        most = {n: node.resident_bytes(most=True) for n, node in self.c.nodes.items()}
        if not any(node.is_sanitized() for node in self.c.nodes.values()):
            for n, bytes_ in most.items():
                need(bytes_ <= self.bound(n), f"node {n} has had {bytes_ / MIB:.0f} MiB, more than {self.bound(n) / MIB:.0f} MiB")
        return (f"{self.logged() / MIB:.0f} MiB logged, {self.refused():.0f} writes refused, at most {self.most:.0f} records ahead, "
                f"{self.samples} looks at a member; a read waited {reads / 1e9:.1f} s at most; memory {', '.join(f'{b / MIB:.0f}' for b in most.values())} of "
                f"{max(map(self.bound, most)) / MIB:.0f} MiB; whole {took:.1f} s after; {told(summary)}")


@scenario()
def overload_with_a_slow_follower():
    """Clients write as much as they can while a follower's disk is slow, and while it stands still: it lags by no more than the window or leaves
    the set in sync, memory stays bounded, and it catches up."""
    with Cluster(shards=2, flags=OVERLOAD).start(shim=(1,)) as c:
        o = Overload(c)
        o.follower.faults.delay_us(50_000)
        refused = o.refused()
        o.until("writes are refused, or the slow one is dropped", lambda: o.samples >= 10 and o.refused() > refused or o.is_dropped())
        slow = "dropped" if o.is_dropped() else "kept"
        o.follower.pause()
        o.until("the one that stands still is dropped", o.is_dropped, follower=False)
        logged = o.logged()
        o.until("much is written meanwhile", lambda: o.logged() - logged > o.much(), follower=False)
        o.follower.faults.delay_us(0)
        o.follower.resume()
        run_for(2)
        return f"the slow one was {slow}; {o.end()}"


@scenario(long=True, net=Namespaces)
def overload_with_a_narrow_link():
    """The same where 8 Mbit/s reach a follower, and 2 Mbit/s while it begins anew and takes checkpoints: nobody keeps in memory what it will need."""
    with Cluster(net=Namespaces, shards=2, flags=OVERLOAD).start() as c:
        o = Overload(c)
        c.net.narrow(o.follower.place, 8)
        refused = o.refused()
        o.until("writes are refused, or the slow one is dropped", lambda: o.samples >= 10 and o.refused() > refused or o.is_dropped())
        slow = "dropped" if o.is_dropped() else "kept"
        for _ in range(10):
            o.look()
        o.follower.kill()
        o.follower.wipe()
        c.net.narrow(o.follower.place, 0)
        o.until("the one that has ended is dropped", o.is_dropped, follower=False)
        c.net.narrow(o.follower.place, 2)
        o.follower.start()
        o.until("a checkpoint is on its way", lambda: any(o.follower.folder.glob("incoming/*")) or o.installed(), follower=False)
        logged = o.logged()
        o.until("much is written meanwhile", lambda: o.logged() - logged > o.much() or o.installed() == 2, follower=False)
        meanwhile = (o.logged() - logged) / MIB
        c.net.narrow(o.follower.place, 0)
        return f"the slow one was {slow}; {meanwhile:.0f} MiB logged while checkpoints were on their way; {o.end()}"


def ask_whoever_serves(c, *words):
    """The reply of the primary of the command's key."""
    def served():
        for node in c.nodes.values():
            said = node.ask(*words)
            if said is not None and not said.startswith(("-MOVED", "-TRYAGAIN", "-CLUSTERDOWN")):
                return said
    return eventually(f"somebody answers {' '.join(words)}", served)


@scenario()
def wall_clocks_that_jump():
    """Wall clocks go hours ahead and back, also while a primary stands still: no lease looks at them, and times to live say what they show."""
    hour = 3600
    with Cluster().start(shim=(1, 2, 3)) as c:
        def all_ahead(seconds):
            for node in c.nodes.values():
                node.faults.wall_ahead_s(seconds)

        def ask(*words):
            return ask_whoever_serves(c, *words)

        # Times to live, with all clocks the same, so that it does not matter who serves.
        calm = c.load(silence_ms=3000)
        for key, more in (("hour", ["EX", hour]), ("day", ["EX", 24 * hour]), ("ever", [])):
            need(ask("SET", key, "there", *map(str, more)) == "+OK", f"no write of {key}")
        all_ahead(2 * hour)
        gone, there = "$-1", "$5\r\nthere"
        seen = [ask("GET", key) for key in ("hour", "day", "ever")]
        need(seen == [gone, there, there], f"two hours ahead, keys for an hour, a day and ever: {seen}")
        need(ask("SET", "minute of later", "there", "EX", "60") == "+OK", "no write two hours ahead")
        all_ahead(0)
        seen = [ask("GET", key) for key in ("hour", "day", "ever")]
        need(seen == [gone, there, there], f"the clock is right again, and what had gone has to stay away: {seen}")
        left = int(ask("TTL", "minute of later")[1:])
        need(2 * hour < left <= 2 * hour + 60, f"what was to live for a minute two hours from now has {left} s")
        all_ahead(-2 * hour)
        need(ask("SET", "minute of earlier", "there", "EX", "60") == "+OK", "no write two hours behind")
        left = int(ask("TTL", "day")[1:])
        need(24 * hour < left <= 26 * hour, f"two hours behind, what lives for a day has {left} s")
        all_ahead(0)
        need(ask("GET", "minute of earlier") == gone, "what was to live until an hour ago is there")
        # Each for itself, far apart, and nobody is refused anything.
        draw = random.Random(11)
        for _ in range(20):
            c.nodes[draw.randrange(3) + 1].faults.wall_ahead_s(draw.choice([-72, -2, -1, 0, 1, 2, 72]) * hour)
            run_for(0.2)
        all_ahead(0)
        summary = calm.stop()
        need(summary["refused"] == 0, f"{summary['refused']} calls were refused: {summary['errors']}")
        # A primary whose clock goes back while it stands still must not believe in its lease, nor others, whose clocks go ahead, that theirs has run out.
        load = c.load()
        for number, ahead in ((1, -2), (2, 2)):
            run_for(1)
            victim = c.nodes[number]
            for node in c.nodes.values():
                node.faults.wall_ahead_s(-ahead * hour)
            victim.pause()
            victim.faults.wall_ahead_s(ahead * hour)
            run_for(3)
            victim.resume()
            run_for(0.5)
            all_ahead(0)
            c.wait_whole()
        # Who starts three days before it was killed is still a newer life of its copies.
        c.nodes[3].kill()
        c.wait_whole(rf=2)
        c.nodes[3].faults.wall_ahead_s(-72 * hour)
        c.nodes[3].start(shim=True)
        c.wait_whole()
        calm.judge()
        return told(load.judge())


# -- operators ------------------------------------------------------------------------------------------------------------------------

@scenario()
def rolling_restart():
    """Each node is stopped and started under load: no error that a retry does not hide."""
    with Cluster().start() as c:
        load = c.load(silence_ms=3000)
        for node in c.nodes.values():
            run_for(0.5)
            code = node.stop()
            need(code == 0, f"node {node.number} ended with {code}")
            c.wait_whole(rf=2)
            node.start()
            c.wait_whole()
        summary = load.judge()
        need(summary["refused"] == 0, f"{summary['refused']} calls were refused: {summary['errors']}")
        return told(summary)


@scenario()
def switch_over_back_and_forth():
    """A shard's primary changes by order, under load."""
    with Cluster().start() as c:
        load = c.load()
        for round_number in range(6):
            shard = c.status()["shards"][round_number]
            to = next(n for n in shard["isr"] if n != shard["primary"])
            c.operate("switchover", "--shard", shard["shard"], "--to", to)
        summary = load.judge()
        return told(summary)


@scenario()
def node_replacement():
    """A node's disk is lost for good: a fourth one takes its place, and the lost one leaves."""
    with Cluster().start() as c:
        load = c.load()
        run_for(1)
        c.nodes[1].kill()
        c.wait_whole(rf=2)
        c.nodes[1].wipe()
        c.nodes[4] = Node(c, 4).start()
        c.operate("join", 4)
        c.operate("leave", 1)
        took = c.wait_whole(nodes={2, 3, 4})
        return f"whole without the lost node after {took:.1f} s; {told(load.judge())}"


@scenario()
def wiped_node_comes_back():
    """A node comes back without its data folder: it is given everything anew, by checkpoints."""
    with Cluster().start() as c:
        load = c.load()
        run_for(2)
        c.nodes[2].kill()
        c.wait_whole(rf=2)
        c.nodes[2].wipe()
        c.nodes[2].start()
        took = c.wait_whole()
        return f"whole again after {took:.1f} s; {told(load.judge())}"


@scenario()
def one_copy_then_three_then_two():
    """RF 1 -> 3 -> 2 under load."""
    with Cluster(rf=1, min_isr=1).start() as c:
        load = c.load()
        run_for(1)
        c.operate("resize", "--rf", 3, "--min-isr", 2)
        up = c.wait_whole(rf=3)
        run_for(1)
        c.operate("resize", "--rf", 2, "--min-isr", 1)
        down = c.wait_whole(rf=2)
        return f"three copies after {up:.1f} s, two after {down:.1f} s; {told(load.judge())}"


@scenario()
def loss_is_accepted_only_by_an_operator():
    """Below level durable, when all members lost their power: nobody serves until an operator says whose copy counts."""
    with Cluster(level="replicated").start() as c:
        key = c.key_of(0)
        holder = c.nodes[c.status()["shards"][0]["primary"]]
        need(holder.ask("SET", key, "there") == "+OK", "no write")
        refused = subprocess.run([str(WARP), "cluster", "accept-loss", "--shard", "0", "--node", "2", "--yes", "--wait", "3s", "--etcd", c.etcd.url, "--name",
                                  NAME], capture_output=True, text=True, env=clean_environment())
        need(refused.returncode != 0, "accept-loss was not refused while a member lives")
        for node in c.nodes.values():
            node.process.signal(signal.SIGKILL)
        for node in c.nodes.values():
            node.kill()
        for node in c.nodes.values():
            node.start(wait=False)
        run_for(6)
        for node in c.nodes.values():
            said = node.ask("GET", key, silence=2)
            need(not (said or "").startswith("$"), f"node {node.number} serves without an operator: {said}")
        for shard in range(c.shards):
            c.operate("accept-loss", "--shard", shard, "--node", holder.number, "--yes", "--wait", "30s")
        c.wait_whole()
        said = eventually("the shard is served", lambda: (holder.ask("GET", key) or "").startswith("$"))
        return f"served again after the operator's word: {said}"


# -- what must be refused ---------------------------------------------------------------------------------------------------------------

def ends(node, *words, within=30):
    """A node that must not come up, or give up soon: what it said."""
    node.process.child.wait(within)
    log = node.process.log()
    need(node.process.child.returncode != 0, f"it ended with 0:\n{log[-1000:]}")
    for word in words:
        need(word in log, f"it does not say '{word}':\n{log[-1500:]}")
    return log.strip().splitlines()[-1][-200:]


@scenario()
def strangers_are_refused():
    """A node of another cluster, another id on the same folder, an id that is taken, a cluster that is not there."""
    said = []
    with Cluster().start() as c:
        # Another id on this folder
        c.nodes[1].stop()
        number, c.nodes[1].number = c.nodes[1].number, 9
        c.nodes[1].start(wait=False)
        said.append(ends(c.nodes[1]))
        c.nodes[1].number = number
        # This folder in another cluster
        name, c.name = c.name, "other"
        c.init([1, 2, 3])
        c.nodes[1].start(wait=False)
        said.append(ends(c.nodes[1]))
        c.name = name
        c.nodes[1].start()
        c.wait_whole()
        # Somebody else with the id of a node that lives
        twin = Node(c, 2)
        twin.folder = c.root / "twin"
        twin.log_path = c.root / "twin.log"
        twin.start(wait=False)
        c.nodes[22] = twin
        run_for(8)
        twin.kill()
        del c.nodes[22]
        log = twin.process.log()
        need("node 2" in log, f"the twin says nothing of it:\n{log[-1500:]}")
        c.wait_whole()
        load = c.load()
        run_for(1)
        return f"{told(load.judge())}; said: " + " | ".join(said)


@scenario()
def hand_edited_keys():
    """A shard's key in etcd that is no JSON, or of no sense, is refused, named, and harms no other shard; put back, all is well."""
    import base64
    with Cluster().start() as c:
        key = base64.b64encode(f"/warp/{c.name}/shards/3".encode()).decode()
        got = c.etcd.call("kv/range", {"key": key})
        if not got.get("kvs"):
            found = c.etcd.call("kv/range", {"key": base64.b64encode(b"/warp/").decode(), "range_end": base64.b64encode(b"/warp0").decode(),
                                             "keys_only": True})
            raise Failed(f"no such key; there are {[base64.b64decode(k['key']).decode() for k in found['kvs']][:8]}")
        before = got["kvs"][0]["value"]
        load = c.load()
        for text in ("no JSON", "{}", '{"epoch": -1}'):
            c.etcd.call("kv/put", {"key": key, "value": base64.b64encode(text.encode()).decode()})
            run_for(1)
            problems = json.dumps(c.status()["problems"])
            need("shards/3" in problems, f"status does not name the key: {problems}")
        c.etcd.call("kv/put", {"key": key, "value": before})
        c.wait_whole()
        return told(load.judge())


def make_certificates(root, name, ca=None):
    """A CA, unless given, and a node's certificate: paths of ca, cert, key."""
    def openssl(*words):
        subprocess.run(["openssl", *[str(w) for w in words]], check=True, capture_output=True)
    if ca is None:
        ca = root / f"{name}-ca"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name} ca",
                "-keyout", f"{ca}.key", "-out", f"{ca}.pem")
    cert = root / name
    (root / f"{name}.ext").write_text("subjectAltName=DNS:warpengine-node\nextendedKeyUsage=serverAuth,clientAuth\n")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{cert}.key", "-out",
            f"{cert}.csr")
    openssl("x509", "-req", "-in", f"{cert}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-CAcreateserial", "-days", "2", "-extfile",
            f"{cert}.ext", "-out", f"{cert}.pem")
    return ca, ["--cluster.ca", f"{ca}.pem", "--cluster.cert", f"{cert}.pem", "--cluster.key", f"{cert}.key"]


@scenario()
def nodes_with_certificates():
    """TLS between nodes; one with a certificate of another authority is not let in, and its log says why."""
    with Cluster() as c:
        c.etcd.start()
        c.init([1, 2, 3])
        ca, flags = make_certificates(c.root, "good")
        _, wrong = make_certificates(c.root, "wrong")
        for number in (1, 2):
            c.nodes[number].start(*flags)
        c.nodes[3].start(*wrong)

        def groups():
            return {tuple(sorted(shard["isr"])) for shard in c.status()["shards"]}
        # At first a shard is its primary's alone: where that is node 3, it stays so.
        eventually(lambda: f"shards are held by 1 and 2, or by 3: {groups()}", lambda: groups() == {(1, 2), (3,)})
        run_for(2)
        need(groups() == {(1, 2), (3,)}, f"the node with the wrong certificate was let in: {groups()}")
        log = c.nodes[3].process.log()
        need("certificate" in log.lower() or "tls" in log.lower(), f"node 3 says nothing of certificates:\n{log[-1500:]}")
        c.nodes[3].kill()
        c.nodes[3].start(*flags)
        c.wait_whole()
        load = c.load()
        run_for(2)
        return told(load.judge())


# -- for as long as there is time ---------------------------------------------------------------------------------------------------------

def troubled(net, seconds, seed):
    """Random troubles, one after the other, now and then two at once; then peace, and judgement."""
    draw = random.Random(seed)
    counts = {}
    with Cluster(net=net).start(shim=(1, 2, 3)) as c:
        load = c.load(pause_us=2000)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            node = c.nodes[draw.randrange(3) + 1]
            kinds = ["kill", "stop", "pause", "etcd", "slow"] + (["isolate", "one way", "flap"] if c.net.cuts else [])
            kind = draw.choice(kinds)
            counts[kind] = counts.get(kind, 0) + 1
            with contextlib.ExitStack() as after:
                if kind in ("kill", "stop"):
                    node.kill() if kind == "kill" else node.stop()
                    after.callback(lambda: node.start(shim=True))
                elif kind == "pause":
                    node.pause()
                    after.callback(node.resume)
                elif kind == "etcd":
                    c.etcd.process.kill()
                    after.callback(c.etcd.start)
                elif kind == "slow":
                    node.faults.delay_us(draw.choice([2_000, 20_000, 60_000]))
                    after.callback(lambda: node.faults.delay_us(0))
                else:
                    if kind == "isolate":
                        c.net.isolate(node.place, *draw.choice([[], ["etcd"]]))
                    else:
                        for _ in range(1 if kind == "one way" else 12):
                            a, b = draw.sample(list(c.net.places), 2)
                            c.net.cut(a, b)
                            if kind == "flap":
                                run_for(draw.uniform(0.05, 0.3))
                                c.net.heal_all()
                    after.callback(c.net.heal_all)
                run_for(draw.uniform(0.2, 4))
            if draw.random() < 0.7:
                c.wait_whole()
        c.wait_whole()
        return f"{counts}; {told(load.judge())}"


@scenario(long=True)
def etcd_away_for_ten_minutes(seconds=600):
    """etcd is away for much longer than every lease and retry: reads and writes go on, also of clients that come meanwhile; then all is whole."""
    with Cluster().start() as c:
        first = c.load(pause_us=10_000)
        run_for(1)
        c.etcd.process.kill()
        at = time.monotonic_ns()
        memory = {node.number: node.resident_bytes() for node in c.nodes.values()}
        run_for(seconds / 2)
        second = c.load(pause_us=10_000)
        run_for(seconds / 2)
        away_ns = time.monotonic_ns() - at
        grown = max(node.resident_bytes() - memory[node.number] for node in c.nodes.values())
        lines = max(node.process.log().count("\n") for node in c.nodes.values())
        c.etcd.start()
        took = c.wait_whole()
        # What happens from now on is dealt with as ever.
        victim = c.busiest()
        victim.kill()
        c.wait_whole(rf=2)
        victim.start()
        c.wait_whole()
        second.stop()
        summary = first.judge()
        # Windows that no pause of a busy machine fills: in each, somebody has read and somebody has written.
        windows = max(2, int(away_ns / 20e9))
        width = away_ns / windows
        done = [[0, 0] for _ in range(windows)]
        for call in [*first.calls(), *second.calls()]:
            window = int((call["began"] - at) // width)
            if call["outcome"] in ("ok", "absent", "differs") and 0 <= window < windows and call["ended"] <= at + away_ns:
                done[window][call["call"] != "get"] += 1
        need(min(map(min, done)) > 0, f"reads and writes in each {width / 1e9:.0f} s without etcd: {done}")
        return (f"{away_ns / 1e9:.0f} s without etcd, in each {width / 1e9:.0f} s of them at least {min(r for r, _ in done)} reads and "
                f"{min(w for _, w in done)} writes, memory grew by {grown / 1e6:.1f} MB, at most {lines} lines in a log; whole {took:.1f} s after; "
                f"{told(summary)}")


@scenario(long=True)
def troubles_on_loopback(seconds=120, seed=1):
    """Random kills, stops, pauses, slow disks and an etcd that goes away."""
    return troubled(Loopback, seconds, seed)


@scenario(long=True, net=Namespaces)
def troubles_with_cuts(seconds=180, seed=2):
    """The same with cut links."""
    return troubled(Namespaces, seconds, seed)
