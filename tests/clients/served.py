"""What the tests of clients start from: a warpd as it is, with ports of its own, and client programs that may ask for its end."""
import pathlib
import random
import socket
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
from programs import PATIENCE_S, ProgramTest  # noqa: E402


class ClientTest(ProgramTest):
    def lasting_port(self):
        """A port below those that the kernel gives to whoever asks for any, so it is still free when the server comes back. Tests that run
        at the same time hold their ports by a socket that bears the number in its name."""
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
            self.addCleanup(held.close)
            return port

    def setUp(self):
        super().setUp()
        self.port = self.lasting_port()
        self.serve()

    def serve(self):
        """Also again, on the same port and data."""
        self.server = self.start("--resp.listen", f"127.0.0.1:{self.port}", "--rpc.listen", "127.0.0.1:0", "--http.listen", "127.0.0.1:0",
                                 ports=False)

    def run_client(self, words, **options):
        """Runs a client program, which gets the port as its last argument, to its end. A line "kill" or "restart" on its output is a
        request, answered by a line on its input when it is done: the server is killed with SIGKILL; it is started again."""
        client = subprocess.Popen([*words, str(self.port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  **options)
        said = []
        try:
            for line in client.stdout:
                said.append(line)
                if line == "kill\n":
                    self.server.kill()
                elif line == "restart\n":
                    self.serve()
                else:
                    continue
                client.stdin.write("done\n")
                client.stdin.flush()
            code = client.wait(PATIENCE_S)
        finally:
            client.kill()
            client.wait()
            client.stdin.close()
            client.stdout.close()
        self.assertEqual(code, 0, f"{words}\n{''.join(said)}\n{self.server.log()}")
        return "".join(said)
