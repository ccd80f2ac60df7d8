"""The connection to the database breaks at any byte: exactly once, and the laws between metrics hold in every
scrape."""
import itertools
import random

import pytest
from psycopg.conninfo import make_conninfo

from database_proxy import TO_DAEMON, TO_SERVER, cluster_of_module, proxy  # noqa: F401 (fixtures)
from faults import CYCLES, SEED, each_cycle, stream
from harness.peers import Dealer
from harness.wait import wait_until

BATCH = 10


class Stream:
    """Small batches to a daemon that reaches the database through the proxy; every scrape checks the laws between its
    metrics."""

    def __init__(self, context, daemon, proxy):
        self.dealer, self.daemon, self.proxy = Dealer(context, daemon.address()), daemon, proxy
        self.messages = stream("cut")

    def send(self, count):
        self.dealer.deliver(list(itertools.islice(self.messages, count)))

    def settle(self):
        """Until the daemon is connected and has stored something more: it tries again at once after the next cut."""
        stored = self.daemon.metric("committed_total")
        self.send(1)
        self.daemon.wait_metric("committed_total", lambda value: value > stored)

    def cut(self, direction, count):
        cuts = self.proxy.cuts
        self.proxy.cut_after(direction, count)
        wait_until(lambda: self.send(BATCH) or self.daemon.metrics() and self.proxy.cuts > cuts, "a cut", every=0.001)

    def close(self, database):
        self.daemon.wait_drained()
        database.check(self.dealer.ledger)
        print(f"{self.proxy.cuts} cuts, {len(self.dealer.ledger.accepted)} accepted, seed {SEED}")
        self.daemon.stop()


@pytest.fixture
def sender(proxy, database, daemons, context):
    conninfo = make_conninfo(database.ingest, host="127.0.0.1", port=proxy.port)
    made = Stream(context, daemons(conninfo, batch_max=BATCH).start(), proxy)
    made.settle()
    return made


# About what a batch takes that way.
@pytest.mark.parametrize("direction, span", [(TO_SERVER, 5000), (TO_DAEMON, 400)], ids=["to-server", "to-daemon"])
def test_cut_at_any_byte_it_stores_exactly_once(sender, database, direction, span):
    chance = random.Random(SEED)
    cycles = 2 * CYCLES
    for cycle in each_cycle(cycles):
        sender.cut(direction, chance.randrange(cycle * span // cycles, (cycle + 1) * span // cycles) + 1)
        sender.settle()
    sender.close(database)


def test_cut_while_it_connects_it_tries_again(sender, database):
    chance = random.Random(SEED)
    for cycle in each_cycle(CYCLES):
        direction = (TO_SERVER, TO_DAEMON)[cycle % 2]
        sender.cut(direction, 1)
        sender.cut(direction, chance.randrange(1, 700))
        sender.settle()
    sender.close(database)
