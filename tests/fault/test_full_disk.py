"""A full disk: RETRY, no ACK, the daemon does not end, and it recovers by itself."""
import json
import re

import pytest

from disk import disk  # noqa: F401 (a fixture)
from harness.alerts import SOURCE, padded
from harness.daemon import mobeyectl
from harness.peers import Dealer
from harness.wait import wait_until


def on(*kinds):
    return pytest.mark.parametrize("disk", kinds, indirect=True)


class Sender:
    """Sends one large alert at a time."""

    def __init__(self, context, daemon):
        self.dealer = Dealer(context, daemon.address())
        self.ledger = self.dealer.ledger
        self.n = 0

    def send(self):
        self.n += 1
        name = f"big-{self.n}"
        self.ledger.sent.add((SOURCE, name))
        reply = self.dealer.ask(padded(name, 60000))
        if reply.word == b"ACK":
            self.ledger.accepted[SOURCE, name] = reply.seq
        return reply.word

    def send_until(self, word):
        wait_until(lambda: self.send() == word, f"{word} from the daemon", every=0.001)


@on("tmpfs", "ext4", "xfs")
def test_a_full_disk_answers_retry_and_resumes_when_there_is_room(disk, cluster, database, daemons, context):  # noqa: F811
    daemon = daemons(database.ingest, journal=disk.path / "journal", max_size="64MiB").start()
    cluster.stop()
    sender = Sender(context, daemon)
    for _ in range(2):
        assert sender.send() == b"ACK"
        disk.fill()
        sender.send_until(b"RETRY")
        assert [sender.send() for _ in range(20)] == [b"RETRY"] * 20
        status, why = daemon.get("/readyz")
        assert status == 503 and "No space left on device" in why
        assert daemon.metric("journal_fill_ratio") < 0.9, "it is the disk that is full, not the journal"
        disk.free()
        wait_until(lambda: daemon.get("/readyz")[0] == 200, "ready without anybody sending")
        sender.send_until(b"ACK")
    cluster.start()
    daemon.wait_drained()
    database.check(sender.ledger)
    assert database.stored() == len(sender.ledger.accepted)
    daemon.stop()


@on("ext4", "xfs")
def test_a_disk_that_is_full_at_start_loses_nothing_and_recovers(disk, cluster, database, daemons, context):  # noqa: F811
    daemon = daemons(database.ingest, journal=disk.path / "journal", max_size="64MiB").start()
    cluster.stop()
    sender = Sender(context, daemon)
    disk.fill()
    sender.send_until(b"RETRY")
    for stop in (daemon.kill, daemon.stop):
        stop()
        disk.free()
        disk.fill()
        daemon.start()
        assert daemon.metric("recovered_total") == len(sender.ledger.accepted)
        sender.send_until(b"RETRY")
    disk.free()
    sender.send_until(b"ACK")
    cluster.start()
    daemon.wait_drained()
    database.check(sender.ledger)
    daemon.stop()


@on("ext4")
def test_what_is_stored_makes_room_on_a_full_disk(disk, database, daemons, context):  # noqa: F811
    """Segments that are merely kept are removed first."""
    daemon = daemons(database.ingest, journal=disk.path / "journal", max_size="64MiB").start()
    sender = Sender(context, daemon)
    while daemon.metric("journal_bytes") < 12 << 20:
        assert sender.send() == b"ACK"
    daemon.wait_drained()
    disk.fill()
    for _ in range(250):
        sender.send_until(b"ACK")
    daemon.wait_drained()
    database.check(sender.ledger)
    daemon.stop()


@on("tmpfs", "ext4")
def test_a_disk_with_room_for_one_usual_segment_is_used_whole_and_resumes_by_itself(disk, cluster, database, daemons, context):  # noqa: F811
    """The journal has one segment of the usual size, which is full: once it is stored, nobody has to make room."""
    daemon = daemons(database.ingest, journal=disk.path / "journal", max_size="640MiB").start()
    assert daemon.metric("journal_bytes") == 40 << 20
    cluster.stop()
    sender = Sender(context, daemon)
    sender.send_until(b"RETRY")
    assert len(sender.ledger.accepted) * 60000 > 45 << 20, "more than the first segment"
    cluster.start()
    daemon.wait_drained()
    wait_until(lambda: daemon.get("/readyz")[0] == 200, "ready without anybody sending")
    for _ in range(20):
        sender.send_until(b"ACK")
    daemon.wait_drained()
    database.check(sender.ledger)
    daemon.stop()


@on("tmpfs")
def test_status_says_that_senders_get_retry_though_nothing_waits(disk, database, daemons, context):  # noqa: F811
    """Other files fill the disk, so that there is no room even for the smallest segment."""
    daemon = daemons(database.ingest, journal=disk.path / "journal", max_size="640MiB").start()
    disk.fill()
    sender = Sender(context, daemon)

    def status(*options):
        sender.send_until(b"RETRY")
        return mobeyectl("status", "-c", daemon.file, "--db", database.conninfo, *options)
    sender.send_until(b"RETRY")
    daemon.wait_drained()
    shown = status()
    assert shown.returncode == 1 and "connected to the daemon" in shown.stdout
    assert re.search(r"^ +NOT READY, senders get RETRY: the journal is full: .+$", shown.stdout, re.M), shown.stdout
    seen = json.loads(status("--json").stdout)
    assert not seen["ok"] and not seen["daemon"]["ready"] and "the journal is full" in seen["daemon"]["not_ready"]
    disk.free()
    sender.send_until(b"ACK")
    shown = mobeyectl("status", "-c", daemon.file, "--db", database.conninfo)
    assert shown.returncode == 0 and "NOT READY" not in shown.stdout
    daemon.stop()
