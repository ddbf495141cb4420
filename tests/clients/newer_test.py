"""What is newer than the Redis that all else is compared with: WAITAOF, SET with IFEQ, DELIFEQ. The replies are those of their documentation,
and where a valkey-server is here that knows a command, they are compared with its replies too."""
import shutil
import subprocess
import sys
import time

from served import HERE, ClientTest, PATIENCE_S

sys.path.insert(0, str(HERE.parent / "resp"))
from resp_wire import Connection, Error  # noqa: E402

WAITAOF = [
    (["SET", "a", "1"], "OK"),
    (["WAITAOF", "1", "0", "0"], [1, 0]),
    (["WAITAOF", "0", "0", "0"], [1, 0]),
    (["WAITAOF", "0", "1", "20"], [1, 0]),
    (["WAITAOF", "1", "1", "20"], [1, 0]),
    (["WAITAOF", "2", "0", "0"], "ERR value is out of range, value must between 0 and 1"),
    (["WAITAOF", "-1", "0", "0"], "ERR value is out of range, value must between 0 and 1"),
    (["WAITAOF", "x", "0", "0"], "ERR value is not an integer or out of range"),
    (["WAITAOF", "1", "-1", "0"], "ERR value is out of range, must be positive"),
    (["WAITAOF", "1", "0", "-1"], "ERR timeout is negative"),
    (["WAITAOF", "1", "0", "x"], "ERR timeout is not an integer or out of range"),
    (["WAITAOF", "1", "0"], "ERR wrong number of arguments for 'waitaof' command"),
    (["MULTI"], "OK"),
    (["SET", "a", "2"], "QUEUED"),
    (["WAIT", "0", "0"], "QUEUED"),
    (["EXEC"], ["OK", 0]),
    (["WAIT", "0", "10"], 0),
    (["WAIT", "1", "10"], 0),
]
IFEQ = [
    (["DEL", "k", "none"], None),
    (["SET", "k", "1"], "OK"),
    (["SET", "k", "2", "IFEQ", "0"], None),
    (["SET", "k", "2", "IFEQ", "1"], "OK"),
    (["GET", "k"], b"2"),
    (["SET", "none", "2", "IFEQ", "1"], None),
    (["SET", "none", "2", "IFEQ", ""], None),
    (["EXISTS", "none"], 0),
    (["SET", "k", "3", "IFEQ", "2", "GET"], b"2"),
    (["SET", "k", "4", "IFEQ", "2", "GET"], b"3"),
    (["GET", "k"], b"3"),
    (["SET", "k", "5", "EX", "100", "IFEQ", "3"], "OK"),
    (["SET", "k", "6", "IFEQ", "5", "KEEPTTL"], "OK"),
    (["TTL", "k"], 100),
    (["SET", "k", "7", "IFEQ", "6"], "OK"),
    (["TTL", "k"], -1),
    (["SET", "k", "8", "NX", "IFEQ", "7"], "ERR syntax error"),
    (["SET", "k", "8", "IFEQ", "7", "XX"], "ERR syntax error"),
    (["SET", "k", "8", "IFEQ"], "ERR syntax error"),
    (["SET", "k", "a b", "IFEQ", "7"], "OK"),
    (["SET", "k", "9", "ifeq", "a b"], "OK"),
]
DELIFEQ = [
    (["SET", "k", "1"], "OK"),
    (["DELIFEQ", "k", "2"], 0),
    (["DELIFEQ", "none", "2"], 0),
    (["DELIFEQ", "k", "1"], 1),
    (["EXISTS", "k"], 0),
    (["DELIFEQ", "k"], "ERR wrong number of arguments for 'delifeq' command"),
    (["DELIFEQ", "k", "1", "2"], "ERR wrong number of arguments for 'delifeq' command"),
]


class NewerCommands(ClientTest):
    def valkey(self):
        """A connection to a valkey-server with a log, or None; and its version."""
        program = shutil.which("valkey-server")
        if program is None:
            return None
        port = self.lasting_port()
        process = subprocess.Popen([program, "--port", str(port), "--save", "", "--appendonly", "yes", "--dir", str(self.root)], stdout=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                connection = Connection(port)
                self.addCleanup(connection.close)
                return connection
            except OSError:
                if process.poll() is not None or time.monotonic() > end:
                    raise AssertionError("valkey-server did not start")
                time.sleep(0.02)

    def test_their_replies(self):
        valkey = self.valkey()
        compared = []
        for protocol in (2, 3):
            warp = Connection(self.port, protocol)
            self.addCleanup(warp.close)
            for name, cases in (("WAITAOF", WAITAOF), ("SET IFEQ", IFEQ), ("DELIFEQ", DELIFEQ)):
                for words, expected in cases:
                    reply = warp.ask(*words)
                    reply = None if reply == ("null",) else reply
                    if words[0] != "DEL":
                        self.assertEqual(reply, expected, f"RESP{protocol}: {words}")
                if protocol == 2 and valkey is not None:
                    valkey.ask("FLUSHALL")
                    if name == "SET IFEQ":
                        valkey.ask("SET", "k", "1")
                        known = valkey.ask("SET", "k", "1", "IFEQ", "1")
                    else:
                        known = valkey.ask("COMMAND", "INFO", name)[0]
                    if known in (None, ("null array",)) or isinstance(known, Error):
                        compared.append(f"valkey-server does not know {name}")
                        continue
                    for words, expected in cases:
                        if words[0] != "DEL":
                            self.assertEqual(valkey.ask(*words), expected, f"valkey-server: {words}")
                        else:
                            valkey.ask(*words)
                    compared.append(f"{name} compared with valkey-server")
        print("; ".join(compared) or "no valkey-server is here to compare with", end=" ... ", flush=True)
