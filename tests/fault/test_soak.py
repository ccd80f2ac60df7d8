"""The soak (./run soak): what counts as growth, and that it runs. test_chaos.py is better at showing in a short time
that nothing is lost."""
import random
import re
import subprocess

import pytest

from faults import SEED
from harness.alerts import alerts
from harness.images import jpeg
from harness.paths import ROOT, sanitized
from harness.peers import Dealer
from soak_samples import Figure, describe, growth, plot
from soak_stage import BigLedger, Comparison

MEMORY = Figure("memory", "MiB", 2, 0.05)
COUNT = Figure("descriptors", "", 2)
HOURS_8 = [60 * n for n in range(481)]


def noisy(level):
    """A value a minute: level(minute), with 1 MiB of noise."""
    chance = random.Random(SEED)
    return [level(at // 60) + chance.uniform(-0.5, 0.5) for at in HOURS_8]


@pytest.mark.parametrize("level", [
    lambda minute: 40, lambda minute: 40 + min(minute, 18) * 2, lambda minute: 400 if minute % 50 == 30 else 40, lambda minute: 40 - minute / 20,
], ids=["noise", "a warm-up", "spikes", "it shrinks"])
def test_what_stays_is_flat(level):
    assert growth(MEMORY, HOURS_8, noisy(level)).flat


@pytest.mark.parametrize("level", [
    lambda minute: 40 + minute * 500 * 60 / (1 << 20), lambda minute: 40 + (5 if minute > 300 else 0), lambda minute: 40 + minute // 60,
], ids=["a byte an alert", "a step", "a step an hour"])
def test_what_grows_is_not(level):
    assert not growth(MEMORY, HOURS_8, noisy(level)).flat


def test_a_descriptor_in_two_hours_is_growth():
    grown = growth(COUNT, HOURS_8, [40 + n % 3 + n // 120 for n in range(481)])
    assert not grown.flat
    assert "GROWS" in describe(COUNT, grown)


def test_a_short_run_is_not_judged():
    assert growth(COUNT, HOURS_8[:10], list(range(10))) is None
    assert growth(COUNT, [], []) is None
    assert growth(COUNT, HOURS_8[:12], [1] * 12).flat


def test_the_plot_shows_the_largest_of_each_column():
    lines = list(plot(COUNT, HOURS_8, [10 if n == 240 else 5 for n in range(481)]))
    assert lines[0] == "descriptors"
    assert re.fullmatch(r" +10\.0 \| {29,30}#", lines[1])
    assert lines[-2].count("#") == 60
    assert lines[-1].endswith("480 min")


def test_a_comparison_finds_what_is_wrong(context, database, daemon):
    ledger = BigLedger(database)
    dealer = Dealer(context, daemon.address())
    dealer.image_of = {"a-000001": jpeg(), "a-000002": jpeg()}.get
    dealer.deliver(alerts(5))
    daemon.wait_drained()
    sent = dealer.ledger
    source = next(iter(sent.sent))[0]
    sent.sent.remove((source, "a-000004"))  # stored, and nobody sent it
    sent.sent |= {(source, "lost"), (source, "pushed")}
    sent.accepted[source, "lost"] = 1
    database.execute("insert into mobeye.alert select * from mobeye.alert where event_id = 'a-000003'")
    ledger.write(sent, {"a-000001": jpeg(), "a-000002": jpeg(size=3000)}.get)
    assert ledger.compare() == Comparison(accepted=5, stored=6, lost=1, doubled=1, unknown=1, images=1, pushed=1, missing=1)


@pytest.mark.skipif(sanitized(), reason="what a sanitizer sees, test_chaos.py shows it")
def test_it_runs_and_finds_nothing_lost_or_doubled():
    command = ["timeout", "-k", "20", "500", ROOT / "tests" / "fault" / "soak", "5s"]  # it has processes of its own to end
    done = subprocess.run(command, capture_output=True, text=True, timeout=550)
    assert done.returncode == 0, done.stdout + done.stderr
    told = re.search(r"^(\d+) accepted, (\d+) stored, 0 lost, 0 doubled; (\d+) more pushed without an answer, of which 0 ", done.stdout, re.M)
    accepted, stored, pushed = map(int, told.groups())
    assert accepted > 0 and stored == accepted + pushed


def test_a_time_that_is_none_is_refused():
    done = subprocess.run([ROOT / "tests" / "fault" / "soak", "48h"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert 'soak: "48h" is not a time (expected 30s, 45m or 8h, at most 24h)' in done.stderr
