"""Who takes part in a soak: one daemon with all kinds of endpoints, a board, senders with ledgers, officers, a page. What
happens to them in each minute; nothing of it may lose or double an alert."""
import array
import pathlib
import random
import tempfile
import typing

import psycopg
from psycopg.conninfo import make_conninfo

from chaos_checks import check_changes, check_history, check_incidents, check_people
from chaos_faults import apply_retention, move_device, redraw_area, reload_bad_file, reload_good_file
from crowd import DEVICES, PLACEMENTS, REGISTRY, RULES, STRANGERS, Follower, MixedLoad, Officer, Panel, PushLoad
from harness.board import PEOPLE, Board
from harness.curve import Site
from harness.daemon import Daemon
from harness.images import image_of
from harness.portal import endpoint
from harness.wait import wait_until

SETS = [*DEVICES, *(f"NL-{n}" for n in range(100, 1070))]
OFFICERS = ["jansen", "bakker", "zuider"]

class Comparison(typing.NamedTuple):
    """How many alerts were accepted, are stored, lost and doubled; were stored and never sent; have another image than they
    came with; were pushed, which nothing answers; and of these are missing."""
    accepted: int
    stored: int
    lost: int
    doubled: int
    unknown: int
    images: int
    pushed: int
    missing: int


class BigLedger:
    """What was sent in hours: a table beside what is stored, since memory would not hold it. What a panel sent is known by
    its frame; /test/old is what retention erases again."""

    def __init__(self, database):
        self.database = database
        database.execute("create schema soak; create table soak.ledger (source text, id text, accepted boolean not null,"
                         " image_bytes integer, primary key (source, id))")

    def write(self, ledger, image_of_id=lambda _: None):
        with psycopg.connect(self.database.conninfo) as connection, \
                connection.cursor().copy("copy soak.ledger from stdin") as copy:
            for source, id in ledger.sent:
                image = image_of_id(id)
                copy.write_row((source, id, (source, id) in ledger.accepted, len(image) if image else None))

    def compare(self):
        return Comparison(*self.database.rows("""
            with stored as (select source, coalesce(payload->>'frame', event_id) as id, count(*) as n, max(image_bytes) as image_bytes
                              from patrol.alerts where source <> '/test/old' group by 1, 2)
            select count(*) filter (where l.accepted), coalesce(sum(s.n), 0)::bigint,
                   count(*) filter (where l.accepted and s.n is null), count(*) filter (where s.n > 1),
                   count(*) filter (where l.id is null),
                   count(*) filter (where l.accepted and s.n is not null and l.image_bytes is distinct from s.image_bytes),
                   count(*) filter (where not l.accepted), count(*) filter (where not l.accepted and s.n is null)
              from soak.ledger l full join stored s using (source, id)""")[0])


class SoakStage:
    def __init__(self, database, seed):
        self.chance = random.Random(seed)
        self.database, self.ledger = database, BigLedger(database)
        self.directory = tempfile.TemporaryDirectory(prefix="mobeye.")
        for sql in (PEOPLE, REGISTRY):
            database.execute(sql)
        database.execute("insert into mobeye.device (device_id) select unnest(%s::text[])", SETS)
        database.execute(PLACEMENTS)
        self.daemon = Daemon(database.ingest, instance="soak", max_size="1GiB", keep="5m")
        self.daemons = [self.daemon]
        site = Site(self.daemon)
        key = site.client()
        conf = self.daemon.conf
        conf.set(endpoints=[conf.endpoint("door"), site.endpoint("keyed"), conf.endpoint("push", socket="pull"), endpoint()],
                 more=conf.more + RULES % ("5m", "10m"))
        site.start(soak=(key, ["*"]))
        self.board = Board(database, pathlib.Path(self.directory.name)).start()
        self.new_sender = {name: self._new_mixed(name, **how) for name, how in {
            "door-1": {}, "door-2": {}, "keyed": {"endpoint": "keyed", "curve": key},
            "images": {"rate": 50, "image_of": image_of}, "push": {"endpoint": "push", "kind": PushLoad, "rate": 50}}.items()}
        # A turn has accounts of its own: a frame without another second is the same frame.
        self.new_sender |= {f"panel-{n}": lambda n=n: Panel(self.daemon.address("portal"), f"3{n}{self.turn % 100:02}", every=0.02)
                            for n in (1, 2)}
        self.turn = 0
        self.senders = {}
        for name in self.new_sender:
            self._connect(name)
        self.officers = [Officer(self.board, login, seed, every=2) for login in OFFICERS]
        self.follower = Follower(self.board, "regie")

    def _new_mixed(self, name, endpoint="door", kind=MixedLoad, rate=110, **how):
        return lambda: kind(self.daemon.address(endpoint), f"{name}.{self.turn}", source=f"/test/{name}", window=20, rate=rate,
                            devices=SETS + STRANGERS, **how)

    # What the faults of chaos_faults.py ask of a stage.

    def present(self):
        return self.daemon

    def conninfo(self):
        return self.database.conninfo

    def sql(self, text, *arguments):
        self.database.execute(text, *arguments)
        return True

    def place(self, device, lon, lat):
        return self.sql("select mobeye.device_place(%s, %s, %s, team => %s)", device, lon, lat, "noord" if lon < 5.4 else "zuid")

    # What happens.

    def _connect(self, name):
        self.turn += 1
        self.senders[name] = self.new_sender[name]()

    def _disconnect(self, name):
        """When everything that it sent has a reply."""
        ledger = self.senders.pop(name).stop()
        assert not ledger.rejected, f"{name}: {ledger.rejected}"
        self.ledger.write(ledger, image_of if name == "images" else lambda _: None)

    def reconnect(self, name):
        self._disconnect(name)
        self._connect(name)

    def end_sessions(self):
        """Of daemon and board, all."""
        self.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename in ('mobeye_ingest', 'mobeye_board')")

    def steps(self, minute):
        """What is done in this minute, at equal intervals. In the first there is no database most of the time: what a backlog
        takes of memory is taken before it is judged. Then the good file is reloaded, every fifth time after a bad one."""
        if minute == 0:
            yield self.database.cluster.stop
            yield lambda: None
            yield self.database.cluster.start
            return
        yield lambda: (reload_bad_file if minute % 5 == 4 else reload_good_file)(self)
        for name in self.new_sender:
            yield lambda name=name: self.reconnect(name)
        yield self.end_sessions
        yield self.follower.reconnect
        yield lambda: move_device(self)
        yield lambda: redraw_area(self)
        yield lambda: apply_retention(self)

    # What must hold.

    def end(self):
        """Everybody stops, and everything journaled is stored."""
        self.database.cluster.recover()  # it may have been interrupted while the database was stopped
        for officer in self.officers:
            officer.stop()
        for name in list(self.senders):
            self._disconnect(name)
        # What was pushed may still be on its way.
        pushed = self.database.value("select count(*) from soak.ledger where not accepted")
        self.daemon.wait_metric("received_total", pushed, endpoint="push")
        self.daemon.wait_drained()
        unnumbered = "select count(*) from mobeye.change where change_id is null"
        wait_until(lambda: self.database.value(unnumbered) == 0, "every change has its number")

    def _check_page(self):
        """It has seen each change once and in order: there are too many to compare them one by one."""
        self.follower.wait(self.database.value("select max(change_id) from mobeye.change"))
        seen = self.follower.stop()
        assert seen == array.array("q", range(1, len(seen) + 1)), "the page missed a change, or saw one twice"

    def check(self):
        """Returns lines that summarise what happened."""
        found = self.ledger.compare()
        said = (f"{found.accepted} accepted, {found.stored} stored, {found.lost} lost, {found.doubled} doubled; {found.pushed} more pushed "
                f"without an answer, of which {found.missing} are missing")
        # Nothing has crashed, so what was pushed is there too.
        assert not (found.lost or found.doubled or found.unknown or found.images or found.missing), f"{said}; {found}"
        assert self.database.value("select count(*) from mobeye.quarantine") == 0, "alerts are in quarantine"
        for check in (check_incidents, check_changes, check_history):
            check(self.database)
        check_people(self.database, self.officers)
        self._check_page()
        return [said, f"{self.database.value('select count(*) from mobeye.incident')} incidents, "
                f"{sum(sum(officer.done.values()) for officer in self.officers)} acts of officers, "
                f"{self.database.value('select count(*) from mobeye.change')} changes, each seen by the page"]

    def close(self):
        """Returns what was wrong with the daemon, and its log."""
        self.board.stop()
        self.directory.cleanup()
        return self.daemon.dispose()
