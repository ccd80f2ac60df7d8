"""Frigate, its broker, mobeye-frigate and mobeyed are killed at random while events come and go: what Frigate still knows
is in the database, once.

MOBEYE_CYCLES is the number of kills (see faults.py), MOBEYE_SEED makes a run's moments those of an earlier one."""
import itertools
import random
import shutil
import time

import pytest

from crowd import Traffic
from faults import CYCLES, SEED, each_cycle
from harness.frigate import JPEG, Bridge, Broker, FrigateServer, event
from harness.wait import wait_until

pytestmark = pytest.mark.skipif(not shutil.which("mosquitto"), reason="mosquitto is not installed")


def test_whichever_process_is_killed_nothing_is_lost_or_doubled(database, daemons):
    chance = random.Random(SEED)
    daemon = daemons(database.ingest).start()
    frigate, broker = FrigateServer(), Broker()
    bridge = Bridge([daemon.address()], frigate, broker, images={}).start()
    traffic = Traffic(frigate, broker, chance)
    try:
        for _ in each_cycle(CYCLES):
            enough = traffic.made + chance.randrange(5, 60)
            wait_until(lambda: traffic.made > enough, "more events")
            victim = chance.choice(["bridge", "daemon", "broker", "frigate", "both"])
            if victim in ("bridge", "both"):
                bridge.kill()
            if victim in ("daemon", "both"):
                daemon.kill()
                daemon.start()
            if victim in ("bridge", "both"):
                bridge.start()
            if victim == "broker":
                broker.stop()
                broker.start()
            if victim == "frigate":
                frigate.stop()
                frigate.start()
        traffic.stop()
        # A restart is what finds all at once; a cycle of its own would take a minute.
        bridge.stop()
        bridge.start()
        wanted = traffic.wanted()

        def stored():
            return {row[0] for row in database.rows("select event_id from patrol.alerts where event_id !~ ':update:|line:|:image:end'")}
        lacking = wanted - stored()
        while lacking:  # thousands of images, on a machine that has other work
            before = len(lacking)
            wait_until(lambda: len(wanted - stored()) < before, lambda: f"{sorted(lacking)[:5]} of {len(wanted)}", timeout=120)
            lacking = wanted - stored()
        assert stored() == wanted
        assert database.value("select count(*) from patrol.alerts where event_id like '%:image' and image_bytes is null") == 0
        doubles = database.rows("select event_id from patrol.alerts group by source, event_id having count(*) > 1")
        assert not doubles
        assert database.value("select count(*) from patrol.alerts where 'identity_conflict' = any(flags)") == 0
        print(f"{len(wanted)} alerts, seed {SEED}")
    finally:
        traffic.ending.set()
        wrong = bridge.dispose()
        broker.close()
        frigate.stop()
    assert not wrong


def life(frigate, broker, one, stored):
    """The steps of an event and of its image: what happens, by name, in order."""
    later = {**one, "entered_zones": ["oprit"], "current_zones": ["oprit"]}
    ended = {**later, "end_time": time.time()}

    def tell(kind, what):
        frigate.know(what)
        broker.tell(kind, what)

    yield "nothing yet", lambda: None
    yield "begun", lambda: tell("new", one)
    yield "begin stored", lambda: stored(f"{one['id']}:new")
    yield "image stored", lambda: stored(f"{one['id']}:image")
    yield "changed", lambda: tell("update", later)
    yield "ended", lambda: tell("end", ended)
    yield "end stored", lambda: stored(f"{one['id']}:end")


STEPS = ["nothing yet", "begun", "begin stored", "image stored", "changed", "ended", "end stored"]


def test_each_party_is_restarted_after_each_step(database, daemons):
    daemon = daemons(database.ingest).start()
    frigate, broker = FrigateServer(), Broker()
    bridge = Bridge([daemon.address()], frigate, broker, images={}).start()

    def stored(wanted):
        wait_until(lambda: database.value("select count(*) from patrol.alerts where event_id = %s", wanted) == 1, lambda: f"{wanted} {case}")

    kills = {"bridge": bridge.kill, "daemon": daemon.kill, "broker": broker.stop, "frigate": frigate.stop}
    starts = {"bridge": bridge.start, "daemon": daemon.start, "broker": broker.start, "frigate": frigate.start}
    wanted = set()
    try:
        for number, case in enumerate(itertools.product(STEPS, kills)):
            one = event(number, start=time.time() - 1)
            frigate.images[one["id"]] = JPEG + one["id"].encode()
            wanted |= {f"{one['id']}:{what}" for what in ("new", "image", "end")}
            for step, happens in life(frigate, broker, one, stored):
                happens()
                if step == case[0]:
                    kills[case[1]]()
                    starts[case[1]]()
        rows = database.rows("select event_id, image_bytes from patrol.alerts where event_id !~ ':update:|line:|:image:end'")
        assert sorted(row[0] for row in rows) == sorted(wanted)
        assert all(size for name, size in rows if name.endswith(":image"))
    finally:
        wrong = bridge.dispose()
        broker.close()
        frigate.stop()
    assert not wrong
