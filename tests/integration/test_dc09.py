"""SIA DC-09: the replies to frames, to the byte, and what happens to the frames."""
import os
import shutil
import subprocess
import sys

import pytest
import zmq

from harness.alerts import padded
from harness.daemon import mobeyectl
from harness.paths import MOBEYED, ROOT, free_port
from harness.peers import Dealer, reply_of
from harness.portal import FIELD, Portal, ack, build, endpoint, event, stamp, wrap
from harness.wait import wait_until

KEYS = ROOT / "tests" / "dc09" / "keys"
ENCRYPTED = [line.split()[1].encode() for line in (ROOT / "tests" / "dc09" / "frames.txt").read_text().splitlines()
             if line.startswith("frame ") and '"*SIA-DCS"0001L0#1' in line and line.endswith(("C287", "EC00", "B62F"))]


@pytest.fixture
def serve(database, daemons):
    """serve(**keys of the endpoint) runs a daemon with an endpoint `portal` beside the router `door`."""
    def run(wrapper=(), max_size="64MiB", **more):
        daemon = daemons(database.ingest, max_size=max_size)
        daemon.conf.set(endpoints=[daemon.conf.endpoint("door"), endpoint(**more)])
        return daemon.start(wrapper=wrapper, env={"ASAN_OPTIONS": "detect_leaks=0"} if wrapper else None)
    return run


@pytest.fixture
def keys(tmp_path):
    path = tmp_path / "dc09.keys"
    shutil.copy(KEYS, path)
    path.chmod(0o600)
    return path


def by_input(database, source="dc09:1234"):
    return database.rows("select input, kind, phase from patrol.alerts where source = %s order by input", source)


def test_the_frames_of_the_field_are_answered_to_the_byte(serve, database):
    daemon = serve()
    with Portal(daemon.address("portal")) as portal:
        for frame, answer in FIELD:
            assert portal.ask(frame) == answer
    database.wait_stored(len(FIELD))
    rows = database.rows("select device_id, kind, phase, input, payload->>'frame' from patrol.alerts order by journal_seq")
    assert [row[4].encode() for row in rows] == [frame for frame, _ in FIELD]
    assert [row[:4] for row in rows] == [
        ("dc09:12345A/129", "fire", "raise", 129), ("dc09:12345A/129", "fire", "raise", 129),
        ("dc09:1234", "unknown", "raise", None), ("dc09:AAA", "keepalive", "raise", None),
        ("dc09:9757", "keepalive", "raise", None), ("dc09:1234/1", "intrusion", "raise", 1),
        ("dc09:1234/1", "intrusion", "raise", 1)]
    assert daemon.metric("received_total", endpoint="portal") == len(FIELD)


def test_a_place_in_a_frame_of_now_is_used(serve, database):
    daemon = serve()
    with Portal(daemon.address("portal")) as portal:
        portal.ask(build(f'"SIA-DCS"0001L0#1234[#1234|Nri1/BV001][X005E22.800][Y52N11.640]{stamp()}'))
        portal.ask(build(f'"SIA-DCS"0002L0#1234[#1234|Nri1/BC001]{stamp()}'))
    database.wait_stored(2)
    (first, second) = database.rows("select kind, phase, flags, location_source, round(st_x(geom)::numeric, 3), "
                                    "round(st_y(geom)::numeric, 3) from patrol.alerts order by journal_seq")
    assert first[:4] == ("intrusion", "raise", ["verified"], "message")
    assert list(map(float, first[4:])) == [5.38, 52.194]
    assert second[:3] == ("intrusion", "update", ["cancel"])


def test_a_frame_of_many_events_is_one_ack_and_a_row_each(serve, database):
    daemon = serve()
    events = "/".join(f"BA{n:03}" for n in range(1, 51))
    with Portal(daemon.address("portal")) as portal:
        assert portal.ask(build(f'"SIA-DCS"0001L0#1234[#1234|Nri1/{events}]{stamp()}')) == ack(1)
    database.wait_stored(50)
    assert [row[0] for row in by_input(database)] == list(range(1, 51))
    assert daemon.metric("received_total", endpoint="portal") == 50


def test_what_is_not_understood_gets_duh_and_a_bad_crc_silence(serve, database):
    daemon = serve()
    with Portal(daemon.address("portal")) as portal:
        duh = portal.ask(build('"XYZ-ABC"0007L0#1234[#1234|Nri1/BA001]'))
        assert duh == build('"DUH"0007L0#1234[]')
        good = event(8)
        portal.send(b"0000" + good[4:], good[:4] + b"0FFF" + good[8:], good)
        assert portal.reply() == ack(8), "the first two met silence"
        portal.send(b'1BC10012"ACK"0001L0#1234[]', event(9))
        assert portal.reply() == ack(9), "a reply is not replied to"
    assert daemon.metric("rejected_total", endpoint="portal", code="malformed") == 4
    database.wait_stored(2)


def test_unknown_codes_and_bytes_that_are_no_text_are_stored(serve, database):
    daemon = serve()
    with Portal(daemon.address("portal")) as portal:
        for seq, data in enumerate([b"Nri1/QQ001", b"\x80\xff'\"\\ nonsense", b"NBA1|A\xc3\x28 text"], 1):
            assert portal.ask(build(b'"SIA-DCS"%04dL0#1234[#1234|%s]%s' % (seq, data, stamp().encode()))) == ack(seq)
    database.wait_stored(3)
    assert database.rows("select kind from patrol.alerts order by journal_seq") == [("unknown",), ("unknown",), ("intrusion",)]


def test_a_frame_outside_the_time_window_gets_nak_once_and_is_then_stored_as_stale(serve, database):
    daemon = serve(check_time=True)
    with Portal(daemon.address("portal")) as portal:
        late, fresh = event(1, time=stamp(-300)), event(2)
        nak = portal.ask(late)
        assert nak[8:].startswith(b'"NAK"0000R0L0A0[]_'), nak
        assert portal.ask(fresh) == ack(2)
        for _ in range(5):
            assert portal.ask(late) == ack(1), "it is answered so that it stops"
    database.wait_stored(2)
    assert database.rows("select flags from patrol.alerts order by journal_seq") == [([],), (["stale"],)]
    assert daemon.metric("retry_total", endpoint="portal") == 1
    daemon.wait_drained()
    assert daemon.metric("duplicate_total") == 4


def test_without_check_time_a_late_frame_is_taken_at_once(serve, database):
    daemon = serve()
    with Portal(daemon.address("portal")) as portal:
        assert portal.ask(event(1, time=stamp(-300))) == ack(1)
    database.wait_stored(1)
    assert database.rows("select flags from patrol.alerts") == [([],)]


@pytest.mark.parametrize("frame", ENCRYPTED, ids=["aes128", "aes192", "aes256"])
def test_an_encrypted_frame_gets_an_ack_in_its_key(serve, database, keys, frame):
    assert len(ENCRYPTED) == 3
    daemon = serve(dc09_keys=str(keys), require_encryption=True)
    with Portal(daemon.address("portal")) as portal:
        answer = portal.ask(frame)
        assert b'"*ACK"0001L0#1' in answer
        # As the body of an event it can be read with the key, and holds none.
        as_event = build(answer[answer.index(b'"'):].replace(b'"*ACK"', b'"*SIA-DCS"'))
        said = mobeyectl("dc09", "decode", "--keys", keys, as_event.decode())
        assert "the data contains no event" in said.stdout, said
        plain = portal.ask(event(5, account="1128"))
        assert b'"DUH"0005' in plain, "it is plain, and that is not allowed"
    database.wait_stored(1)
    assert database.rows("select kind, input, payload->'encrypted' from patrol.alerts") == [("intrusion", 1, True)]


def test_an_encrypted_frame_without_its_key_gets_duh(serve, database):
    daemon = serve()
    with Portal(daemon.address("portal")) as portal:
        assert b'DUH' in portal.ask(ENCRYPTED[0])
        assert portal.ask(event(1)) == ack(1)
    database.wait_stored(1)


def test_a_bad_file_of_keys_is_a_configuration_error(serve, database, daemons, keys):
    daemon = serve(dc09_keys=str(keys))
    keys.chmod(0o644)
    check = subprocess.run([MOBEYED, "--check", "-c", daemon.file], capture_output=True, text=True)
    assert check.returncode == 2
    assert "endpoints.portal.dc09_keys: " in check.stderr and str(keys) in check.stderr, check.stderr
    daemon.hang_up()
    assert daemon.metric("config_last_reload_successful") == 0
    assert daemon.lines("dc09.keys")
    with Portal(daemon.address("portal")) as portal:
        assert b'"*ACK"' in portal.ask(ENCRYPTED[0]), "the keys that it had are in force"
    keys.chmod(0o600)
    keys.write_text("1128 00112233445566778899AABBCCDDEE00\n")
    daemon.hang_up()
    assert daemon.metric("config_last_reload_successful") == 1
    with Portal(daemon.address("portal")) as portal:
        assert b"DUH" in portal.ask(ENCRYPTED[0]), "the key is another one"
    keys.write_text("1128 nonsense\n")
    other = daemons(database.ingest)
    other.conf.set(endpoints=[endpoint(dc09_keys=str(keys))])
    other.launch()
    assert other.wait_exit() == 2
    assert other.lines("nonsense") == [] and other.lines("dc09_keys.*:1")


def test_a_frame_without_a_time_that_comes_again_is_one_through_a_restart(serve, database):
    daemon = serve()
    timeless = event(1, time="")
    with Portal(daemon.address("portal")) as portal:
        assert portal.ask(timeless) == ack(1)
        assert portal.ask(timeless) == ack(1)
    daemon.restart()
    with Portal(daemon.address("portal")) as portal:
        assert portal.ask(timeless) == ack(1)
        assert portal.ask(event(2, time="")) == ack(2)
    daemon.kill()
    daemon.start()
    with Portal(daemon.address("portal")) as portal:
        assert portal.ask(timeless) == ack(1)
    daemon.wait_drained()
    assert database.stored() == 2


def test_killed_between_receipt_and_ack_it_loses_nothing_and_doubles_nothing(serve, database, daemons):
    strace = shutil.which("strace")
    if strace is None or subprocess.run([strace, "-o", "/dev/null", "true"], capture_output=True).returncode != 0:
        pytest.skip("strace cannot trace here")
    daemon = serve(wrapper=[strace, "-f", "-o", "/dev/null", "-e", "trace=writev",
                            "-e", "inject=writev:error=EIO:signal=SIGKILL"])
    frames = [event(1), event(2, time=""), build(f'"SIA-DCS"0003L0#1234[#1234|Nri1/BA003/BA004]{stamp()}')]
    portal = Portal(daemon.address("portal"))
    portal.send(*frames)
    assert portal.reply() is None, "the first ACK was never sent"
    daemon.process.wait(60)
    daemon.process = None
    daemon.start()
    assert daemon.metric("recovered_total") == 4, "they were synced before the ACK"
    with Portal(daemon.address("portal")) as portal:
        for number, frame in enumerate(frames, 1):
            assert portal.ask(frame) == ack(number)
    daemon.wait_drained()
    assert database.stored() == 4
    assert daemon.metric("duplicate_total") == 4


def test_a_portal_that_is_cut_off_and_comes_back_gets_its_answers(serve, database):
    daemon = serve()
    frames = [event(n) for n in range(1, 101)]
    for at in range(0, 100, 10):
        portal = Portal(daemon.address("portal"))
        portal.send(*frames[at:at + 10])
        portal.close()
    with Portal(daemon.address("portal")) as portal:
        for number, frame in enumerate(frames, 1):
            assert portal.ask(frame) == ack(number)
    daemon.wait_drained()
    assert database.stored() == 100


def test_two_portals_with_one_account_are_each_answered(serve, database):
    daemon = serve()
    with Portal(daemon.address("portal")) as one, Portal(daemon.address("portal")) as two:
        same = event(1)
        one.send(same)
        two.send(same)
        assert one.reply() == two.reply() == ack(1)
        one.send(event(2, zone=7))
        two.send(event(2, zone=8))
        assert one.reply() == two.reply() == ack(2)
    daemon.wait_drained()
    assert sorted(row[0] for row in by_input(database)) == [1, 7, 8]


def test_a_full_journal_is_met_with_silence_and_the_resend_with_an_ack(cluster, serve, database, context):
    daemon = serve(max_size="8MiB")
    cluster.stop()
    dealer = Dealer(context, daemon.address())
    for n in range(10000):
        if dealer.ask(padded(f"fill-{n}", 30000)).word == b"RETRY":
            break
    for n in range(10000, 20000):
        if dealer.ask(padded(f"fill-{n}", 2000)).word == b"RETRY":
            break
    with Portal(daemon.address("portal")) as portal:
        count = 0
        while daemon.metric("retry_total", endpoint="portal") == 0:
            count += 1
            portal.send(event(count, zone=count))
            daemon.wait_metric("received_total", count, endpoint="portal")
        unanswered = event(count + 1, zone=900)
        portal.send(unanswered)
        daemon.wait_metric("retry_total", 2, endpoint="portal")
        cluster.start()
        daemon.wait_drained()
        for number in range(1, count):
            assert portal.reply() == ack(number)
        assert portal.ask(unanswered) == ack(count + 1), "nothing came in between"
    daemon.wait_drained()
    assert (900, "intrusion", "raise") in by_input(database)


def test_the_same_frames_pass_as_payloads_of_a_router(serve, database, context):
    daemon = serve()
    daemon.reload(endpoints=[*daemon.conf.endpoints,
                             daemon.conf.endpoint("panels", format="sia-dc09", check_time=True),
                             daemon.conf.endpoint("push", socket="pull", format="sia-dc09")])
    dealer = Dealer(context, daemon.address("panels"))
    reply = dealer.ask(event(1))
    assert (reply.word, reply.id, reply.seq) == (b"ACK", b"0001", 1)
    reply = dealer.ask(wrap(build(f'"SIA-DCS"0002L0#1234[#1234|Nri1/BA002/BA003]{stamp()}')))
    assert (reply.word, reply.id, reply.seq) == (b"ACK", b"0002", 3)
    late = event(4, time=stamp(-300))
    reply = dealer.ask(late)
    assert (reply.word, reply.id) == (b"RETRY", b"0004") and int(reply.detail) > 0
    assert dealer.ask(late).word == b"ACK"
    reply = dealer.ask(b"0000" + event(5)[4:])
    assert reply.word == b"REJECT" and reply.detail.startswith(b"malformed: ")
    reply = dealer.ask(build('"XYZ"0006L0#1234[#1234|Nri1/BA001]'))
    assert (reply.word, reply.id) == (b"REJECT", b"0006") and reply.detail.startswith(b"malformed: ")
    assert dealer.ask(b"x" * 70000).detail.startswith(b"too_large: ")
    push = context.socket(zmq.PUSH)
    push.connect(daemon.address("push"))
    push.send(build(f'"SIA-DCS"0007L0#1234[#1234|Nri1/BA007/BA008]{stamp()}'))
    push.send(b"nonsense")
    database.wait_stored(6)
    daemon.wait_metric("rejected_total", 1, endpoint="push")


def odd_crcs():
    """Sequence numbers of frames whose binary CRC, or that of their ACK, holds a LF, a CR, a zero or a quote."""
    found = {}
    for seq in range(1, 10000):
        for frame in (event(seq, time="", binary=True), ack(seq, binary=True)):
            for byte in frame[:2]:
                found.setdefault((byte, frame[3:].startswith(b'"A')), seq)
    return sorted({seq for (byte, _), seq in found.items() if byte in b"\n\r\x00\""})


def test_a_crc_of_two_bytes_is_read_and_answered_alike(serve, database):
    daemon = serve()
    odd = odd_crcs()
    assert len(odd) >= 4
    with Portal(daemon.address("portal")) as portal:
        for seq in odd:
            assert portal.ask(event(seq, time="", binary=True)) == ack(seq, binary=True)
            assert portal.ask(event(seq, time="")) == ack(seq), "the same with 4 characters"
        good = event(1, binary=True)
        portal.send(bytes([good[0] ^ 1]) + good[1:], good)
        assert portal.reply() == ack(1, binary=True), "the first met silence"
        assert portal.ask(build('"XYZ-ABC"0002L0#1234[]', binary=True)) == build('"DUH"0002L0#1234[]', binary=True)
    daemon.wait_drained()
    assert database.stored() == len(odd) + 1 and daemon.metric("duplicate_total") == len(odd)


def test_panels_by_way_of_zeromq_are_stored_whatever_the_socket(serve, database, context):
    """Each frame as it is, without LF and CR, with a CRC of two bytes; text that is not a frame is counted, and damaged frames too."""
    daemon = serve()
    sockets = {"panels": ("router", zmq.DEALER), "push": ("pull", zmq.PUSH), "news": ("sub", zmq.XPUB)}
    daemon.reload(endpoints=[*daemon.conf.endpoints, *(daemon.conf.endpoint(name, socket=ours, format="sia-dc09")
                                                       for name, (ours, _) in sockets.items())])
    for number, (name, (ours, theirs)) in enumerate(sockets.items(), 1):
        peer = context.socket(theirs)
        peer.connect(daemon.address(name))
        if ours == "sub":
            assert peer.poll(60000) and peer.recv() == b"\x01", "the daemon subscribes"
        topic = [b"alarms"] if ours == "sub" else []
        frames = [wrap(event(1, account=f"AA{number}")), event(2, account=f"AA{number}"),
                  event(3, account=f"AA{number}", binary=True), wrap(event(4, account=f"AA{number}", binary=True)),
                  build(f'"SIA-DCS"0005L0#AA{number}[#AA{number}|Nri1/BA005/BA006]{stamp()}'), FIELD[5][0]]
        bad = [b"", b"nonsense", b"0000" + frames[1][4:], frames[0] + frames[0], bytes(4200),
               build('"XYZ"0001L0#1234[]'), ack(1)]
        for frame in (*frames, *bad):
            peer.send_multipart([*topic, *([b""] if theirs == zmq.DEALER and not frame else []), frame])
        daemon.wait_metric("received_total", len(frames) + 1 + len(bad), endpoint=name)
        assert daemon.metric("rejected_total", endpoint=name, code="malformed") == len(bad)
        if ours == "router":
            replies = [reply_of(peer.recv_multipart()[-3:]) for _ in (*frames, *bad)]
            assert [reply.word for reply in replies] == [b"ACK"] * len(frames) + [b"REJECT"] * len(bad)
            assert [reply.id for reply in replies] == [b"0001", b"0002", b"0003", b"0004", b"0005", b"0001",
                                                       b"", b"", b"", b"", b"", b"0001", b"0001"]
            assert all(reply.detail.startswith(b"malformed: ") for reply in replies[len(frames):])
        database.wait_stored(6 * number + 1)  # the frame of the field has no time of now, and is one for all three
        assert database.rows("select input from patrol.alerts where source = %s order by journal_seq",
                             f"dc09:AA{number}") == [(1,), (1,), (1,), (1,), (5,), (6,)]


def test_a_frame_that_comes_again_is_a_sign_of_life(serve, database):
    daemon = serve()
    heard = "select last_received_at, alerts from mobeye.device_status where device_id = 'dc09:1234/1'"
    with Portal(daemon.address("portal")) as portal:
        portal.ask(event(1, time=""))
    wait_until(lambda: database.rows(heard), "the sender is known")
    daemon.restart()  # which forgets that it wrote the status less than a minute ago
    ((first, count),) = database.rows(heard)
    with Portal(daemon.address("portal")) as portal:
        portal.ask(event(1, time=""))
    wait_until(lambda: database.rows(heard)[0][0] > first, "it was heard again")
    assert database.rows(heard)[0][1] == count == 1 and database.stored() == 1


def test_an_endpoint_that_brings_nothing_is_told_once_and_again_when_it_speaks(serve):
    daemon = serve(expect_every="1s")
    daemon.wait_metric("endpoint_silent", 1, endpoint="portal")
    assert daemon.metric("endpoint_silent", endpoint="door") == 0
    with Portal(daemon.address("portal")) as portal:
        portal.send(b"garbage")
        assert portal.ask(build('"XYZ"0001L0#1234[]'))
        assert daemon.metric("endpoint_silent", endpoint="portal") == 1, "a refused frame is not a sign of life"
        assert portal.ask(build(f'"NULL"0002L0#1234[]{stamp()}')) == ack(2)
        wait_until(lambda: daemon.lines("portal: no longer silent"), "the recovery in the log")
    assert len(daemon.lines("warning endpoint portal: silent")) == 1


def test_a_frame_that_gets_nak_is_a_sign_of_life(serve):
    daemon = serve(expect_every="1s", check_time=True)
    daemon.wait_metric("endpoint_silent", 1, endpoint="portal")
    with Portal(daemon.address("portal")) as portal:
        assert b'"NAK"' in portal.ask(event(1, time=stamp(-300)))
        wait_until(lambda: daemon.lines("portal: no longer silent"), "the recovery in the log")
    assert daemon.metric("journaled_total") == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a network of its own")
def test_every_address_is_that_of_both_kinds_whatever_the_machine_defaults_to(serve, database):
    if not os.path.exists("/proc/sys/net/ipv6/bindv6only"):
        pytest.skip("the kernel has no IPv6")
    port = free_port()
    daemon = serve(bind=f"tcp://*:{port}", plaintext="allow", wrapper=[
        "unshare", "--net", "sh", "-c", 'ip link set lo up && echo 1 > /proc/sys/net/ipv6/bindv6only && exec "$@"', "sh"])
    daemon.wrapped = False  # each program replaced the one before
    ask = ("import socket, sys; s = socket.create_connection((sys.argv[1], int(sys.argv[2]))); s.settimeout(20);"
           " s.sendall(sys.stdin.buffer.read()); sys.stdout.buffer.write(s.recv(1000))")
    for host in ("127.0.0.1", "::1"):
        said = subprocess.run(["nsenter", "--net", "-t", str(daemon.process.pid), sys.executable, "-c", ask, host, str(port)],
                              input=wrap(FIELD[0][0]), stdout=subprocess.PIPE, check=True, timeout=60).stdout
        assert said == wrap(FIELD[0][1]), host
    daemon.stop()  # its metrics cannot be read from here
