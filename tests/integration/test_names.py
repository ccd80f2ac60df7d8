"""Host names: whose name server does not answer, whose first address does not, and whose address changes."""
import contextlib
import ctypes
import os
import socket
import subprocess
import threading

import pytest
import zmq

from harness.alerts import alert, encode
from harness.logins import READ_ONLY, LoginServer
from harness.names import NameServer
from harness.paths import MOBEYECTL, free_port
from harness.peers import Dealer
from harness.wait import wait_until

HUB = "hub.example.nl"
DATABASE = "db.example.nl"
PLAIN = "sslmode=disable gssencmode=disable"
IN_OPEN = 0x20  # of inotify(7)
SESSIONS = ("database", "registry", "maintenance", "post-commit")  # as the log names them


@pytest.fixture
def names(tmp_path):
    server = NameServer(tmp_path)
    yield server
    server.close()


def start(daemon, names, port):
    """With a router, and a pull that connects to the hub."""
    door = daemon.conf.endpoint("door", bind=f"tcp://127.0.0.1:{free_port()}")
    daemon.conf.set(endpoints=[door, daemon.conf.endpoint("hub", connect=f"tcp://{HUB}:{port}", socket="pull")])
    daemon.start(wrapper=names.wrapper)
    daemon.wrapped = False
    return daemon


def test_a_name_server_that_does_not_answer_holds_up_no_sender_no_reload_and_no_stop(context, daemons, names):
    daemon = start(daemons("host=/nowhere dbname=nothing"), names, free_port())
    wait_until(lambda: HUB in names.asked, "the hub is looked up")
    dealer = Dealer(context, daemon.address())
    assert dealer.ask(alert("meanwhile")).word == b"ACK"
    door, hub = daemon.conf.endpoints
    daemon.reload(endpoints=[door])
    assert dealer.ask(alert("without the hub")).word == b"ACK"
    asked = len(names.asked)
    daemon.reload(endpoints=[door, hub])
    wait_until(lambda: len(names.asked) > asked, "the hub is looked up again")
    daemon.stop()


def test_an_endpoint_connects_to_the_address_that_answers_and_follows_it(context, daemons, names):
    names.addresses[HUB] = ["127.0.0.2", "127.0.0.3"]
    port = free_port()
    daemon = start(daemons("host=/nowhere dbname=nothing"), names, port)
    for number, address in enumerate(("127.0.0.3", "127.0.0.4")):
        names.addresses[HUB] = ["127.0.0.2", address]
        hub = context.socket(zmq.PUSH)
        hub.setsockopt(zmq.SNDTIMEO, 60000)
        hub.bind(f"tcp://{address}:{port}")
        hub.send(encode(alert(f"from {address}")))
        daemon.wait_metric("journaled_total", number + 1)
        hub.close()


def test_an_endpoint_connects_although_the_first_name_servers_are_silent(context, daemons, names):
    names.put_silent_servers_first()
    names.addresses[HUB] = ["127.0.0.3"]
    port = free_port()
    hub = context.socket(zmq.PUSH)
    hub.setsockopt(zmq.SNDTIMEO, 60000)
    hub.bind(f"tcp://127.0.0.3:{port}")
    daemon = start(daemons("host=/nowhere dbname=nothing"), names, port)
    hub.send(encode(alert("one")))
    daemon.wait_metric("journaled_total", 1)


def test_a_database_named_by_the_environment_is_looked_up_without_holding_anything_up(context, daemons, names):
    daemon = daemons("dbname=nothing")
    daemon.env["PGHOST"] = DATABASE
    start(daemon, names, free_port())
    wait_until(lambda: DATABASE in names.asked, "the database is looked up")
    dealer = Dealer(context, daemon.address())
    assert dealer.ask(alert("meanwhile")).word == b"ACK"
    daemon.stop()


@pytest.fixture
def servers():
    """What listens on one port of 127.0.0.2 and 127.0.0.3, and answers nothing."""
    both = [socket.create_server(("127.0.0.2", 0))]
    port = both[0].getsockname()[1]
    both.append(socket.create_server(("127.0.0.3", port)))
    for one in both:
        one.settimeout(60)
    yield port, *both
    for one in both:
        one.close()


def test_the_database_is_reached_although_the_first_name_servers_are_silent(daemons, names, servers):
    port, server, _ = servers
    names.put_silent_servers_first()
    names.addresses[DATABASE] = ["127.0.0.2"]
    start(daemons(f"host={DATABASE} port={port} dbname=nothing connect_timeout=2"), names, free_port())
    server.accept()


def test_the_database_is_tried_at_its_next_address_when_the_first_does_not_answer(daemons, names, servers):
    port, _, second = servers
    names.addresses[DATABASE] = ["127.0.0.2", "127.0.0.3"]
    start(daemons(f"host={DATABASE} port={port} dbname=nothing connect_timeout=1"), names, free_port())
    second.accept()


def test_each_session_finds_the_address_that_answers_although_the_name_server_rotates_them(daemons, names, servers):
    """The last one to find it asks alone: each of its answers begins with the other address."""
    port, _, second = servers
    names.addresses[DATABASE] = ["127.0.0.2", "127.0.0.3"]
    names.rotates = True
    LoginServer(second, answer=b"")
    daemon = start(daemons(f"host={DATABASE} port={port} dbname=nothing connect_timeout=1 {PLAIN}"), names, free_port())
    for subject in SESSIONS:
        daemon.wait_log(f"{subject}: connected to")


def hang_up(server):
    """On everyone, until a minute is over or the test."""
    with contextlib.suppress(OSError):
        while True:
            server.accept()[0].close()


def test_the_database_is_tried_at_its_next_address_when_the_first_hangs_up(daemons, names, servers):
    port, first, second = servers
    names.addresses[DATABASE] = ["127.0.0.2", "127.0.0.3"]
    start(daemons(f"host={DATABASE} port={port} dbname=nothing"), names, free_port())
    threading.Thread(target=hang_up, args=(first,), daemon=True).start()
    second.accept()


@pytest.mark.parametrize("host", [DATABASE, "127.0.0.2,127.0.0.3"], ids=["addresses", "hosts"])
@pytest.mark.parametrize("answer", [None, READ_ONLY], ids=["hangs_up", "is_a_standby"])
def test_the_database_is_tried_at_the_next_server_when_the_first_fails_after_the_login(daemons, names, servers, host, answer):
    port, first, second = servers
    names.addresses[DATABASE] = ["127.0.0.2", "127.0.0.3"]
    LoginServer(first, answer)
    start(daemons(f"host={host} port={port} dbname=nothing {PLAIN}"), names, free_port())
    second.accept()


def test_no_connection_is_logged_after_a_loss_that_was_not(daemons, servers):
    port, server, _ = servers
    fails = LoginServer(server)
    daemon = daemons(f"host=127.0.0.2 port={port} dbname=nothing {PLAIN}").start()
    wait_until(lambda: fails.logins > 30, "it is connected and lost again and again")
    for subject in SESSIONS:
        assert len(daemon.lines(f"{subject}: connected to")) <= 1 + len(daemon.lines(f"{subject}: connection lost")), subject


def test_the_service_file_is_read_again_as_long_as_the_database_is_not_reached(context, daemons, servers, tmp_path):
    port, first, second = servers
    file = tmp_path / "service"
    daemon = daemons("service=north dbname=nothing connect_timeout=1")
    daemon.env["PGSERVICEFILE"] = file
    file.write_text("[north]\nhost=127.0.0.2,127.0.0.3\nport=1,2,3\n")
    daemon.start()
    daemon.wait_log("with the environment and its service: 2 hosts and 3 ports")
    assert Dealer(context, daemon.address()).ask(alert("meanwhile")).word == b"ACK"
    for address, server in (("127.0.0.2", first), ("127.0.0.3", second)):
        file.write_text(f"[north]\nhost={address}\nport={port}\n")
        server.accept()


def wait_until_opened(file, times):
    libc = ctypes.CDLL(None)
    watch = libc.inotify_init()
    assert libc.inotify_add_watch(watch, bytes(file), IN_OPEN) > 0
    for _ in range(times):
        os.read(watch, 16)
    os.close(watch)


def test_what_was_wrong_with_a_service_file_is_no_loss_of_a_connection(daemons, servers, tmp_path):
    port, server, _ = servers
    LoginServer(server)
    file = tmp_path / "service"
    daemon = daemons(f"service=north dbname=nothing {PLAIN}")
    daemon.env["PGSERVICEFILE"] = file
    file.write_text("[north]\nhost=127.0.0.2,127.0.0.3\nport=1,2,3\n")
    daemon.start()
    wait_until_opened(file, 24)
    file.write_text(f"[north]\nhost=127.0.0.2\nport={port}\n")
    daemon.wait_log("database: connected to")
    assert "similar message" not in daemon.wait_log("database: connection lost")[0]


def test_a_sender_with_two_targets_passes_over_a_name_that_is_not_resolved(daemon, names, tmp_path):
    file = tmp_path / "alert.json"
    file.write_bytes(encode(alert("one")))
    done = subprocess.run([*names.wrapper, MOBEYECTL, "send", "--to", f"tcp://{HUB}:5555", "--to", daemon.address(), file],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert HUB in names.asked


def test_a_sender_tries_each_address_of_a_name(context, daemons, names, tmp_path):
    daemon = daemons("host=/nowhere dbname=nothing")
    port = free_port()
    daemon.conf.set(endpoints=[daemon.conf.endpoint("door", bind=f"tcp://127.0.0.3:{port}")])
    daemon.start()
    names.addresses[HUB] = ["127.0.0.2", "127.0.0.3"]
    file = tmp_path / "alert.json"
    file.write_bytes(encode(alert("one")))
    done = subprocess.run([*names.wrapper, MOBEYECTL, "send", "--to", f"tcp://{HUB}:{port}", file],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
