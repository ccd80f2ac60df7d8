"""None of several clients can fill the journal for the others: each has a share."""
import pytest
from harness.alerts import alert, padded
from harness.curve import Site
from harness.peers import Dealer
from harness.wait import wait_until

ALL = ["*"]


@pytest.fixture
def site(database, daemons):
    return Site(daemons(database.ingest))


def fill(dealer, prefix):
    """Sends until the first RETRY; returns how many were accepted."""
    for n in range(10000):
        reply = dealer.ask(padded(f"{prefix}-{n}", 30000))
        if reply.word == b"RETRY":
            return n
        assert reply.word == b"ACK", reply
    raise AssertionError("there was room for 300 MB")


def test_one_of_several_clients_cannot_fill_more_than_half_of_the_journal(site, context, cluster):
    first, second = site.client(), site.client()
    site.daemon.conf.set(max_size="8MiB")
    site.start(first=(first, ALL), second=(second, ALL))
    cluster.stop()
    try:
        loud, other = (Dealer(context, site.daemon.address(), curve=key) for key in (first, second))
        taken = fill(loud, "loud")
        assert 3 << 20 < taken * 30000 <= 4 << 20
        assert "client first: its alerts not yet in the database fill half" in site.daemon.log()
        assert other.ask(alert("other")).word == b"ACK", "others get in"
        assert loud.ask(alert("small")).word == b"ACK", "there is room for little yet"
        assert loud.ask(padded("large", 60000)).word == b"RETRY"
        assert site.daemon.get("/readyz")[0] == 200

        site.daemon.restart()
        loud, other = (Dealer(context, site.daemon.address(), curve=key) for key in (first, second))
        assert fill(loud, "loud-again") * 30000 <= 2 << 20, "half of what was left"
        assert other.ask(alert("other-again")).word == b"ACK", "others still get in"

        site.reload(first=(first, ALL))
        assert fill(loud, "alone") * 30000 > 1 << 20, "alone on the list it has all of it"
    finally:
        cluster.start()
    site.daemon.wait_drained()
    wait_until(lambda: loud.ask(padded("stored", 30000)).word == b"ACK", "taken again")


def test_a_client_has_its_half_again_when_its_alerts_are_stored(site, context, cluster):
    first, second = site.client(), site.client()
    site.daemon.conf.set(max_size="8MiB")
    site.start(first=(first, ALL), second=(second, ALL))
    cluster.stop()
    try:
        loud = Dealer(context, site.daemon.address(), curve=first)
        fill(loud, "loud")
    finally:
        cluster.start()
    site.daemon.wait_drained()
    cluster.stop()
    try:
        assert fill(loud, "more") * 30000 > 3 << 20
    finally:
        cluster.start()
    site.daemon.wait_drained()
