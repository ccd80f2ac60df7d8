"""The wall clock is set an hour and a day back and forth: nothing is lost, doubled or stalled."""
import pathlib

import pytest

from faults import CYCLES, pump, skip_if_sanitized, stream
from harness.alerts import alerts
from harness.peers import Dealer, Load
from harness.wait import wait_until

HOUR, DAY = 3600, 86400
STEPS = [HOUR, 0, -HOUR, 0, DAY, 0, -DAY, DAY, -DAY, 0] * max(CYCLES // 10, 1)


@pytest.fixture
def clock(tmp_path):
    return Clock(tmp_path)


class Clock:
    """The daemon's wall clock; as in earnest, the monotonic one does not know of its steps."""

    def __init__(self, directory):
        skip_if_sanitized("libfaketime")
        libraries = sorted(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
        if not libraries:
            pytest.skip("libfaketime is not installed (Debian's package is faketime)")
        self.file = directory / "clock"
        self.set(0)
        self.env = {"LD_PRELOAD": str(libraries[0]), "FAKETIME_TIMESTAMP_FILE": str(self.file), "FAKETIME_NO_CACHE": "1",
                    "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}

    def set(self, ahead_s):
        new = self.file.with_suffix(".new")
        new.write_text(f"{ahead_s:+d}\n")
        new.rename(self.file)
        self.ahead_s = ahead_s


def test_steps_under_load_lose_and_double_nothing(clock, database, daemons):
    daemon = daemons(database.ingest, batch_max=100).start(env=clock.env)
    load = Load(daemon.address(), "step")
    for step in STEPS:
        clock.set(step)
        accepted, stored = load.accepted, daemon.metric("committed_total")
        wait_until(lambda: load.accepted > accepted + 200, f"accepted at {step:+} s")
        wait_until(lambda: daemon.metric("committed_total") > stored + 200, f"stored at {step:+} s")
    ledger = load.stop()
    daemon.wait_drained()
    database.check(ledger)
    assert database.stored() == len(ledger.accepted)
    daemon.stop()


def test_a_step_stalls_no_alert_that_is_alone(clock, database, daemons, context):
    """One that waits for company, and the next after it, come through as if nothing was."""
    daemon = daemons(database.ingest, batch_wait="50ms").start(env=clock.env)
    dealer = Dealer(context, daemon.address())
    for n, step in enumerate(STEPS):
        dealer.deliver(alerts(1, f"before-{n}"))
        clock.set(step)
        dealer.deliver(alerts(1, f"after-{n}"))
        database.wait_stored(2 * n + 2)
    skew = database.value("select max(abs(extract(epoch from received_at - now()))) from patrol.alerts")
    assert skew > DAY - HOUR, "the daemon saw the steps"
    daemon.stop()


def test_what_waits_through_a_step_and_a_restart_arrives_once(clock, cluster, database, daemons, context):
    daemon = daemons(database.ingest, max_size="16MiB", keep="1h").start(env=clock.env)
    dealer = Dealer(context, daemon.address())
    dealer.deliver(alerts(300, "stored"))
    daemon.wait_drained()
    cluster.stop()
    messages = stream("waits", 1000)
    for step in (DAY, -DAY, HOUR, -HOUR):
        clock.set(step)
        enough = len(dealer.ledger.accepted) + 300
        pump(dealer, messages, lambda: len(dealer.ledger.accepted) >= enough)
        daemon.kill()
        daemon.start(env=clock.env)
    cluster.start()
    daemon.wait_drained()
    database.check(dealer.ledger)
    daemon.stop()
