"""A client of RESP without any library: commands out, replies in, exactly as they stand on the wire."""
import socket


class Error(str):
    """An error reply."""


class Simple(str):
    """A status reply."""


class Push(list):
    """A push message of RESP3."""


class Connection:
    def __init__(self, port, protocol=2):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(60)
        self.buffer, self.at = b"", 0
        if protocol == 3:
            self.ask("HELLO", "3")

    def close(self):
        self.socket.close()

    def send(self, *commands):
        """Each command a sequence of words."""
        parts = []
        for words in commands:
            parts.append(b"*%d\r\n" % len(words))
            for word in words:
                word = word if isinstance(word, bytes) else str(word).encode()
                parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
        self.socket.sendall(b"".join(parts))

    def ask(self, *words):
        self.send(words)
        return self.reply()

    def more(self):
        piece = self.socket.recv(1 << 18)
        if not piece:
            raise ConnectionError("the server closed the connection")
        self.buffer = self.buffer[self.at:] + piece
        self.at = 0

    def line(self):
        while True:
            end = self.buffer.find(b"\r\n", self.at)
            if end >= 0:
                line = self.buffer[self.at:end]
                self.at = end + 2
                return line
            self.more()

    def take(self, size):
        while len(self.buffer) - self.at < size + 2:
            self.more()
        data = self.buffer[self.at:self.at + size]
        self.at += size + 2
        return data

    def reply(self):
        line = self.line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return Simple(rest.decode("latin-1"))
        if kind == b"-":
            return Error(rest.decode("latin-1"))
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.take(int(rest))
        if kind == b"*":
            return ("null array",) if rest == b"-1" else [self.reply() for _ in range(int(rest))]
        if kind == b"_":
            return ("null",)
        if kind == b"%":
            return ("map", [(self.reply(), self.reply()) for _ in range(int(rest))])
        if kind == b"~":
            return ("set", [self.reply() for _ in range(int(rest))])
        if kind == b">":
            return Push([self.reply() for _ in range(int(rest))])
        if kind in b"#,(":
            return (kind.decode(), rest)
        if kind == b"=":
            return ("verbatim", self.take(int(rest)))
        raise ValueError(f"no reply begins like this: {line!r}")
