"""The Redis clients of Node.js, at the versions of package-lock.json, against a warpd as it is."""
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import unittest

from served import HERE, ClientTest

MODULES = pathlib.Path(os.environ["WARP_CLIENT_MODULES"])


def install():
    """Puts the programs and what they import into MODULES; npm runs when the lock file has changed. Returns why that was not possible."""
    if not shutil.which("node") or not shutil.which("npm"):
        return "node and npm are not installed (deploy/setup installs them)"
    MODULES.mkdir(parents=True, exist_ok=True)
    with open(MODULES / "in use", "w") as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        for name in (".npmrc", "package.json", "package-lock.json", "tester.mjs", "node_redis.mjs", "ioredis.mjs", "node_redis_cluster.mjs", "ioredis_cluster.mjs"):
            shutil.copyfile(HERE / name, MODULES / name)
        wanted = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
        done = MODULES / "installed"
        if done.exists() and done.read_text() == wanted:
            return None
        done.unlink(missing_ok=True)
        try:
            npm = subprocess.run(["npm", "ci"], cwd=MODULES, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300)
        except subprocess.TimeoutExpired:
            return "npm ci could not fetch the clients within 300 s"
        if npm.returncode != 0:
            return f"npm ci could not fetch the clients: {npm.stderr.strip()[-600:]}"
        done.write_text(wanted)
        return None


class NodeTest(ClientTest):
    @classmethod
    def setUpClass(cls):
        # Without a registry in reach there is nothing to test with; that says nothing about the server.
        if reason := install():
            raise unittest.SkipTest(reason)


class NodeRedis(NodeTest):
    def test_its_ordinary_work(self):
        self.run_client(["node", str(MODULES / "node_redis.mjs")])


class IoRedis(NodeTest):
    def test_its_ordinary_work(self):
        self.run_client(["node", str(MODULES / "ioredis.mjs")])


if __name__ == "__main__":
    unittest.main()
