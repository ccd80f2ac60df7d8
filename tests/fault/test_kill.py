"""kill -9 at random under load, again and again: what was accepted is in the database, once.

MOBEYE_CYCLES is the number of kills (see faults.py), MOBEYE_SEED makes a run's moments those of an earlier one."""
import random
import subprocess

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


def check(database, daemon, senders):
    ledgers = [sender.stop() for sender in senders]
    daemon.wait_drained()
    database.check(*ledgers)
    images = database.check_images(lambda source, event_id: image_of(event_id) if source == "/test/images" else None)
    assert images > 0
    print(f"{sum(len(ledger.accepted) for ledger in ledgers)} accepted, {database.stored()} stored, seed {SEED}")
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


def test_daemon_and_database_killed_in_turn_lose_and_double_nothing(cluster, database, daemons):
    chance = random.Random(SEED)
    # On a busy machine hardly anything is stored between two kills, and the journal would fill.
    daemon = daemons(database.ingest, batch_max=200, max_size="1GiB").start()
    senders = loads(daemon)
    for _ in each_cycle(max(CYCLES // 3, 2)):
        some_accepted(senders, chance.randrange(1, 1000))
        cluster.kill()
        some_accepted(senders, chance.randrange(1, 1000))
        daemon.kill()
        cluster.start()
        daemon.start()
    check(database, daemon, senders)
