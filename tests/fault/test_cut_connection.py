"""The connection to the database breaks at any byte: exactly once, and the books balance in every scrape."""
import itertools
import random
import re
import selectors
import socket
import struct
import threading

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from faults import CYCLES, SEED, each_cycle, stream
from harness.cluster import Cluster
from harness.peers import Dealer
from harness.wait import wait_until

RESET = struct.pack("ii", 1, 0)
TO_SERVER, TO_DAEMON = 0, 1
BATCH = 10


class Proxy(threading.Thread):
    """Passes bytes on to the server, and cuts the writer's connection where it is told to. The daemon's others, which
    load the registry and look after silence, are passed on as they are."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.server = ("127.0.0.1", port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(0.05)
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.cut_in = self.left = None
        self.cuts = 0
        self.ending = False
        self.failure = None
        self.relays = []
        self.start()

    def cut_after(self, direction, count):
        """After `count` more bytes that way, of this connection or those after it."""
        with self.lock:
            self.cut_in, self.left = direction, count

    def run(self):
        while not self.ending:
            try:
                daemon, _ = self.listener.accept()
            except TimeoutError:
                continue
            self.relays.append(threading.Thread(target=self._serve, args=[daemon], daemon=True))
            self.relays[-1].start()

    def _serve(self, daemon):
        try:
            with daemon, socket.create_connection(self.server) as server:
                self._relay(daemon, server)
        except Exception as failure:  # told by close(), in the test's own thread
            self.failure = failure

    def _allowed(self, direction, count):
        """How many of these bytes pass, and whether it ends there."""
        with self.lock:
            if self.cut_in != direction:
                return count, False
            if count < self.left:
                self.left -= count
                return count, False
            count, self.cut_in = self.left, None
            return count, True

    def _relay(self, daemon, server):
        with selectors.DefaultSelector() as ready:
            ready.register(daemon, selectors.EVENT_READ, (TO_SERVER, server))
            ready.register(server, selectors.EVENT_READ, (TO_DAEMON, daemon))
            writers = None  # until its startup packet has said who it is
            while not self.ending:
                for key, _ in ready.select(0.05):
                    direction, to = key.data
                    try:
                        data = key.fileobj.recv(65536)
                        if writers is None and b"application_name\0" in data:
                            writers = re.search(rb"application_name\0mobeyed [^ \0]+\0", data) is not None
                        count, cut = self._allowed(direction, len(data)) if writers else (len(data), False)
                        to.sendall(data[:count])
                    except (ConnectionError, BrokenPipeError):
                        return
                    if cut:
                        self.cuts += 1
                        for end in (daemon, server):
                            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                        return
                    if not data:
                        return

    def close(self):
        self.ending = True
        self.join(60)
        for relay in self.relays:
            relay.join(60)
        self.listener.close()
        if self.failure is not None:
            raise self.failure


@pytest.fixture(scope="module")
def cluster_of_module():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOBEYE_PG_TCP", "1")
        made = Cluster()
    yield made
    made.close()


@pytest.fixture
def proxy(cluster):
    made = Proxy(int(conninfo_to_dict(cluster.conninfo)["port"]))
    yield made
    made.close()


class Stream:
    """Small batches to a daemon whose way to the database is the proxy; every look at its metrics checks the books."""

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
