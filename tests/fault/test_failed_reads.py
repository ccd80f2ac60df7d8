"""The disk cannot read the journal: it is retried, then what is readable is delivered and the rest quarantined."""
import pytest

from faults import skip_if_sanitized
from harness.alerts import alert
from harness.paths import BUILD
from harness.peers import Dealer
from harness.wait import wait_until

SHIM = BUILD / "tests" / "shim.so"
FIRST = "00000000000000000001.seg"


class Disk:
    """The part of a daemon's journal that cannot be read."""

    def __init__(self, path):
        self.path = path

    def fail(self, what):
        new = self.path.with_suffix(".new")
        new.write_text(what + "\n")
        new.rename(self.path)

    def repair(self):
        self.path.unlink()


@pytest.fixture
def disk(tmp_path):
    return Disk(tmp_path / "unreadable")


@pytest.fixture
def reading(database, daemons, disk):
    """A daemon whose reads can be made to fail; the database is up."""
    skip_if_sanitized(SHIM.name)
    daemon = daemons(database.ingest).start(env={"LD_PRELOAD": str(SHIM), "MOBEYE_UNREADABLE": str(disk.path)})
    daemon.wait_metric("database_up", 1)
    return daemon


def accept(dealer, first, until):
    for n in range(first, until):
        assert dealer.ask(alert(f"read-{n:06}")).word == b"ACK"


def stored(database):
    return {event for _, event in database.identities()}


def test_a_read_that_failed_is_tried_again_without_another_alert(reading, database, context, disk):
    dealer = Dealer(context, reading.address())
    disk.fail(f"pread {FIRST} 0 100000000")
    accept(dealer, 0, 3)
    reading.wait_log(rf"error +journal: segment {FIRST}: cannot read at 0: Input/output error")
    reading.wait_metric("journal_read_failures_total", lambda n: n >= 3)
    assert reading.metric("journal_pending") == 3
    disk.repair()
    reading.wait_drained()
    assert database.stored() == 3
    assert len(reading.lines("error +journal:")) == 1, "one line for all of them"
    assert reading.lines("info +journal: is readable again")
    assert reading.metric("quarantined_total") == 0


def test_a_part_that_stays_unreadable_costs_its_alerts_and_what_comes_after_goes_on(reading, database, context, disk):
    dealer = Dealer(context, reading.address())
    accept(dealer, 0, 10)
    reading.wait_drained()
    disk.fail(f"pread {FIRST} 20480 24576")
    accept(dealer, 10, 60)
    reading.wait_drained()
    lost = reading.metric("quarantined_total")
    assert 0 < lost < 20
    assert len(stored(database)) == 60 - lost
    assert {f"read-{n:06}" for n in (*range(10), *range(50, 60))} <= stored(database)
    assert reading.metric("journal_damaged_total") == lost
    assert database.value("select count(*) from mobeye.quarantine") == lost
    assert reading.lines(rf"error +journal: damage: gave up an unreadable segment: {lost:.0f} of its records")
    assert list((reading.conf.journal / "salvaged").iterdir()), "what could be read of them is kept"
    accept(dealer, 60, 70)
    reading.wait_drained()
    assert reading.metric("quarantined_total") == lost, "nothing more was appended to that segment"
    database.wait_stored(70 - lost)


def test_a_segment_that_cannot_be_opened_costs_itself_alone(reading, database, context, disk):
    dealer = Dealer(context, reading.address())
    disk.fail(f"openat {FIRST}")
    accept(dealer, 0, 20)
    reading.wait_metric("quarantined_total", 20)
    accept(dealer, 20, 30)
    reading.wait_drained()
    assert stored(database) == {f"read-{n:06}" for n in range(20, 30)}
    assert reading.metric("journal_damaged_total") == 20
    assert {row[0] for row in database.rows("select journal_seq from mobeye.quarantine")} == set(range(1, 21))


def test_a_stop_does_not_wait_for_what_cannot_be_read(reading, database, context, disk):
    dealer = Dealer(context, reading.address())
    disk.fail(f"openat {FIRST}")
    accept(dealer, 0, 5)
    wait_until(lambda: reading.metric("journal_read_failures_total") > 0, "a failed read")
    reading.stop()
    disk.repair()
    reading.start()
    reading.wait_drained()
    assert database.stored() == 5
