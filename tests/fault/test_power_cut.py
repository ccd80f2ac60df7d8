"""The power fails under load: what was accepted is on the disk, and arrives once."""
import random

import pytest

from disk import disk  # noqa: F401 (a fixture)
from faults import CYCLES, SEED, each_cycle, pump, stream
from harness.images import image_of
from harness.peers import Dealer, Ledger


@pytest.mark.parametrize("disk", ["ext4", "xfs"], indirect=True)
@pytest.mark.parametrize("database_up", [True, False], ids=["database-up", "database-down"])
def test_a_power_cut_loses_and_doubles_nothing(disk, cluster, database, daemons, context, database_up):  # noqa: F811
    chance = random.Random(SEED)
    daemon = daemons(database.ingest, journal=disk.path / "journal", max_size="48MiB", batch_max=200)
    ledger, messages = Ledger(), stream("cut", 300)
    if not database_up:
        cluster.stop()
    for cycle in each_cycle(max(CYCLES // 2, 2)):
        daemon.start()
        if not database_up and cycle % 20 == 19:
            cluster.start()
            daemon.wait_drained()
            cluster.stop()
        dealer = Dealer(context, daemon.address())
        dealer.ledger, dealer.image_of = ledger, image_of
        enough = len(ledger.accepted) + chance.randrange(1, 1500)
        pump(dealer, messages, lambda: len(ledger.accepted) >= enough, window=chance.choice((1, 20, 300)))
        disk.cut_power()
        pump(dealer, messages, lambda: not daemon.running())
        assert daemon.wait_exit() == 1, "a write that failed ends it"
        dealer.close()
        disk.power_on()
    if not database_up:
        cluster.start()
    daemon.start()
    daemon.wait_drained()
    database.check(ledger)
    assert database.check_images(lambda _, event_id: image_of(event_id)) > 0
    print(f"{len(ledger.accepted)} accepted, {database.stored()} stored, seed {SEED}")
    daemon.stop()
