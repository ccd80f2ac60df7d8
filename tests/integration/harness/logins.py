"""A server that lets everybody log in as PostgreSQL does, and then fails at the first query."""
import contextlib
import socket
import struct
import threading


def _message(kind, body):
    return kind + struct.pack("!I", len(body) + 4) + body


def _parameter(name, value):
    return _message(b"S", name + b"\0" + value + b"\0")


READY = _message(b"Z", b"I")
WELCOME = b"".join((_message(b"R", struct.pack("!I", 0)), _parameter(b"server_version", b"15.4"),
                    _parameter(b"client_encoding", b"UTF8"), _parameter(b"default_transaction_read_only", b"off"),
                    _parameter(b"in_hot_standby", b"off"), _message(b"K", struct.pack("!II", 1, 2)), READY))
READ_ONLY = _message(b"E", b"SERROR\0VERROR\0C25006\0Mthis is a standby\0\0") + READY


class LoginServer:
    """On a socket that listens. Clients must not ask for encryption. After a login it hangs up at the first query, or
    answers what is given, or nothing."""

    def __init__(self, listening, answer=None):
        self.answer = answer
        self.logins = 0
        self.listening = listening
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client = self.listening.accept()[0]
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client, contextlib.suppress(OSError):
            size = struct.unpack("!I", client.recv(4, socket.MSG_WAITALL))[0]
            client.recv(size - 4, socket.MSG_WAITALL)
            client.sendall(WELCOME)
            self.logins += 1
            if client.recv(65536) and self.answer is not None:
                client.sendall(self.answer)
                while client.recv(65536):
                    pass
