"""The log names refused peers: by address, and by name if the key is known; and is not flooded."""
import os

from harness.alerts import alert
from harness.curve import Clients, Key
from harness.paths import free_port
from harness.peers import Dealer
from harness.portal import Portal, build, endpoint


def loopback(daemon, **more):
    return daemon.conf.endpoint("door", bind=f"tcp://127.0.0.1:{free_port()}", **more)


def test_over_ipc_the_process_is_named(context, database, daemons):
    daemon = daemons(database.ingest).start()
    assert Dealer(context, daemon.address()).ask(b"nonsense").word == b"REJECT"
    daemon.wait_log(f"endpoint door: rejected a message from uid {os.getuid()}, pid {os.getpid()}: malformed: ")


def test_over_tcp_the_address_is_named_also_of_what_is_no_message(context, database, daemons):
    daemon = daemons(database.ingest)
    daemon.conf.set(endpoints=[loopback(daemon)])
    daemon.start()
    dealer = Dealer(context, daemon.address())
    assert dealer.ask(b"nonsense").word == b"REJECT"
    assert dealer.ask(b"{}", b"two", b"three").word == b"REJECT"
    assert dealer.ask(bytes(70000)).word == b"REJECT"
    daemon.wait_log("endpoint door: rejected a message from 127.0.0.1: malformed: ", 2)
    daemon.wait_log("endpoint door: rejected a message from 127.0.0.1: too_large: ")


def test_a_client_is_named(context, database, daemons):
    daemon = daemons(database.ingest)
    server = Key()
    gate, stranger = Key(server), Key(server)
    Clients(daemon.directory / "clients.yaml").write(gate=(gate, ["OTHER-*"]))
    daemon.conf.set(endpoints=[loopback(daemon)],
                    more=f"security: {{server_key: {server.write(daemon.directory / 'server.key')}, "
                         f"clients: {daemon.directory / 'clients.yaml'}}}\n")
    daemon.start()
    assert Dealer(context, daemon.address(), curve=gate).ask(alert("one")).word == b"REJECT"
    daemon.wait_log("endpoint door: rejected a message from 127.0.0.1, client gate: forbidden: ")
    turned_away = Dealer(context, daemon.address(), curve=stranger)
    turned_away.send(alert("two"))
    daemon.wait_log("endpoint door: denied a peer from 127.0.0.1: ")


def test_a_client_that_takes_anothers_routing_id_is_named_and_counted(context, database, daemons):
    daemon = daemons(database.ingest)
    server = Key()
    gate, thief = Key(server), Key(server)
    Clients(daemon.directory / "clients.yaml").write(gate=(gate, ["*"]), thief=(thief, ["*"]))
    daemon.conf.set(endpoints=[loopback(daemon)],
                    more=f"security: {{server_key: {server.write(daemon.directory / 'server.key')}, "
                         f"clients: {daemon.directory / 'clients.yaml'}}}\n")
    daemon.start()
    for n, key in enumerate((gate, gate, thief)):
        assert daemon.metric("routing_id_takeovers_total") == 0
        dealer = Dealer(context, daemon.address(), curve=key, routing_id=b"panel")
        assert dealer.ask(alert(f"alert-{n}")).word == b"ACK"
        dealer.close()
    assert daemon.metric("routing_id_takeovers_total", endpoint="door") == 1
    daemon.wait_log("endpoint door: 127.0.0.1, client thief took over the routing ID of another client")
    database.wait_stored(3)


def test_a_panel_is_named(database, daemons):
    daemon = daemons(database.ingest)
    daemon.conf.set(endpoints=[endpoint(plaintext="allow")])
    daemon.start()
    with Portal(daemon.address("portal")) as portal:
        portal.ask(build('"XYZ-ABC"0001L0#1234[#1234|Nri1/BA001]'))
        name = "127.0.0.1:%d" % portal.socket.getsockname()[1]
        daemon.wait_log(f"endpoint portal: rejected a message from {name}: malformed: ")
        portal.socket.sendall(bytes(100000))
        daemon.wait_log(f"endpoint portal: closed the connection from {name}: it sent more bytes than the largest frame")


def test_many_peers_that_are_refused_do_not_fill_the_log(context, database, daemons):
    daemon = daemons(database.ingest).start()
    sockets = []
    for n in range(30):
        sockets.append(Dealer(context, daemon.address()))
        for m in range(30):
            sockets[-1].send(b"nonsense" if m % 2 else b"[" * 1000)
    daemon.wait_metric("rejected_total", 900)
    assert 1 <= len(daemon.lines("rejected a message")) <= 10
