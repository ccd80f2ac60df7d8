"""A plain TCP client that speaks SIA DC-09, as an alarm panel or its portal does."""
import datetime
import socket

from .paths import free_port
from .wait import TIMEOUT_S

# Frames of the field, CRC to before CR, and the ACK that each gets.
FIELD = [
    (b'CE110032"SIA-DCS"9876R579BDFL789ABC#12345A[#12345A|NFA129]', b'1B990020"ACK"9876R579BDFL789ABC#12345A[]'),
    (b'87CD0037"ADM-CID"9876R579BDFL789ABC#12345A[#12345A|1110 00 129]', b'1B990020"ACK"9876R579BDFL789ABC#12345A[]'),
    (b'F4D20029"SIA-DCS"0001RF3L77#1234[#1234|NRR|Atest]', b'61DB0016"ACK"0001RF3L77#1234[]'),
    (b'480B0039"SIA-DCS"0011L0#AAA[#AAA|Nri0/RP0000]_09:17:30,02-20-2023', b'A27E0011"ACK"0011L0#AAA[]'),
    (b'F68B003B"ADM-CID"0028L0#9757[#9757|1602 00 000]_20:59:45,02-20-2024', b'4C270012"ACK"0028L0#9757[]'),
    (b'65290053"SIA-DCS"0001L0#1234[#1234|Nri1/BA001][X005E22.800][Y52N11.640]_21:15:00,12-01-2018',
     b'1BC10012"ACK"0001L0#1234[]'),
    (b'98A6003B"ADM-CID"0002L0#1234[#1234|1130 01 001]_21:15:00,12-01-2018', b'14310012"ACK"0002L0#1234[]'),
]


def crc(data):
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value


def wrap(frame):
    return b"\n" + frame + b"\r"


def build(body, binary=False):
    """CRC, length and body, without LF and CR; the CRC as 4 hex characters, or as 2 bytes."""
    body = body if isinstance(body, bytes) else body.encode()
    head = crc(body).to_bytes(2, "big") if binary else b"%04X" % crc(body)
    return head + b"0%03X" % len(body) + body


def stamp(seconds=0):
    when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return when.strftime("_%H:%M:%S,%m-%d-%Y")


def event(seq, account="1234", zone=1, code="BA", time=None, binary=False):
    """A frame of one event; time None: now."""
    when = stamp() if time is None else time
    return build(f'"SIA-DCS"{seq:04}L0#{account}[#{account}|Nri1/{code}{zone:03}]{when}', binary)


def ack(seq, account="1234", binary=False):
    return build(f'"ACK"{seq:04}L0#{account}[]', binary)


def endpoint(name="portal", **more):
    return {"name": name, "bind": f"tcp://127.0.0.1:{free_port()}", "socket": "tcp", "format": "sia-dc09", **more}


class Portal:
    def __init__(self, address, source=None):
        host, port = address.removeprefix("tcp://").rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), TIMEOUT_S, source and (source, 0))
        self.rest = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, *frames):
        self.socket.sendall(b"".join(map(wrap, frames)))

    def reply(self):
        """The next frame, without LF and CR; None: the connection was closed."""
        while b"\r" not in self.rest[3:]:  # LF, and a binary CRC, which may hold one itself
            try:
                more = self.socket.recv(65536)
            except ConnectionError:
                more = b""
            if not more:
                assert not self.rest, self.rest
                return None
            self.rest += more
        end = self.rest.index(b"\r", 3)
        frame, self.rest = self.rest[:end], self.rest[end + 1:]
        assert frame.startswith(b"\n"), frame
        return frame[1:]

    def ask(self, frame):
        self.send(frame)
        return self.reply()

    def closed(self):
        """Waits for the end of the connection; nothing may come before it."""
        return self.reply() is None
