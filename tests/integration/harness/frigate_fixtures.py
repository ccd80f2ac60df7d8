"""The fixtures of the tests of mobeye-frigate: a Frigate, its broker, a receiver in place of mobeyed, and bridges."""
import pathlib

import pytest

from .frigate import Bridge, Broker, FrigateServer, Receiver
from .paths import sanitized


def of_yard(alert):
    """What a Receiver may forbid."""
    return alert["data"]["device"] == "noord/yard"


@pytest.fixture
def frigate():
    made = FrigateServer()
    yield made
    made.stop()


@pytest.fixture
def broker():
    made = Broker()
    yield made
    made.close()


@pytest.fixture
def receiver(context, tmp_path_factory):
    made = Receiver(context, f"ipc://{tmp_path_factory.mktemp('r')}/door")
    yield made
    made.close()


@pytest.fixture
def bridges(frigate, broker, receiver):
    """bridges(**keys) makes a Bridge that follows them, which does not run yet."""
    made = []

    def make(to=None, broker=broker, **keys):
        made.append(Bridge(to or [receiver.address], frigate, broker, **keys))
        return made[-1]

    yield make
    wrong = [what for one in made for what in one.dispose()]
    assert not wrong


@pytest.fixture
def bridge(bridges):
    made = bridges().start()
    made.wait_following()
    return made


class Clock:
    """The bridge's clocks, both of them, and that of Frigate."""

    def __init__(self, frigate, directory):
        libraries = sorted(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
        if not libraries or sanitized():
            pytest.skip("no libfaketime, or AddressSanitizer, which does not support it")
        self.frigate, self.file = frigate, directory / "clock"
        self.env = {"LD_PRELOAD": str(libraries[0]), "FAKETIME_TIMESTAMP_FILE": str(self.file), "FAKETIME_NO_CACHE": "1"}
        self.set(0)

    def set(self, ahead_s):
        new = self.file.with_suffix(".new")
        new.write_text(f"{ahead_s:+d}\n")
        new.rename(self.file)
        self.frigate.ahead_s = ahead_s


@pytest.fixture
def clock(frigate, tmp_path):
    return Clock(frigate, tmp_path)
