"""Raw TCP: how frames arrive, and what peers may do."""
import contextlib
import random
import resource
import shutil
import socket
import subprocess
import time

import pytest

from harness.paths import sanitized
from harness.peers import Dealer
from harness.portal import FIELD, Portal, ack, build, endpoint, event, stamp, wrap
from harness.wait import wait_until


@pytest.fixture
def serve(database, daemons):
    """serve(**keys of the endpoint) runs a daemon with the endpoint `portal` alone."""
    def run(wrapper=(), **more):
        daemon = daemons(database.ingest)
        daemon.conf.set(endpoints=[endpoint(**more)])
        return daemon.start(wrapper=wrapper, env={"ASAN_OPTIONS": "detect_leaks=0"} if wrapper else None)
    return run


@pytest.fixture
def portals():
    with contextlib.ExitStack() as stack:
        yield lambda daemon, **how: stack.enter_context(Portal(daemon.address("portal"), **how))


def test_several_frames_a_segment_are_answered_in_order(serve, portals):
    portal = portals(serve())
    portal.send(*(frame for frame, _ in FIELD))
    assert [portal.reply() for _ in FIELD] == [answer for _, answer in FIELD]
    portal.socket.sendall(b"\r\n\r\n".join(wrap(frame) for frame, _ in FIELD))
    assert [portal.reply() for _ in FIELD] == [answer for _, answer in FIELD]


def test_a_frame_one_byte_at_a_time_is_answered(serve, portals):
    portal = portals(serve())
    portal.socket.setsockopt(6, 1, 1)  # TCP_NODELAY
    for frame, answer in FIELD:
        for byte in wrap(frame):
            portal.socket.sendall(bytes([byte]))
        assert portal.reply() == answer


def test_a_peer_that_has_said_all_is_answered_before_it_is_closed(serve, portals):
    portal = portals(serve())
    portal.send(*(event(n) for n in range(1, 201)))
    portal.socket.shutdown(1)
    assert [portal.reply() for _ in range(200)] == [ack(n) for n in range(1, 201)]
    assert portal.closed()


def test_noise_between_frames_does_no_harm(serve, portals, database):
    daemon = serve()
    portal = portals(daemon)
    chance = random.Random(1)
    for n in range(1, 101):
        noise = bytes(chance.choice(b"\r\n\"#[]|_0A*\x00\xff ") for _ in range(chance.randrange(200)))
        portal.socket.sendall(noise + wrap(event(n)))
        while portal.reply() != ack(n):
            pass
    daemon.wait_drained()
    assert database.stored() == 100


@pytest.mark.parametrize("flood", [b"\n" + b"A" * 100000, b"A" * 100000, bytes(100000)],
                         ids=["a frame without end", "no frame", "zeros"])
def test_bytes_without_a_frame_are_cut_off(serve, portals, flood):
    daemon = serve()
    portal, other = portals(daemon), portals(daemon)
    with contextlib.suppress(ConnectionError):
        portal.socket.sendall(flood)
    assert portal.closed()
    assert daemon.metric("connections_cut_total", endpoint="portal") == 1
    assert daemon.metric("rejected_total", code="malformed") == 1
    assert other.ask(event(1)) == ack(1)


def damaged(frame):
    """Cut off at every length; and a bit flipped in every byte, but for the one that makes A of a."""
    for length in range(len(frame)):
        yield frame[:length]
    for at, byte in enumerate(frame):
        for bit in (0x01, 0x10, 0x80):
            yield frame[:at] + bytes([byte ^ bit]) + frame[at + 1:]


@pytest.mark.parametrize("frame", [frame for frame, _ in FIELD] + [event(9, binary=True, time="")])
def test_a_damaged_frame_meets_silence_and_the_next_its_answer(serve, portals, database, frame):
    daemon = serve()
    portal = portals(daemon)
    for number, bad in enumerate(damaged(wrap(frame))):
        portal.socket.sendall(bad)
        if number % 50 == 0:
            portal.send(event(number))
            assert portal.reply() == ack(number)
    assert portal.ask(event(9999)) == ack(9999)
    daemon.wait_drained()
    assert database.value("select count(*) from patrol.alerts where event_id not like '____-%%' or source <> 'dc09:1234'") == 0


GOOD = event(1, time="")
PLACED = [  # what, the bytes, whether they are a frame
    ("a length that is one short", wrap(GOOD[:4] + b"%04X" % (len(GOOD) - 9) + GOOD[8:]), False),
    ("a length that is one long", wrap(GOOD[:4] + b"%04X" % (len(GOOD) - 7) + GOOD[8:]), False),
    ("a length of nothing", wrap(GOOD[:4] + b"0000" + GOOD[8:]), False),
    ("the longest length", wrap(GOOD[:4] + b"0FFF" + GOOD[8:]), False),
    ("a length beyond the longest", wrap(GOOD[:4] + b"1" + GOOD[5:]), False),
    ("a length that is not a number", wrap(GOOD[:4] + b"0-26" + GOOD[8:]), False),
    ("no length", wrap(GOOD[:4] + GOOD[8:]), False),
    ("no CRC", wrap(GOOD[4:]), False),
    ("CR in the CRC", wrap(GOOD[:2] + b"\r" + GOOD[2:]), False),
    ("LF in the length", wrap(GOOD[:6] + b"\n" + GOOD[6:]), False),
    ("CR in the data", wrap(GOOD[:30] + b"\r" + GOOD[30:]), False),
    ("LF in the data", wrap(GOOD[:30] + b"\n" + GOOD[30:]), False),
    ("CR LF in the data", wrap(GOOD[:30] + b"\r\n" + GOOD[30:]), False),
    ("LF at the end", b"\n" + GOOD + b"\n", False),
    ("no LF", GOOD + b"\r", False),
    ("CR for LF", b"\r" + GOOD + b"\r", False),
    ("line ends alone", b"\r\n\n\r\r\n", False),
    ("two LF", b"\n\n" + GOOD + b"\r", True),
    ("two CR", wrap(GOOD) + b"\r", True),
    ("CR LF on both sides", b"\r\n" + GOOD + b"\r\n", True),
    ("half a frame in front", b"\n" + GOOD[:20] + wrap(GOOD), True),
    ("noise before and after", b"\x00\xff\"" + wrap(GOOD) + b"\"]\x80", True),
]


def test_lengths_that_lie_and_line_ends_in_odd_places(serve):
    daemon = serve()
    for what, sent, is_frame in PLACED:
        with Portal(daemon.address("portal")) as portal:
            portal.socket.sendall(sent)
            portal.send(event(2))
            assert portal.reply() == (ack(1) if is_frame else ack(2)), what
            assert not is_frame or portal.reply() == ack(2), what
            assert portal.ask(event(3)) == ack(3), what


def need_descriptors(needed):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"at most {hard} descriptors here, {needed} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))


def test_ten_thousand_connections_cost_bounded_memory_and_the_last_is_served(serve, portals):
    need_descriptors(11000)
    daemon = serve()
    before = daemon.rss_kib()
    many = [portals(daemon) for _ in range(10000)]
    assert many[-1].ask(event(1)) == ack(1)
    assert many[0].closed()
    assert daemon.metric("connections_cut_total") == 10000 - 1024
    if not sanitized():
        assert daemon.rss_kib() - before < 32 * 1024


def test_a_thousand_connections_are_each_served(serve, portals):
    need_descriptors(3000)
    daemon = serve(connections=1000)
    before = daemon.rss_kib()
    many = [portals(daemon) for _ in range(1000)]
    frames = [event(n % 10000, zone=n % 1000, account=f"{n + 4096:X}") for n in range(1000)]
    for portal, frame in zip(many, frames):
        portal.socket.sendall(wrap(frame)[:-5])
    for portal, frame in zip(many, frames):
        portal.socket.sendall(wrap(frame)[-5:])
    for n, portal in enumerate(many):
        assert portal.reply() == ack(n, f"{n + 4096:X}")
    if not sanitized():
        assert daemon.rss_kib() - before < 32 * 1024
    assert daemon.metric("connections_cut_total") == 0


def test_one_connection_too_many_takes_the_place_of_the_one_without_a_frame_for_longest(serve, portals):
    daemon = serve(connections=3)
    first, second, third = portals(daemon), portals(daemon), portals(daemon)
    for portal in (first, second, third, first):
        assert portal.ask(event(1)) == ack(1)
    fourth = portals(daemon)
    assert second.closed(), "the one whose last frame is the oldest"
    for portal in (first, third, fourth):
        assert portal.ask(event(2)) == ack(2)
    assert daemon.metric("connections_cut_total") == 1
    for _ in range(2000):
        portals(daemon).close()
    assert portals(daemon).ask(event(3)) == ack(3)


def test_a_connection_without_a_frame_is_closed_when_it_is_idle(serve, portals):
    daemon = serve(idle="1s")
    silent, noisy = portals(daemon), portals(daemon)
    noisy.socket.sendall(b"\n0000")
    assert silent.closed() and noisy.closed()
    assert daemon.metric("connections_cut_total") == 0, "that is in order"


def test_a_peer_that_does_not_read_its_replies_is_cut_off(serve, portals, database):
    daemon = serve()
    greedy, other = portals(daemon), portals(daemon)
    sent = 0
    with contextlib.suppress(ConnectionError):
        while daemon.metric("connections_cut_total") == 0:
            greedy.send(*[build(f'"SIA-DCS"0001L0#1234[#1234|Nri1/BA001]{stamp()}')] * 500)
            sent += 500
    assert daemon.metric("replies_dropped_total", endpoint="portal") > 0
    assert other.ask(event(1)) == ack(1)


def test_only_what_allow_from_lists_may_connect(serve, portals):
    daemon = serve(allow_from=["127.0.0.2/32", "127.0.1.0/24"])
    assert portals(daemon).closed()
    two, one = portals(daemon, source="127.0.0.2"), portals(daemon, source="127.0.1.77")
    assert two.ask(event(1)) == ack(1) and one.ask(event(2)) == ack(2)
    assert daemon.metric("connections_cut_total") == 1
    narrower = {**daemon.conf.endpoints[0], "allow_from": "127.0.0.2"}
    daemon.reload(endpoints=[narrower])
    assert one.closed(), "it is no longer allowed"
    assert two.ask(event(3)) == ack(3), "it is, and keeps its connection"


def test_a_reload_keeps_the_connections_of_a_listener_that_stays(serve, portals, database):
    daemon = serve()
    portal = portals(daemon)
    portal.socket.sendall(wrap(event(1))[:20])
    same = daemon.conf.endpoints[0]
    daemon.reload(batch_max=77, endpoints=[{**same, "idle": "1h"}, endpoint("second")])
    assert daemon.metric("config_last_reload_successful") == 1
    portal.socket.sendall(b"\r")
    assert portal.ask(event(2)) == ack(2)
    with Portal(daemon.address("second")) as second:
        assert second.ask(event(3)) == ack(3)
        daemon.reload(endpoints=[same])
        assert second.closed()
    assert portal.ask(event(4)) == ack(4)
    blocked = endpoint("blocked")
    with contextlib.closing(socket.create_server(("127.0.0.1", int(blocked["bind"].rsplit(":")[-1])))):
        daemon.reload(endpoints=[{**same, "idle": "2h"}, endpoint("third"), blocked])
    assert daemon.metric("config_last_reload_successful") == 0
    assert daemon.lines("endpoint blocked: cannot bind tcp://127.0.0.1:[0-9]+: Address already in use")
    assert portal.ask(event(5)) == ack(5)


def test_out_of_descriptors_it_waits_and_does_not_spin(serve, portals, tmp_path):
    strace, prlimit = shutil.which("strace"), shutil.which("prlimit")
    if not prlimit or not strace or subprocess.run([strace, "-o", "/dev/null", "true"], capture_output=True).returncode:
        pytest.skip("no prlimit, or strace cannot trace here")
    out = tmp_path / "trace"
    daemon = serve(wrapper=[strace, "-f", "-o", out, "-e", "trace=accept4,accept", prlimit, "--nofile=80"])
    first = portals(daemon)
    assert first.ask(event(1)) == ack(1)
    begun = time.monotonic()
    many = [portals(daemon) for _ in range(100)]
    daemon.wait_log("endpoint portal: cannot accept a connection: Too many open files")
    wait_until(lambda: out.read_text().count("EMFILE") >= 3, "it tries again")
    assert first.ask(event(2)) == ack(2), "who is in is served"
    assert out.read_text().count("EMFILE") <= time.monotonic() - begun + 2, "once a second"
    for portal in many:
        portal.close()
    wait_until(lambda: daemon.lines("endpoint portal: accepting connections again"), "recovery")
    assert portals(daemon).ask(event(99)) == ack(99)


def test_an_address_passes_from_zeromq_to_raw_tcp_and_back(serve, portals, context):
    daemon = serve()
    tcp = daemon.conf.endpoints[0]
    router = daemon.conf.endpoint("portal", bind=tcp["bind"], format="sia-dc09")
    for number in range(1, 6, 2):
        daemon.reload(endpoints=[router])
        assert Dealer(context, router["bind"]).ask(event(number)).word == b"ACK"
        daemon.reload(endpoints=[tcp])
        assert portals(daemon).ask(event(number + 1)) == ack(number + 1)
    assert daemon.metric("config_last_reload_successful") == 1


def test_a_busy_address_is_a_clear_error(serve, daemons, database):
    daemon = serve()
    other = daemons(database.ingest)
    other.conf.set(endpoints=daemon.conf.endpoints)
    other.launch()
    assert other.wait_exit() == 1
    assert other.lines("endpoint portal: cannot bind tcp://127.0.0.1:[0-9]+: Address already in use")
