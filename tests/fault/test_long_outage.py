"""A long outage of the database: ingest continues, the journal holds everything, and it drains by itself."""
import json
import os
import subprocess
import time

from faults import BENCH_SEND, CYCLES, each_cycle
from harness.figures import note_figures
from harness.paths import sanitized
from harness.wait import wait_until

ROUND = 50_000 if sanitized() else 200_000
ROUNDS = max(CYCLES // 10, 1)


def journal(daemon, name, count):
    """Sends this many alerts, all of which must be accepted; returns what the sender measured."""
    # It frees nothing.
    sent = subprocess.run([BENCH_SEND, "--to", daemon.address(), "--count", str(count), "--run", name],
                          capture_output=True, text=True, timeout=600, env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
    assert sent.returncode == 0, sent.stdout + sent.stderr
    told = json.loads(sent.stdout)
    assert told["acked"] == count, told
    return told


def test_what_came_while_the_database_was_down_arrives_once(cluster, database, daemons):
    daemon = daemons(database.ingest, max_size=f"{ROUNDS}GiB").start()
    cluster.stop()
    daemon.wait_metric("database_up", 0)
    seconds = 0
    for n in each_cycle(ROUNDS):
        seconds += journal(daemon, f"out{n}", ROUND)["seconds"]
        assert daemon.metric("journal_pending") == (n + 1) * ROUND
    cluster.start()
    begun = time.monotonic()
    wait_until(lambda: daemon.metric("journal_pending") == 0, "it drains", timeout=60 * (ROUNDS + 1))
    drained = time.monotonic() - begun
    count = ROUNDS * ROUND
    stored, distinct = database.stored(), database.value("select count(*) from (select distinct source, event_id from patrol.alerts) as one")
    note_figures(accepted=count, lost=count - distinct, doubled=stored - distinct)
    assert daemon.metric("committed_total") == count
    assert stored == distinct == count
    print(f"{count / seconds:.0f} accepted/s with the database down, drained at {count / drained:.0f}/s")
    daemon.stop()


def test_it_is_ready_only_when_a_large_journal_is_recovered(cluster, database, daemons):
    """256 MiB, left by a kill -9."""
    daemon = daemons(database.ingest, max_size="1GiB").start()
    cluster.stop()
    count = 0
    while daemon.metric("journal_bytes") <= (64 << 20 if sanitized() else 256 << 20):
        journal(daemon, f"large{count}", ROUND)
        count += ROUND
    daemon.kill()
    begun = time.monotonic()
    daemon.start()
    took = time.monotonic() - begun
    metrics = daemon.metrics()
    assert metrics.total("recovered_total") == count
    assert metrics.total("journal_pending") == count
    print(f"{metrics.total('journal_bytes') / (1 << 20):.0f} MiB, {count} alerts recovered in {took:.2f} s")
    daemon.stop()
