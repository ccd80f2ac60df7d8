"""Everything at random and at once: daemons, bridge, board and database killed, frozen and cut off, a standby promoted, files
reloaded, keys revoked, the clock set, the registry edited, homes erased, journals rewound, while alerts come in by every way,
with CURVE and from cameras too, and people work the incidents.

MOBEYE_CYCLES is a third of the number of faults (see faults.py), MOBEYE_SEED makes a run's choices those of an earlier
one."""
import datetime
import http.client
import random
import shutil
import threading
import time

import psycopg
import pytest
import zmq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from chaos_checks import (check_alerts, check_cameras, check_changes, check_erased, check_follower, check_history,
                          check_incidents, check_people, stored_of_cameras)
from chaos_faults import HOME, REWIND, erase, faults
from crowd import DEVICES, PLACEMENTS, REGISTRY, RULES, Follower, MixedLoad, Officer, Panel, PubLoad, PushLoad, Traffic, image_of_event
from database_proxy import Proxy
from faults import CYCLES, LIBFAKETIME, SEED, Clock, each_cycle
from harness.alerts import alerts
from harness.board import PEOPLE, Board
from harness.curve import Site
from harness.frigate import Bridge, Broker, FrigateServer
from harness.images import image_of
from harness.paths import sanitized
from harness.peers import Dealer
from harness.portal import endpoint
from harness.standby import Pair
from harness.wait import wait_until

pytestmark = pytest.mark.skipif(not shutil.which("mosquitto"), reason="mosquitto is not installed")

# A daemon that is frozen may hold an incident, a server that was killed does not answer: neither stops the test.
IMPATIENT = "-c lock_timeout=1s -c statement_timeout=5s"


def image_of_alert(source, event_id):
    """The image that an alert was sent with; None: with none."""
    return {"/test/images": image_of, "/frigate/noord": image_of_event}.get(source, lambda _: None)(event_id)


class Stage:
    """All that takes part. `away`: the daemons that are frozen or dead; the same of server, board, bridge and Frigate. The
    first daemon has an endpoint with CURVE; each has a clock that may be set."""

    def __init__(self, pair, database, proxies, daemons, directory):
        self.chance = random.Random(SEED)
        self.pair, self.database, self.proxies = pair, database, proxies
        self.away = set()
        self.database_away = self.board_away = self.bridge_away = self.frigate_away = False
        database.execute(PEOPLE)
        database.execute(REGISTRY)
        database.execute("insert into mobeye.device (device_id) select unnest(%s::text[])", [*DEVICES, HOME])
        database.execute(PLACEMENTS)
        conninfo = make_conninfo(database.ingest, host=",".join(["127.0.0.1"] * len(proxies)),
                                 port=",".join(str(proxy.port) for proxy in proxies.values()))
        # Steps of the clock must not outdate what is applied again in the end.
        self.daemons = [daemons(conninfo, instance=f"chaos-{n}", batch_max=200, keep="7d") for n in (1, 2)]
        self.site = Site(self.daemons[0])
        self.key = self.site.client()
        self.clocks = []
        if not sanitized() and LIBFAKETIME is not None:
            self.clocks = [Clock(daemon.directory) for daemon in self.daemons]
            for daemon, clock in zip(self.daemons, self.clocks):
                daemon.env = clock.env
        for daemon in self.daemons:
            keyed = [self.site.endpoint("keyed")] if daemon is self.site.daemon else []
            mute = [daemon.conf.endpoint("push", socket="pull"), daemon.conf.endpoint("news", socket="sub")]
            daemon.conf.set(endpoints=[daemon.conf.endpoint("door"), endpoint(), *mute, *keyed], more=daemon.conf.more + RULES % ("2s", "1s"))
        self.site.clients.write(chaos=(self.key, ["*"]))
        for daemon in self.daemons:
            daemon.start()
        self.board = Board(database, directory).start()
        self.frigate, self.broker = FrigateServer(), Broker()
        self.bridge = Bridge([daemon.address() for daemon in self.daemons], self.frigate, self.broker, images={}).start()
        self.context = zmq.Context()
        self.failures = []
        self.ending = threading.Event()
        self.bookkeepers = [threading.Thread(target=self.read_books, args=[program], daemon=True)
                            for program in (*self.daemons, self.bridge)]

    def place(self, device, lon, lat):
        return self.sql("select mobeye.device_place(%s, %s, %s, team => %s)", device, lon, lat, "noord" if lon < 5.4 else "zuid")

    def present(self):
        """A daemon that runs; None: none does."""
        there = [daemon for daemon in self.daemons if daemon not in self.away]
        return self.chance.choice(there) if there else None

    def conninfo(self):
        return make_conninfo(self.database.conninfo, options=IMPATIENT, connect_timeout=5)

    def sql(self, text, *arguments):
        """As an administrator. False: the server is unavailable, or somebody holds a lock that this needs."""
        if self.database_away:
            return False
        try:
            with psycopg.connect(self.conninfo(), autocommit=True) as connection:
                connection.execute(text, arguments or None)
        except psycopg.errors.DeadlockDetected:
            raise
        except psycopg.OperationalError:  # among them lock_timeout and statement_timeout
            return False
        return True

    def read_books(self, program):
        """A scrape in which the laws between metrics do not hold is an AssertionError."""
        while not self.ending.wait(0.1):
            try:
                program.metrics()
            except (OSError, http.client.HTTPException):  # it is killed, or frozen for too long
                continue
            except Exception as failure:  # told by end(), in the test's own thread
                self.failures.append(failure)
                return

    def begin(self):
        doors = [daemon.address() for daemon in self.daemons]
        self.loads = [
            MixedLoad(doors[0], "one", source="/test/one", window=20),
            MixedLoad(doors[1], "image", source="/test/images", window=20, image_of=image_of),
            *(MixedLoad(door, "both", source="/test/both", window=5) for door in doors)]
        # Nothing answers them, so what they send may be lost. Both daemons get the same.
        self.mute = [kind(daemon.address(name), name, source=f"/test/{name}", rate=25)
                     for name, kind in (("push", PushLoad), ("news", PubLoad)) for daemon in self.daemons]
        self.keyed = MixedLoad(self.daemons[0].address("keyed"), "keyed", source="/test/keyed", window=5, rate=50, curve=self.key)
        # Not on the list of clients: nothing of it may come in, whatever happens.
        self.intruder = Dealer(self.context, self.daemons[0].address("keyed"), curve=self.site.client())
        for message in alerts(20, "intruder"):
            self.intruder.send(message)
        self.site.refused(reason="unknown")
        self.traffic = Traffic(self.frigate, self.broker, self.chance, every=0.02)
        self.panels = [Panel(daemon.address("portal"), f"30{n}") for n, daemon in enumerate(self.daemons)]
        self.home = MixedLoad(doors[0], "home", source="/test/home", devices=[HOME], window=1, rate=20)
        self.officers = [Officer(self.board, login, SEED) for login in ("jansen", "bakker", "zuider")]
        self.follower = Follower(self.board, "regie")
        for bookkeeper in self.bookkeepers:
            bookkeeper.start()

    def end(self):
        """Everybody stops, what was journaled is stored, and the page has followed the last change."""
        say("all faults are over")
        for officer in self.officers:
            officer.stop()
        say("the officers stopped")
        self.ledgers = [sender.stop() for sender in (*self.loads, *self.mute, self.keyed, *self.panels)]
        self.home.stop()
        say("the senders stopped")
        self.traffic.stop()
        self.bridge.restart()  # which finds all that Frigate knows
        wanted = self.traffic.wanted()
        wait_until(lambda: wanted <= set(stored_of_cameras(self.database)), "what cameras saw is stored", timeout=120)
        self.bridge.stop()
        say("what cameras saw is stored")
        for daemon in self.daemons:
            daemon.restart()  # what was pushed or published is journaled now, or lost
            daemon.wait_drained()
        say("the journals are stored")
        unnumbered = "select count(*) from mobeye.change where change_id is null"
        wait_until(lambda: self.database.value(unnumbered) == 0, "every change has its number")

    def close(self):
        self.ending.set()
        for bookkeeper in self.bookkeepers:
            bookkeeper.join(60)
        self.board.stop()
        self.context.destroy(linger=0)
        wrong = self.bridge.dispose()
        self.broker.close()
        self.frigate.stop()
        Clock.clear()
        if self.failures:
            raise self.failures[0]
        assert not wrong, wrong


@pytest.fixture
def pair():
    made = Pair(MOBEYE_PG_TCP="1")
    yield made
    made.close()


@pytest.fixture
def database(pair):
    """With a synchronous standby; reached at whichever server is the primary. It ends with its servers."""
    made = pair.primary.database()
    pair.follow()
    made.conninfo, made.ingest = pair.conninfo(made, user="postgres"), pair.conninfo(made)
    return made


@pytest.fixture
def proxies(pair):
    """One before each server."""
    made = {cluster: Proxy(int(conninfo_to_dict(cluster.conninfo)["port"])) for cluster in (pair.primary, pair.standby)}
    yield made
    for proxy in made.values():
        proxy.close()


@pytest.fixture
def stage(pair, database, proxies, daemons, tmp_path):
    made = Stage(pair, database, proxies, daemons, tmp_path)
    yield made
    made.close()


def say(what):
    """What a failed run shows: what was done when."""
    print(f"{datetime.datetime.now():%T.%f} {what}")


def recover(stage, lasting):
    """Everything runs again, and each daemon stores what comes in."""
    while lasting:
        lasting.pop()()
    for daemon in stage.daemons:
        stored = daemon.metric("committed_total")
        daemon.wait_metric("committed_total", lambda count: count > stored)


def play(stage, cycles):
    """Each fault begins while up to two others last; after some of them everything recovers."""
    lasting, chance = [], stage.chance
    fault = faults(chance)
    try:
        for _ in each_cycle(cycles):
            one = next(fault)
            say(one.__name__)
            lasting += filter(None, [one(stage)])
            time.sleep(chance.uniform(0, 0.3))  # no condition to wait for: the moment of the next is random
            while len(lasting) > 2 or lasting and chance.random() < 0.5:
                lasting.pop(chance.randrange(len(lasting)))()
            if chance.random() < 0.2:
                recover(stage, lasting)
                say("recovered")
    finally:
        while lasting:
            lasting.pop()()


def apply_all_again(stage):
    """Replays everything in the journals: nothing results from it."""
    positions = "select journal, position from mobeye.journal_position order by 1"
    before, stored = stage.database.rows(positions), sorted(stage.database.identities())
    stage.database.execute(REWIND)
    wait_until(lambda: stage.database.rows(positions) == before, "all is applied again")
    assert sorted(stage.database.identities()) == stored


def test_whatever_happens_at_once_nothing_is_lost_or_doubled(stage, database):
    stage.begin()
    play(stage, 3 * CYCLES)
    stage.end()
    check_alerts(database, stage.ledgers)
    pushed, published = (database.value("select count(*) from patrol.alerts where source = %s", source)
                         for source in ("/test/push", "/test/news"))
    assert pushed > 0 and published > 0
    check_cameras(database, stage.traffic)
    assert database.check_images(image_of_alert) > 0
    check_incidents(database)
    check_changes(database)
    say("alerts, incidents and changes are right")
    check_follower(database, stage.follower)
    say("the page has seen every change")
    check_history(database)
    check_people(database, stage.officers)
    say(f"{database.stored()} alerts, {pushed} of them pushed and {published} published, "
        f"{database.value('select count(*) from mobeye.incident')} incidents, "
        f"{sum(sum(officer.done.values()) for officer in stage.officers)} acts of officers, "
        f"{sum(proxy.cuts for proxy in stage.proxies.values())} cuts, seed {SEED}")
    erased = erase(database.conninfo)
    assert erased.returncode == 1 and "the device is still there" in erased.stderr, erased.stderr
    check_erased(database)
    say("the home is erased")
    apply_all_again(stage)
    check_incidents(database)
