"""Everything at random and at once: daemons, board and database killed, frozen and cut off, files reloaded, the registry
edited, homes erased, journals rewound, while alerts come in by every way and people work the incidents.

MOBEYE_CYCLES is a third of the number of faults (10 unless given), MOBEYE_SEED makes a run's choices those of an earlier
one."""
import datetime
import http.client
import os
import random
import signal
import threading
import time

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from chaos_checks import (check_alerts, check_changes, check_erased, check_follower, check_history, check_incidents,
                          check_people)
from crowd import DEVICES, Follower, MixedLoad, Officer, Panel
from database_proxy import TO_DAEMON, TO_SERVER, cluster_of_module, proxy  # noqa: F401 (fixtures)
from faults import CYCLES, SEED, each_cycle
from harness.board import PEOPLE, Board
from harness.daemon import mobeyectl
from harness.images import image_of
from harness.portal import endpoint
from harness.wait import wait_until

RULES = """
rules:
  - {name: signs-of-life, match: {kind: [keepalive, arm, bypass]}, action: store}
  - {name: panic, match: {kind: [panic, holdup]}, incident: {category: alarm, priority: 1, group_by: [device], gap: 4h30m, overdue: 1s}}
  - {name: strangers, match: {registered: false}, incident: {category: service, priority: 4, group_by: [endpoint], gap: 24h}}
  - {name: technical, match: {kind: [power, battery, comms]}, incident: {category: service, priority: 4, group_by: [device, kind], gap: 24h}}
  - {name: default, incident: {category: alarm, priority: 2, group_by: [device], gap: 2s, settle: 1s, verify_by: {within: 5m, radius: 150m, priority: 1}}}
"""
HOME = "NL-home"
REGISTRY = """
insert into mobeye.area (layer, code, name, geom) values
    ('wijk', 'WK1', 'Een', st_geomfromtext('POLYGON((5.3 52.1, 5.4 52.1, 5.4 52.2, 5.3 52.2, 5.3 52.1))', 4326)),
    ('wijk', 'WK2', 'Twee', st_geomfromtext('POLYGON((5.4 52.1, 5.5 52.1, 5.5 52.2, 5.4 52.2, 5.4 52.1))', 4326));
"""
PLACEMENTS = """
select mobeye.device_place(device_id, 5.31 + (row_number() over ()) % 18 / 100.0, 52.15, team => 'noord') from mobeye.device
 where device_id like 'NL-%'
"""
OLD_ALERT = """
select mobeye.make_partitions('alarm', now() - interval '400 days', now() - interval '399 days');
insert into mobeye.alert (class, kind, phase, location_source, occurred_at, received_at, journal_seq, origin, flags, drill,
                          source, event_id, device_id, payload)
    values (0, 2, 0, 0, now() - interval '400 days', now() - interval '400 days', 1, 1, 0, false, '/test/old', 'old', 'NL-00', '{}')
"""
REWIND = "select mobeye.journal_rewind(journal, 0, 0) from mobeye.journal_position"
# A daemon that is frozen may hold an incident, a server that was killed does not answer: neither stops the test.
IMPATIENT = "-c lock_timeout=1s -c statement_timeout=5s"


class Stage:
    """All that takes part. `away`: the daemons that are frozen or dead; the same of server and board."""

    def __init__(self, database, proxy, daemons, directory):  # noqa: F811
        self.chance = random.Random(SEED)
        self.database, self.proxy = database, proxy
        self.away = set()
        self.database_away = self.board_away = False
        database.execute(PEOPLE)
        database.execute(REGISTRY)
        database.execute("insert into mobeye.device (device_id) select unnest(%s::text[])", [*DEVICES, HOME])
        database.execute(PLACEMENTS)
        conninfo = make_conninfo(database.ingest, host="127.0.0.1", port=proxy.port)
        self.daemons = [daemons(conninfo, instance=f"chaos-{n}", more=RULES, batch_max=200) for n in (1, 2)]
        for daemon in self.daemons:
            daemon.conf.set(endpoints=[daemon.conf.endpoint("door"), endpoint()])
            daemon.start()
        self.board = Board(database, directory).start()
        self.failures = []
        self.ending = threading.Event()
        self.bookkeepers = [threading.Thread(target=self.read_books, args=[daemon], daemon=True) for daemon in self.daemons]

    def place(self, device, lon, lat):
        return self.sql("select mobeye.device_place(%s, %s, %s, team => %s)", device, lon, lat, "noord" if lon < 5.4 else "zuid")

    def present(self):
        """A daemon that runs; None: none does."""
        there = [daemon for daemon in self.daemons if daemon not in self.away]
        return self.chance.choice(there) if there else None

    def conninfo(self):
        return make_conninfo(self.database.conninfo, options=IMPATIENT, connect_timeout=5)

    def sql(self, text, *arguments):
        """As an administrator. False: the server is not there, or somebody holds what this needs."""
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

    def read_books(self, daemon):
        """A scrape whose books do not balance is an AssertionError."""
        while not self.ending.wait(0.1):
            try:
                daemon.metrics()
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
        self.ledgers = [sender.stop() for sender in (*self.loads, *self.panels)]
        self.home.stop()
        say("the senders stopped")
        for daemon in self.daemons:
            daemon.wait_drained()
        say("the journals are stored")
        unnumbered = "select count(*) from mobeye.change where change_id is null"
        wait_until(lambda: self.database.value(unnumbered) == 0, "every change has its number")

    def close(self):
        self.ending.set()
        for bookkeeper in self.bookkeepers:
            bookkeeper.join(60)
        self.board.stop()
        if self.failures:
            raise self.failures[0]


# The faults. Each returns what ends it, if it does not end by itself; None also where there is nobody to do it to.

def kill_daemon(stage):
    daemon = stage.present()
    if daemon:
        daemon.kill()
        daemon.start()


def kill_daemon_for_a_while(stage):
    daemon = stage.present()
    if daemon is None:
        return None
    daemon.kill()
    stage.away.add(daemon)

    def start():
        daemon.start()
        stage.away.remove(daemon)
    return start


def freeze_daemon(stage):
    daemon = stage.present()
    if daemon is None:
        return None
    daemon.signal(signal.SIGSTOP)
    stage.away.add(daemon)

    def thaw():
        daemon.signal(signal.SIGCONT)
        stage.away.remove(daemon)
    return thaw


def reload_good_file(stage):
    daemon = stage.present()
    if daemon:
        daemon.reload(batch_max=stage.chance.choice((100, 1000, 5000)), batch_wait=stage.chance.choice(("1ms", "20ms")))
        assert daemon.metric("config_last_reload_successful") == 1


def reload_bad_file(stage):
    daemon = stage.present()
    if daemon:
        daemon.file.write_text(daemon.conf.text() + stage.chance.choice(("flavour: vanilla\n", "instance: again\n", "rules: [\n")))
        daemon.hang_up()
        assert daemon.metric("config_last_reload_successful") == 0
        daemon.reload()
        assert daemon.metric("config_last_reload_successful") == 1


def take_database(stage, take, give_back):
    if stage.database_away:
        return None
    stage.database_away = True
    take()

    def back():
        give_back()
        stage.database_away = False
    return back


def kill_database(stage):
    cluster = stage.database.cluster
    return take_database(stage, cluster.kill, cluster.start)


def freeze_database(stage):
    cluster = stage.database.cluster
    return take_database(stage, cluster.freeze, cluster.thaw)


def restart_database(stage):
    if not stage.database_away:
        stage.database.cluster.restart()


def end_backends(stage):
    stage.sql("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
              " and random() < 0.7")


def cut_connection(stage):
    stage.proxy.cut_after(*stage.chance.choice(((TO_SERVER, stage.chance.randrange(1, 20000)),
                                                (TO_DAEMON, stage.chance.randrange(1, 2000)))))


def stall_connections(stage):
    stage.proxy.stall()
    return stage.proxy.resume


def kill_board(stage):
    if stage.board_away:
        return None
    stage.board_away = True
    stage.board.stop(signal.SIGKILL)

    def start():
        stage.board.start(ready=False)
        stage.board_away = False
    return start


def freeze_board(stage):
    if stage.board_away:
        return None
    stage.board_away = True
    os.kill(stage.board.process.pid, signal.SIGSTOP)

    def thaw():
        os.kill(stage.board.process.pid, signal.SIGCONT)
        stage.board_away = False
    return thaw


def move_device(stage):
    stage.place(stage.chance.choice(DEVICES), stage.chance.uniform(5.3, 5.5), 52.15)


def retrieve_device(stage):
    stage.sql("select mobeye.device_retrieve(device_id) from mobeye.device where device_id = %s and state = 'placed'",
              stage.chance.choice(DEVICES))


def redraw_area(stage):
    stage.sql("update mobeye.area set geom = st_translate(geom, %s, 0) where code = %s", stage.chance.choice((0.01, -0.01)),
              stage.chance.choice(("WK1", "WK2")))


def erase(conninfo):
    return mobeyectl("subject", "erase", "--yes", "--device", HOME, "--from", "2000-01-01T00:00:00Z", "--until", "2100-01-01T00:00:00Z",
                     "--db", conninfo)


def erase_home(stage):
    if not stage.database_away:
        erase(stage.conninfo())


def apply_retention(stage):
    if stage.sql(OLD_ALERT):
        mobeyectl("retention", "-c", stage.daemons[0].file, "--db", stage.conninfo())


def rewind_journals(stage):
    stage.sql(REWIND)


FAULTS = [kill_daemon, kill_daemon_for_a_while, freeze_daemon, reload_good_file, reload_bad_file, kill_database, freeze_database,
          restart_database, end_backends, cut_connection, stall_connections, kill_board, freeze_board, move_device,
          retrieve_device, redraw_area, erase_home, apply_retention, rewind_journals]


def faults(chance):
    """Without end, in any order, all before one comes again."""
    while True:
        yield from chance.sample(FAULTS, len(FAULTS))


@pytest.fixture
def stage(database, proxy, daemons, tmp_path):  # noqa: F811
    made = Stage(database, proxy, daemons, tmp_path)
    yield made
    made.close()


def say(what):
    """What a failed run shows: when what was done."""
    print(f"{datetime.datetime.now():%T.%f} {what}")


def recover(stage, lasting):
    """Everything runs again, and each daemon stores what comes in."""
    while lasting:
        lasting.pop()()
    for daemon in stage.daemons:
        stored = daemon.metric("committed_total")
        daemon.wait_metric("committed_total", lambda count: count > stored)


def play(stage, cycles):
    """Each fault begins while up to two others last; after some of them all recover."""
    lasting, chance = [], stage.chance
    fault = faults(chance)
    try:
        for _ in each_cycle(cycles):
            one = next(fault)
            say(one.__name__)
            lasting += filter(None, [one(stage)])
            time.sleep(chance.uniform(0, 0.3))  # the moment of the next
            while len(lasting) > 2 or lasting and chance.random() < 0.5:
                lasting.pop(chance.randrange(len(lasting)))()
            if chance.random() < 0.2:
                recover(stage, lasting)
                say("recovered")
    finally:
        while lasting:
            lasting.pop()()


def apply_all_again(stage):
    """Everything that the journals hold: nothing comes of it."""
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
    assert database.check_images(lambda source, event_id: image_of(event_id) if source == "/test/images" else None) > 0
    check_incidents(database)
    check_changes(database)
    say("alerts, incidents and changes are right")
    check_follower(database, stage.follower)
    say("the page has seen every change")
    check_history(database)
    check_people(database, stage.officers)
    say(f"{database.stored()} alerts, {database.value('select count(*) from mobeye.incident')} incidents, "
        f"{sum(sum(officer.done.values()) for officer in stage.officers)} acts of officers, {stage.proxy.cuts} cuts, seed {SEED}")
    erased = erase(database.conninfo)
    assert erased.returncode == 1 and "the device is still there" in erased.stderr, erased.stderr
    check_erased(database)
    say("the home is erased")
    apply_all_again(stage)
    check_incidents(database)
