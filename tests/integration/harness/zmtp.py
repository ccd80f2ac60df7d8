"""A handwritten ZMTP 3.0 peer: it does what libzmq never would."""
import ctypes
import ctypes.util
import os
import struct

import zmq.utils.z85

METADATA = b"\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER"
READY = b"\x05READY" + METADATA


def greeting(mechanism=b"NULL"):
    return b"\xff" + bytes(8) + b"\x7f\x03\x00" + mechanism.ljust(20, b"\0") + b"\0" + bytes(31)


GREETING = greeting()


def handshake(connection):
    """As a DEALER without security. A message before the other side's READY would end the connection."""
    connection.sendall(GREETING + b"\x04" + bytes([len(READY)]) + READY)
    read(connection, len(GREETING))
    flags, length = read(connection, 2)
    assert flags == 4, "a short command"
    assert read(connection, length).startswith(b"\x05READY")


def read(connection, count):
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise ConnectionError("closed by the other side")
        data += more
    return data


def frame(payload, more=False):
    return bytes([3 if more else 2]) + struct.pack(">Q", len(payload)) + payload


class CurveDealer:
    """A DEALER with CURVE (RFC 26), by hand too."""

    def __init__(self, connection, key):
        """key: harness.curve.Key of a client; speaks first and returns when the daemon is ready for messages."""
        self.connection = connection
        self.sodium = ctypes.CDLL(ctypes.util.find_library("sodium"))
        self.nonce = 0
        public, secret, server = (self._z85(text) for text in (key.public, key.secret, key.server.public))
        self.secret, self.peer = ctypes.create_string_buffer(32), server
        transient = ctypes.create_string_buffer(32)
        self.sodium.crypto_box_keypair(transient, self.secret)
        connection.sendall(greeting(b"CURVE"))
        read(connection, len(GREETING))
        self._command(b"\x05HELLO\x01\x00" + bytes(72) + transient.raw + self._sealed(b"CurveZMQHELLO---", bytes(64)))
        welcome = self._answer(b"\x07WELCOME")
        plain = self._open(b"WELCOME-" + welcome[:16], welcome[16:])
        vouch_nonce = os.urandom(16)
        self.peer = plain[:32]
        vouch = self._box(b"VOUCH---" + vouch_nonce, transient.raw + server, secret)
        self._command(b"\x08INITIATE" + plain[32:]
                      + self._sealed(b"CurveZMQINITIATE", public + vouch_nonce + vouch + METADATA))
        self._answer(b"\x05READY")

    def message(self, payload, more=False):
        """One frame of a message, as bytes to be sent."""
        body = b"\x07MESSAGE" + self._sealed(b"CurveZMQMESSAGEC", bytes([more]) + payload)
        return frame(body)

    @staticmethod
    def _z85(text):
        return zmq.utils.z85.decode(text.encode())

    def _command(self, body):
        self.connection.sendall(bytes([6]) + struct.pack(">Q", len(body)) + body)

    def _answer(self, name):
        flags = read(self.connection, 1)[0]
        length = struct.unpack(">Q", read(self.connection, 8))[0] if flags & 2 else read(self.connection, 1)[0]
        body = read(self.connection, length)
        assert body.startswith(name), body
        return body[len(name):]

    def _box(self, nonce, plain, secret):
        out = ctypes.create_string_buffer(len(plain) + 16)
        assert self.sodium.crypto_box_easy(out, plain, ctypes.c_ulonglong(len(plain)), nonce, self.peer, secret) == 0
        return out.raw

    def _open(self, nonce, box):
        out = ctypes.create_string_buffer(len(box) - 16)
        assert self.sodium.crypto_box_open_easy(out, box, ctypes.c_ulonglong(len(box)), nonce, self.peer,
                                                self.secret) == 0
        return out.raw

    def _sealed(self, prefix, plain):
        """The short nonce, which rises, and the box."""
        self.nonce += 1
        short = struct.pack(">Q", self.nonce)
        return short + self._box(prefix + short, plain, self.secret.raw)
