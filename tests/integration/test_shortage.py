"""The machine is short of descriptors: senders are told to wait, nothing is lost, and it recovers by itself."""
import resource

from harness.alerts import alert, padded
from harness.peers import Dealer
from harness.portal import Portal, ack, endpoint, event
from harness.wait import wait_until


class Descriptors:
    """Takes the daemon's descriptors away: with so low a limit every further one is refused (EMFILE)."""

    def __init__(self, daemon):
        self.pid = daemon.pid
        self.usual = resource.prlimit(self.pid, resource.RLIMIT_NOFILE)

    def take(self):
        resource.prlimit(self.pid, resource.RLIMIT_NOFILE, (3, self.usual[1]))

    def give(self):
        resource.prlimit(self.pid, resource.RLIMIT_NOFILE, self.usual)


class Sender:
    """Sends one alert of 30 kB at a time, and resends it until it is accepted."""

    def __init__(self, context, daemon):
        self.dealer = Dealer(context, daemon.address())
        self.accepted = set()

    def send(self):
        name = f"big-{len(self.accepted)}"
        reply = self.dealer.ask(padded(name, 30000))
        if reply.word == b"ACK":
            self.accepted.add(name)
        return reply.word

    def send_until(self, word):
        wait_until(lambda: self.send() == word, f"{word} from the daemon", every=0.001)


def test_without_descriptors_senders_get_retry_and_all_goes_on_when_there_are_some(database, daemons, context):
    daemon = daemons(database.ingest, max_size="16MiB")
    daemon.conf.set(endpoints=[daemon.conf.endpoint("door"), endpoint(plaintext="allow")])
    daemon.start()
    descriptors = Descriptors(daemon)
    sender = Sender(context, daemon)
    rounds = 3
    for n in range(rounds):
        assert sender.send() == b"ACK"
        descriptors.take()
        sender.send_until(b"RETRY")
        assert [sender.send() for _ in range(20)] == [b"RETRY"] * 20
        with Portal(daemon.address("portal")) as portal:
            portal.send(event(n + 1))
            assert daemon.wait_log("portal: cannot accept a connection: Too many open files")
            assert daemon.running()
            descriptors.give()
            sender.send_until(b"ACK")
            assert portal.reply() == ack(n + 1)
    assert daemon.lines("journal: full: segment .*: cannot be created: Too many open files; senders get RETRY")
    daemon.wait_drained()
    assert {name for source, name in database.identities() if name.startswith("big-")} == sender.accepted
    assert database.stored() == len(sender.accepted) + rounds


def test_an_outage_of_the_database_in_between_is_made_up_for(cluster, database, daemons, context):
    daemon = daemons(database.ingest, max_size="16MiB").start()
    descriptors = Descriptors(daemon)
    dealer = Dealer(context, daemon.address())
    assert dealer.ask(alert("before")).word == b"ACK"
    daemon.wait_drained()
    descriptors.take()
    cluster.stop()
    assert dealer.ask(alert("during")).word == b"ACK", "the segment is open"
    cluster.start()
    daemon.wait_log("database: .*Too many open files|database: .*could not")
    assert daemon.running()
    descriptors.give()
    database.wait_stored(2)
