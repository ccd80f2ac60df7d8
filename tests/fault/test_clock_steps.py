"""The wall clock is set an hour and a day back and forth: nothing is lost, doubled or stalled, nor erased by a clock that is wrong."""
import os
import re

import pytest

from faults import CYCLES, LIBFAKETIME, Clock, pump, skip_if_sanitized, stream
from harness.alerts import alerts
from harness.peers import Dealer, Load
from harness.wait import wait_until

HOUR, DAY = 3600, 86400
STEPS = [HOUR, 0, -HOUR, 0, DAY, 0, -DAY, DAY, -DAY, 0] * max(CYCLES // 10, 1)


@pytest.fixture
def clock(tmp_path):
    skip_if_sanitized("libfaketime")
    if LIBFAKETIME is None:
        pytest.skip("libfaketime is not installed (Debian's package is faketime)")
    yield Clock(tmp_path)
    Clock.clear()


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
    """One that waits for others, and the next after it, are stored as if nothing had happened."""
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


def test_nothing_is_erased_while_the_clocks_of_the_server_and_of_the_program_differ(clock, database, daemons):
    daemon = daemons(database.ingest)
    database.execute("insert into mobeye.quarantine (quarantined_at, reason, record) values (now() - interval '40 days', '', '')")
    refusal = "the clocks of the database and of this machine are .* apart: nothing is erased"
    for ahead in -3 * HOUR, 3 * HOUR:
        clock.set(ahead)
        daemon.start(env=clock.env)
        daemon.wait_metric("maintenance_failures_total", lambda n: n == 1, job="purge")
        refused = daemon.ctl("retention", env={**os.environ, **clock.env})
        assert refused.returncode == 1 and re.search(refusal, refused.stderr), refused.stderr
        daemon.stop()
    assert len(daemon.lines("maintenance: " + refusal)) == 2
    assert database.value("select count(*) from mobeye.quarantine") == 1
    daemon.start()
    wait_until(lambda: database.value("select count(*) from mobeye.quarantine") == 0, "it is erased")
    daemon.stop()
