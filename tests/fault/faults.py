"""What the fault tests share: how long they go on, a sender for the test's own thread, a clock that steps, and what they
skip for."""
import os
import pathlib
import re
import time

import pytest

from harness.alerts import alert
from harness.figures import note_figures
from harness.paths import BUILD, sanitized
from harness.peers import reply_of
from harness.wait import TIMEOUT_S

# How often each fault happens: with a sanitizer less often, as what it sees, it sees at the first. ./run fault gives more, and
# other seeds. The seed makes a run's moments those of an earlier one.
CYCLES = int(os.environ.get("MOBEYE_CYCLES", "4" if sanitized() else "10"))
SEED = int(os.environ.get("MOBEYE_SEED", "20261129"))
BENCH_SEND = BUILD / "tests" / "bench_send"


def each_cycle(n, first=0):
    """The numbers of n cycles; each completed one is recorded."""
    print(f"MOBEYE_SEED={SEED}")  # shown where a test fails
    for cycle in range(first, first + n):
        yield cycle
        note_figures(cycles=1)


def skip_if_sanitized(library):
    if sanitized():
        pytest.skip(f"{library} is preloaded, which AddressSanitizer does not support")


LIBFAKETIME = next(iter(sorted(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)


class Clock:
    """The wall clock of the programs that run with `env`; as in reality, its steps do not affect the monotonic
    clock."""

    def __init__(self, directory):
        self.clear()
        self.file = directory / "clock"
        self.set(0)
        self.env = {"LD_PRELOAD": str(LIBFAKETIME), "FAKETIME_TIMESTAMP_FILE": str(self.file), "FAKETIME_NO_CACHE": "1",
                    "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}

    def set(self, ahead_s):
        new = self.file.with_suffix(".new")
        new.write_text(f"{ahead_s:+d}\n")
        new.rename(self.file)
        self.ahead_s = ahead_s

    @staticmethod
    def clear():
        """Removes what killed processes left in memory: it would stop one that gets the same number."""
        for file in pathlib.Path("/dev/shm").glob("*faketime_s*"):
            number = re.search(r"_(\d+)$", file.name)
            if number and not pathlib.Path(f"/proc/{number[1]}").exists():
                file.unlink(missing_ok=True)


def stream(prefix, size=0):
    """Endless alerts, each with about `size` bytes more than it needs."""
    n = 0
    while True:
        message = alert(f"{prefix}-{n:07}")
        if size:
            message["padding"] = "x" * size
        yield message
        n += 1


def pump(dealer, messages, until, window=50):
    """Sends, at most `window` unanswered, and writes down what is accepted until `until()`; then what is there still.
    A RETRY counts as an answer: its message is not sent again."""
    flying, end = 0, time.monotonic() + TIMEOUT_S
    over = False
    while not over or dealer.socket.poll(50):
        over = over or until()
        assert time.monotonic() < end, f"not within {TIMEOUT_S} s, {flying} unanswered"
        while flying < window and not over:
            message = next(messages)
            dealer.ledger.sent.add((message["source"], message["id"]))
            dealer.send_alert(message)
            flying += 1
        dealer.socket.poll(5)
        while dealer.socket.poll(0):
            reply = reply_of(dealer.socket.recv_multipart(), dealer.delimiter)
            flying -= 1
            assert reply.word in (b"ACK", b"RETRY"), reply
            if reply.word == b"ACK":
                # All alerts of these tests are of one source.
                dealer.ledger.accepted[alert(reply.id.decode())["source"], reply.id.decode()] = reply.seq
