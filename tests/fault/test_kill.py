"""kill -9 at random under load, again and again: what was accepted is in the database, once.

MOBEYE_CYCLES is the number of kills (see faults.py), MOBEYE_SEED makes a run's moments those of an earlier one."""
import random
import subprocess

import pytest

from faults import CYCLES, SEED, each_cycle
from harness.images import image_of
from harness.peers import Load
from harness.wait import wait_until


def loads(daemon):
    return [Load(daemon.address(), f"load{n}", source=f"/test/{n}", window=window)
            for n, window in enumerate((1, 50, 1000))] + \
           [Load(daemon.address(), "image", source="/test/images", window=50, image_of=image_of)]


def some_accepted(senders, count):
    """Waits until `count` more are accepted, over all senders."""
    before = sum(sender.accepted for sender in senders)
    wait_until(lambda: sum(sender.accepted for sender in senders) >= before + count, f"{count} more accepted", every=0.001)


def wait_for_commit(database):
    """Until the writer is in COMMIT: its record is written, and waits for a standby that there is not. The daemon does not know
    whether it counts."""
    database.execute("alter system set synchronous_standby_names = 'nobody'")
    database.execute("select pg_reload_conf()")
    wait_until(lambda: database.rows("select from pg_stat_activity where application_name = 'mobeyed test-1'"
                                     " and wait_event = 'SyncRep'"), "the writer is in COMMIT", every=0.01)


def end_commits(database):
    """None of them waits any more."""
    database.execute("alter system reset synchronous_standby_names")
    database.execute("select pg_reload_conf()")


@pytest.fixture
def standby_forgotten(cluster, database):
    """No COMMIT waits after the test, however it ends."""
    yield
    cluster.recover()
    end_commits(database)


def check(database, daemon, senders, also=""):
    ledgers = [sender.stop() for sender in senders]
    daemon.wait_drained()
    database.check(*ledgers)
    images = database.check_images(lambda source, event_id: image_of(event_id) if source == "/test/images" else None)
    assert images > 0
    print(f"{sum(len(ledger.accepted) for ledger in ledgers)} accepted, {database.stored()} stored{also}, seed {SEED}")
    for ledger in ledgers:
        numbers = [seq for _, seq in sorted((key[1], seq) for key, seq in ledger.accepted.items())]
        assert len(set(numbers)) == len(numbers), "every number is given once"


def test_killed_daemons_lose_and_double_nothing(database, daemons):
    chance = random.Random(SEED)
    daemon = daemons(database.ingest, batch_max=200).start()
    senders = loads(daemon)
    for _ in each_cycle(CYCLES):
        some_accepted(senders, chance.randrange(1, 2000))
        daemon.kill()
        daemon.start()
    check(database, daemon, senders)


def test_killed_during_recovery_it_still_loses_nothing(database, daemons):
    chance = random.Random(SEED)
    daemon = daemons(database.ingest).start()
    senders = loads(daemon)
    for _ in each_cycle(CYCLES):
        some_accepted(senders, chance.randrange(1, 1000))
        daemon.kill()
        for _ in range(3):
            daemon.launch()
            moment = chance.random() * 0.05
            try:
                daemon.process.wait(moment)
            except subprocess.TimeoutExpired:
                daemon.kill()
        daemon.start()
    check(database, daemon, senders)


@pytest.mark.usefixtures("standby_forgotten")
def test_daemon_and_database_killed_in_turn_lose_and_double_nothing(cluster, database, daemons):
    chance = random.Random(SEED)
    # On a busy machine hardly anything is stored between two kills, and the journal would fill.
    daemon = daemons(database.ingest, batch_max=200, max_size="1GiB").start()
    senders = loads(daemon)
    kills, in_commit = max(CYCLES // 3, 2), 0
    for kill in each_cycle(kills):
        some_accepted(senders, chance.randrange(1, 1000))
        if kill % 2 == 0:
            wait_for_commit(database)
            in_commit += 1
        cluster.kill()
        some_accepted(senders, chance.randrange(1, 1000))
        daemon.kill()
        cluster.start()
        end_commits(database)
        daemon.start()
    check(database, daemon, senders, f", {kills} kills of the database, {in_commit} of them in COMMIT")
