"""A ZMTP 3.0 peer by hand: it does what no libzmq would."""
import struct

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" + bytes(31)
READY = b"\x05READY\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER"


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
