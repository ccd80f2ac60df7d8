"""Peers of the daemon: pyzmq sockets that write down what they sent and what was accepted."""
import collections
import threading
import time

import zmq

from .alerts import SOURCE, alert, encode
from .wait import TIMEOUT_S


class Reply(collections.namedtuple("Reply", "word id detail")):
    @property
    def seq(self):
        assert self.word == b"ACK", self
        return int(self.detail)


class Ledger:
    """What was sent and what resulted, by (source, id)."""

    def __init__(self):
        self.sent = set()
        self.accepted = {}
        self.rejected = {}


def reply_of(frames, delimiter=False):
    if delimiter:
        assert frames[0] == b"", f"the delimiter is mirrored: {frames}"
        frames = frames[1:]
    assert len(frames) == 3, f"three frames: {frames}"
    return Reply(*frames)


class Dealer:
    """A DEALER that sends alerts to a router and reads its replies."""

    def __init__(self, context, address, delimiter=False, hwm=100000, curve=None, routing_id=None):
        self.socket = context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.SNDTIMEO, TIMEOUT_S * 1000)  # a test fails, it does not hang
        self.socket.setsockopt(zmq.SNDHWM, hwm)
        self.socket.setsockopt(zmq.RCVHWM, hwm)
        self.socket.setsockopt(zmq.RECONNECT_IVL, 20)
        if routing_id:
            self.socket.setsockopt(zmq.ROUTING_ID, routing_id)
        if curve:
            curve.open(self.socket)
        self.socket.connect(address)
        self.delimiter = delimiter
        self.ledger = Ledger()
        self.image_of = None  # of an id: its image or None

    def close(self):
        self.socket.close()

    def send(self, *frames):
        """Frames unchanged, after the delimiter if this peer sends one."""
        head = [b""] if self.delimiter else []
        self.socket.send_multipart(head + [encode(frame) for frame in frames])

    def send_alert(self, message):
        """With its image, if this peer sends images."""
        image = self.image_of(message["id"]) if self.image_of else None
        self.send(message, *([image] if image else []))

    def frames(self, timeout=TIMEOUT_S):
        assert self.socket.poll(timeout * 1000), f"no reply within {timeout} s"
        return self.socket.recv_multipart()

    def reply(self, timeout=TIMEOUT_S):
        return reply_of(self.frames(timeout), self.delimiter)

    def ask(self, *frames):
        self.send(*frames)
        return self.reply()

    def deliver(self, messages, window=200, resend_after=None, until=None):
        """Sends every message until it has its ACK or REJECT, at most `window` on their way. What got RETRY is sent
        again; so is everything unanswered when nothing came for `resend_after` seconds (the daemon died). Ends early
        when the event `until` is set and nothing is on its way. Messages of one call have different ids. Returns the
        sequence numbers in the order of the ACKs."""
        waiting = collections.deque()
        flying = {}
        held = []  # (when it may be sent again, message)
        seqs = []
        messages = iter(messages)
        more = True
        heard = time.monotonic()
        while True:
            while more and len(flying) + len(held) + len(waiting) < window:
                message = None if until is not None and until.is_set() else next(messages, None)
                more = message is not None
                if more:
                    waiting.append(message)
            now = time.monotonic()
            waiting.extend(message for when, message in held if when <= now)
            held = [(when, message) for when, message in held if when > now]
            while waiting:
                message = waiting.popleft()
                self.ledger.sent.add((message["source"], message["id"]))
                flying[message["id"].encode()] = message
                self.send_alert(message)
            if not (more or flying or held):
                return seqs
            if not self.socket.poll(10 if held or until is not None else 200):
                if resend_after is not None and flying and time.monotonic() - heard > resend_after:
                    waiting.extend(flying.values())
                    heard = time.monotonic()
                assert time.monotonic() - heard < TIMEOUT_S, f"no reply within {TIMEOUT_S} s, {len(flying)} unanswered"
                continue
            heard = time.monotonic()
            while self.socket.poll(0):
                reply = reply_of(self.socket.recv_multipart(), self.delimiter)
                message = flying.pop(reply.id, None)
                if message is None:
                    continue  # the reply to what was sent twice
                key = (message["source"], message["id"])
                if reply.word == b"ACK":
                    self.ledger.accepted[key] = reply.seq
                    seqs.append(reply.seq)
                elif reply.word == b"RETRY":
                    held.append((time.monotonic() + int(reply.detail) / 1000, message))
                else:
                    assert reply.word == b"REJECT", reply
                    self.ledger.rejected[key] = reply.detail


class Load(threading.Thread):
    """A sender in a thread of its own that goes on, through crashes and RETRYs, until it is stopped. stop() returns
    when everything that it sent has its answer."""

    def __init__(self, address, prefix, source=SOURCE, window=100, image_of=None, curve=None):
        super().__init__(daemon=True)
        self.address, self.prefix, self.source, self.window = address, prefix, source, window
        self.image_of, self.curve = image_of, curve
        self.ending = threading.Event()
        self.ledger = Ledger()
        self.failure = None
        self.start()

    def messages(self):
        n = 0
        while True:
            yield alert(f"{self.prefix}-{n:07}", self.source)
            n += 1

    def run(self):
        context = zmq.Context()
        try:
            dealer = Dealer(context, self.address, curve=self.curve)
            dealer.ledger, dealer.image_of = self.ledger, self.image_of
            dealer.deliver(self.messages(), self.window, resend_after=1, until=self.ending)
            dealer.close()
        except Exception as failure:  # told by stop(), in the test's own thread
            self.failure = failure
        context.destroy(linger=0)

    @property
    def accepted(self):
        assert self.failure is None, self.failure
        return len(self.ledger.accepted)

    def stop(self):
        self.ending.set()
        self.join(2 * TIMEOUT_S)
        assert not self.is_alive(), "the sender did not get all its answers"
        if self.failure is not None:
            raise self.failure
        return self.ledger
