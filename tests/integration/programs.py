"""Starts and ends real warpd processes and runs the real warp tool; each test gets a temporary folder of its own."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request

BUILD = pathlib.Path(os.environ["WARP_PROGRAMS"])
WARPD, WARP = BUILD / "warpd", BUILD / "warp"
# Generous: a sanitized build on a busy machine is slow, and no test passes because of a limit.
PATIENCE_S = 120


def clean_environment(**more):
    return {**{k: v for k, v in os.environ.items() if not k.startswith("WARP_")}, **more}


class Server:
    """A warpd on free ports. Its data folder is kept when it ends, so that another one can be started on it."""

    def __init__(self, root, *flags, folder="data", environment=None, ports=True, wait=True, port_file=None):
        self.root = pathlib.Path(root)
        self.folder = self.root / (folder or "warp-data")
        self.port_file = port_file or self.root / f"ports-{time.monotonic_ns()}.json"
        self.log_path = self.root / f"log-{time.monotonic_ns()}.txt"
        words = [str(WARPD), "--port-file", str(self.port_file)]
        if ports:
            words += ["--rpc.listen", "127.0.0.1:0", "--resp.listen", "127.0.0.1:0", "--http.listen", "127.0.0.1:0"]
        if folder is not None and "--storage.memory_only" not in flags:
            words += ["--storage.folder", str(self.folder)]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(words + list(flags), stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                            cwd=self.root, env=clean_environment(**(environment or {})))
        self.ports = {}
        if wait:
            self.wait_ready()

    def wait_ready(self):
        end = time.monotonic() + PATIENCE_S
        while not self.port_file.exists():
            if self.process.poll() is not None or time.monotonic() > end:
                code = self.process.poll()
                self.kill()
                raise AssertionError(f"warpd did not get ready (exit code {code}):\n{self.log()}")
            time.sleep(0.01)
        self.ports = json.loads(self.port_file.read_text())

    @property
    def address(self):
        return f"127.0.0.1:{self.ports['rpc']}"

    def log(self):
        return self.log_path.read_text(errors="replace")

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self):
        return self.process.wait(PATIENCE_S)

    def stop(self):
        """SIGTERM; the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE_S)

    def http(self, path):
        """Status and body."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['http']}{path}", timeout=PATIENCE_S) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as answer:
            return answer.code, answer.read().decode()


class ProgramTest(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="warp-test-"))
        self.servers = []
        self.addCleanup(self._clean)

    def _clean(self):
        for server in self.servers:
            server.kill()
        shutil.rmtree(self.root)

    def start(self, *flags, **options):
        server = Server(self.root, *flags, **options)
        self.servers.append(server)
        return server

    def refused(self, *flags, **options):
        """Starts a server that must not come up: its exit code and what it said."""
        server = self.start(*flags, wait=False, **options)
        return server.wait(), server.log()

    def run_tool(self, *words, server=None, stdin=b"", environment=None):
        """The finished process of `warp ...`; stdout and stderr as bytes."""
        at = [] if server is None else ["-s", server.address]
        done = subprocess.run([str(WARP), *at, *[str(w) for w in words]], input=stdin, capture_output=True, timeout=PATIENCE_S, cwd=self.root,
                              env=clean_environment(**(environment or {})))
        return done

    def tool(self, server, *words, code=0, stdin=b""):
        """Runs `warp`, insists on the exit code, and returns standard output."""
        done = self.run_tool(*words, server=server, stdin=stdin)
        shown = " ".join(str(w)[:100] for w in words)
        self.assertEqual(done.returncode, code, f"warp {shown}\n{done.stdout[:2000]}\n{done.stderr.decode(errors='replace')}")
        return done.stdout

    def tool_json(self, server, *words, code=0, stdin=b""):
        return json.loads(self.tool(server, "--json", *words, code=code, stdin=stdin))

    def tool_error(self, server, *words, code, stdin=b""):
        """Insists on the exit code and returns standard error as text."""
        done = self.run_tool(*words, server=server, stdin=stdin)
        self.assertEqual(done.returncode, code, f"{done.stdout[:2000]}\n{done.stderr.decode(errors='replace')}")
        return done.stderr.decode()
