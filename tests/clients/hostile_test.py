"""Bytes that are no commands, to redis-server and to a warpd: both must answer the same and close, or not close, at the same point."""
import contextlib
import random
import shutil
import socket
import subprocess
import time
import unittest

from served import ClientTest, PATIENCE_S

PING = b"*1\r\n$4\r\nPING\r\n"
SET = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nvalue\r\n"
BY_HAND = [
    b"*1\r\n$-1\r\n", b"*1\r\n$-2\r\nPING\r\n", b"*1\r\n$536870913\r\n", b"*1\r\n$99999999999999999999\r\n", b"*1\r\n$x\r\n", b"*1\r\n$\r\n", b"*1\r\n$ 4\r\nPING\r\n",
    b"*1\r\n$+4\r\nPING\r\n", b"*1\r\n$04\r\nPING\r\n", b"*1\r\n$4\r\nPINGxx" + PING, b"*1\r\n$4\r\nPING\n\n" + PING,
    b"*0\r\n" + PING, b"*-1\r\n" + PING, b"*-2147483648\r\n" + PING, b"*2147483648\r\n" + PING, b"*99999999999999999999\r\n", b"*x\r\n", b"*\r\n" + PING, b"* 1\r\n", b"*1 \r\n",
    b"*1\n$4\nPING\n" + PING, b"*1\r\n*1\r\n$4\r\nPING\r\n", b"*2\r\n$4\r\nPING\r\n*1\r\n$1\r\nx\r\n", b"*1\r\n:1\r\n", b"*1\r\n+PING\r\n", b"*1\r\nPING\r\n", b"*1\r\n\r\n",
    b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n:1\r\n", b"*1\r\n%1\r\n", b"*1\r\n=4\r\nPING\r\n",
    b"$4\r\nPING\r\n", b":1\r\n", b"+PING\r\n", b"-ERR x\r\n", b"_\r\n", b"%1\r\n", b"\r\n\r\n" + PING, b"\n" + PING, b"  PING  \r\n", b"PING\n", b"PING\r",
    b'"PING"\r\n', b'"PING\r\n' + PING, b"'PING\r\n" + PING, b'"PING"x\r\n' + PING, b'echo "\\x41\\n\\q"\r\n', b"echo 'a\\'b'\r\n", b"echo \"a\"\"b\"\r\n" + PING,
    b"x" * 70_000, b"*" + b"1" * 70_000, b"*1\r\n$" + b"1" * 70_000, b"echo " + b"y" * 60_000 + b"\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\n\r\n" + PING, b"Host: a\r\n" + PING,
    PING + b"*1\r\n$-1\r\n" + PING, SET + b"*x\r\n" + SET, b"*1\r\n$4\r\nQUIT\r\n" + PING, b"MULTI\r\nSET a 1\r\n*1\r\n$-5\r\nEXEC\r\n",
]


@unittest.skipUnless(shutil.which("redis-server"), "redis-server is not installed (deploy/setup installs it)")
class HostileBytes(ClientTest):
    def setUp(self):
        super().setUp()
        self.redis_port = self.lasting_port()
        redis = subprocess.Popen(["redis-server", "--port", str(self.redis_port), "--save", "", "--databases", "1", "--dir", str(self.root)], stdout=subprocess.DEVNULL)
        self.addCleanup(redis.wait)
        self.addCleanup(redis.kill)
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                return socket.create_connection(("127.0.0.1", self.redis_port)).close()
            except OSError:
                if redis.poll() is not None or time.monotonic() > end:
                    raise AssertionError("redis-server did not start")
                time.sleep(0.02)

    @staticmethod
    def answers(port, sent):
        """All that comes until the server closes, which it does when nothing more is sent."""
        with socket.create_connection(("127.0.0.1", port)) as s:
            s.settimeout(PATIENCE_S)
            # It may close before it has read everything; what it said before that is there all the same.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                s.sendall(sent)
                s.shutdown(socket.SHUT_WR)
            got = b""
            with contextlib.suppress(ConnectionResetError):
                while piece := s.recv(65536):
                    got += piece
            return got

    def compare(self, sent):
        ours, theirs = self.answers(self.port, sent), self.answers(self.redis_port, sent)
        self.assertEqual(ours[:2_000], theirs[:2_000], f"sent: {sent[:200]!r}")

    def test_what_is_no_command_by_hand(self):
        for sent in BY_HAND:
            self.compare(sent)

    def test_what_is_no_command_at_random(self):
        choices = random.Random(7)
        for _ in range(400):
            good = bytearray(choices.choice([PING, SET, PING + SET, SET + b"get k\r\n", b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"]) * choices.randrange(1, 4))
            for _ in range(choices.randrange(1, 4)):
                at = choices.randrange(len(good))
                match choices.randrange(4):
                    case 0:
                        good[at] = choices.choice(b"\r\n$*:+-0129 x")
                    case 1:
                        del good[at]
                    case 2:
                        good.insert(at, choices.choice(b"\r\n$*19"))
                    case 3:
                        del good[at:]
                        if not good:
                            break
            # Behind it, ends of lines: or one of the two might wait for one where the other refuses already.
            self.compare(bytes(good) + b"\r\n" * 20)

    def test_a_command_cut_short_at_any_byte_does_nothing(self):
        for size in range(len(SET)):
            self.compare(SET[:size])
        self.compare(b"GET k\r\n")
        self.compare(SET + b"GET k\r\n")


if __name__ == "__main__":
    unittest.main()
