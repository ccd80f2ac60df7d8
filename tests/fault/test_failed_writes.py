"""A write or sync of the journal fails: no ACK for it, the process ends, the next one delivers what was accepted.
And a sync of mobeyectl fails: it leaves nothing half installed."""
import os

import pytest

from faults import CYCLES, each_cycle, pump, skip_if_sanitized, stream
from harness.daemon import mobeyectl
from harness.images import image_of
from harness.paths import BUILD
from harness.peers import Dealer, Ledger

SHIM = BUILD / "tests" / "shim.so"
# Segments of a mebibyte, so that new ones come often.
MAX_SIZE = "16MiB"
SEGMENTS = min(max(CYCLES // 3, 3), 12)


def failing(call, n, how):
    return {"LD_PRELOAD": str(SHIM), "MOBEYE_FAULT": f"{call}:{n}:{how}"}


@pytest.fixture
def journaling(database, daemons):
    skip_if_sanitized(SHIM.name)
    assert SHIM.exists(), f"{SHIM} is missing: build it"
    daemon = daemons(database.ingest, max_size=MAX_SIZE)
    yield daemon
    database.check(daemon.ledger)
    assert database.check_images(lambda _, event_id: image_of(event_id)) > 0
    daemon.stop()


@pytest.fixture
def send(journaling, context):
    """send(until, window) goes on with one stream, on a connection of its own."""
    journaling.ledger = Ledger()
    messages = stream("fail", 4000)

    def made(until, window=20):
        dealer = Dealer(context, journaling.address())
        dealer.ledger, dealer.image_of = journaling.ledger, image_of
        pump(dealer, messages, until, window)
        dealer.close()

    return made


@pytest.mark.parametrize("call, how", [
    ("pwritev", "EIO"), ("pwritev", "ENOSPC"), ("pwritev", "torn"),
    ("fdatasync", "EIO"), ("fdatasync", "ENOSPC"), ("fdatasync", "lost"),
    ("fsync", "EIO"), ("fallocate", "EIO"),
])
def test_it_ends_with_1_and_everything_accepted_arrives(journaling, send, call, how):
    calls = CYCLES if call in ("pwritev", "fdatasync") else SEGMENTS
    for n in each_cycle(calls, 1):
        journaling.launch(env=failing(call, n, how))
        send(lambda: not journaling.running(), window=1 if n % 2 else 20)
        assert journaling.wait_exit() == 1, f"{call} {n}"
        assert len(journaling.lines("^shim: ")) == n, "the call was made, and failed"
    journaling.start()
    enough = len(journaling.ledger.accepted) + 100
    send(lambda: len(journaling.ledger.accepted) >= enough)
    journaling.wait_drained()


def test_a_short_write_is_completed(journaling, send):
    for n in each_cycle(CYCLES, 1):
        journaling.start(env=failing("pwritev", n, "short"))
        send(lambda: journaling.lines(f"^shim: pwritev {n}: short"))
        journaling.kill()
    journaling.start()
    send(lambda: journaling.ledger.accepted)
    journaling.wait_drained()
    assert len(journaling.ledger.accepted) > 0


def test_no_room_for_a_segment_is_a_retry_and_no_end(journaling, send):
    for n in range(2, SEGMENTS + 1):
        journaling.start(env=failing("fallocate", n, "ENOSPC"))
        send(lambda: journaling.lines(f"^shim: fallocate {n}: ENOSPC"))
        enough = len(journaling.ledger.accepted) + 300
        send(lambda: len(journaling.ledger.accepted) >= enough)
        journaling.stop()
    journaling.start()
    journaling.wait_drained()


@pytest.mark.parametrize("n, installed", [(1, False), (2, True), (3, False), (4, True)],
                         ids=["previous", "directory-of-previous", "file", "directory-of-file"])
def test_apply_installs_both_files_or_neither(daemons, database, tmp_path, n, installed):
    """A directory that cannot be synced has the file nevertheless."""
    skip_if_sanitized(SHIM.name)
    daemon = daemons(database.ingest)
    daemon.write()
    target, previous = tmp_path / "target.yaml", tmp_path / "target.yaml.previous"
    target.write_text("as it was")
    previous.write_text("as it was before")
    done = mobeyectl("apply", "-c", target, "--unit", "none", "--yes", "--no-replay", daemon.file,
                     env=os.environ | failing("fsync", n, "EIO"))
    assert f"shim: fsync {n}: EIO" in done.stderr and "Input/output error" in done.stderr, done.stderr
    assert done.returncode == (0 if installed else 1), done.stderr
    assert ("a power failure may undo that" in done.stderr) == installed
    assert target.read_text() == (daemon.file.read_text() if installed else "as it was")
    assert previous.read_text() == ("as it was" if installed else "as it was before")


@pytest.mark.parametrize("n", [1, 2], ids=["file", "directory"])
def test_keygen_prints_no_public_key_where_the_secret_one_may_be_lost(tmp_path, n):
    skip_if_sanitized(SHIM.name)
    done = mobeyectl("keygen", tmp_path / "server.key", env=os.environ | failing("fsync", n, "EIO"))
    assert f"shim: fsync {n}: EIO" in done.stderr and "Input/output error" in done.stderr, done.stderr
    assert (done.returncode, done.stdout, list(tmp_path.iterdir())) == (1, "", [])
