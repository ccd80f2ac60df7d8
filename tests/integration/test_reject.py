"""What is refused, with which word, and that it holds up nobody."""
import json

import pytest

from harness.alerts import alert, encode, padded
from harness.paths import free_port
from harness.peers import Dealer


def code(reply):
    assert reply.word == b"REJECT", reply
    parts = reply.detail.decode().split(": ", 2)
    assert len(parts) == 3 and parts[2], f"code: field: reason, not {reply.detail}"
    return parts[0], parts[1]


def without(name):
    message = alert("x-1")
    (message["data"] if name.startswith("data.") else message).pop(name.removeprefix("data."))
    return message


BAD = {
    "not UTF-8": (b'{"id":"\xff"}', "malformed", None),
    "not JSON": (b"hello", "malformed", None),
    "not an object": (b"[]", "malformed", None),
    "cut short": (encode(alert("x-1"))[:-1], "malformed", None),
    "more after it": (encode(alert("x-1")) + b"{}", "malformed", None),
    "U+0000": (encode(alert("x-1")).replace(b"motion", b"mo\\u0000ion"), "malformed", None),
    "U+0000 in a member name": (encode(alert("x-1")).replace(b'"kind"', b'"\\u0000":1,"kind"'), "malformed", None),
    "a lone surrogate": (encode(alert("x-1")).replace(b"motion", b"\\ud800"), "malformed", None),
    "duplicate names": (encode(alert("x-1")).replace(b'"kind"', b'"kind": "fire", "kind"'), "malformed", None),
    "too deep": (encode(alert("x-1")).replace(b'"kind"', b'"x": ' + b"[" * 16 + b"]" * 16 + b', "kind"'), "malformed",
                 None),
    "endless depth": (b"[" * 60000, "malformed", None),
    "a number beyond a double": (encode(alert("x-1")).replace(b'"kind"', b'"x": 1e999, "kind"'), "malformed", None),
    "no specversion": (without("specversion"), "invalid", "specversion"),
    "another specversion": ({**alert("x-1"), "specversion": "0.3"}, "invalid", "specversion"),
    "no id": (without("id"), "invalid", "id"),
    "a long id": (alert("x" * 129), "invalid", "id"),
    "no source": (without("source"), "invalid", "source"),
    "no type": (without("type"), "invalid", "type"),
    "another type": ({**alert("x-1"), "type": "mobeye.alert.v2"}, "invalid", "type"),
    "no data": (without("data"), "invalid", "data"),
    "no device": (without("data.device"), "invalid", "data.device"),
    "a device with a space": (alert("x-1", device="a b"), "invalid", "data.device"),
    "a long device": (alert("x-1", device="d" * 65), "invalid", "data.device"),
    "no kind": (without("data.kind"), "invalid", "data.kind"),
    "a kind that is not a string": (alert("x-1", kind=7), "invalid", "data.kind"),
    "an empty kind": (alert("x-1", kind=""), "invalid", "data.kind"),
}


@pytest.fixture(scope="module")
def rejecting(shared_cluster):
    """One daemon for all rejects: they leave nothing behind."""
    from harness.daemon import Daemon
    database = shared_cluster.database()
    daemon = Daemon(database.ingest).start()
    yield daemon
    stored = database.stored()
    wrong, log = daemon.dispose()
    database.drop()
    assert not wrong, (wrong, log)
    assert stored == 0


@pytest.mark.parametrize("name", BAD)
def test_it_is_refused(rejecting, context, name):
    payload, expected, field = BAD[name]
    dealer = Dealer(context, rejecting.address())
    before = rejecting.metric("rejected_total", endpoint="door", code=expected)
    reply = dealer.ask(payload)
    assert code(reply)[0] == expected
    if field is not None:
        assert code(reply)[1] == field
        readable = field not in ("id",)
        assert reply.id == (b"x-1" if readable else b"")
    assert rejecting.metric("rejected_total", endpoint="door", code=expected) == before + 1


def test_65536_bytes_pass_and_one_more_is_too_large(dealer, daemon, database):
    assert dealer.ask(padded("fits", 65536)).word == b"ACK"
    assert code(dealer.ask(padded("large", 65537)))[0] == "too_large"
    assert code(dealer.ask(padded("larger", 8 * 1024 * 1024)))[0] == "too_large"
    database.wait_stored(1)
    assert len(json.dumps(database.alert("fits")["payload"]["padding"])) > 65000
    assert daemon.metric("rejected_total", code="too_large") == 2


@pytest.mark.parametrize("where", ["ipc", "tcp"])
def test_above_8_mib_the_connection_is_cut_and_others_are_served(context, database, daemons, where):
    daemon = daemons(database.ingest)
    if where == "tcp":
        daemon.conf.set(endpoints=[daemon.conf.endpoint("door", bind=f"tcp://127.0.0.1:{free_port()}")])
    daemon.start()
    other = Dealer(context, daemon.address())
    assert other.ask(alert("before")).word == b"ACK"
    huge = Dealer(context, daemon.address())
    monitor = huge.socket.get_monitor_socket()
    assert huge.ask(alert("mine")).word == b"ACK"
    huge.send(b"x" * (8 * 1024 * 1024 + 1))
    from zmq.utils.monitor import recv_monitor_message
    import zmq
    seen = None
    while seen != zmq.EVENT_DISCONNECTED:
        assert monitor.poll(60000), "the connection is cut"
        seen = recv_monitor_message(monitor)["event"]
    assert other.ask(alert("after")).word == b"ACK"
    huge.socket.disable_monitor()
    database.wait_stored(3)


def test_extra_frames_are_malformed(context, daemon):
    dealer = Dealer(context, daemon.address())
    for frames in ([alert("a"), b"image", b"more"], [alert("a"), b"", b""], [b"", alert("a"), b"image", b"more"],
                   [b"", b"", alert("a")]):
        dealer.send(*frames)
        answer = dealer.frames()
        if frames[0] == b"" and answer[0] == b"":
            answer = answer[1:]
        assert len(answer) == 3 and answer[0] == b"REJECT", (frames, answer)
        assert answer[2].startswith(b"malformed: "), answer
    assert dealer.ask(alert("good")).seq == 1


def test_nothing_after_the_delimiter_is_malformed(context, daemon):
    dealer = Dealer(context, daemon.address(), delimiter=True)
    dealer.send()
    assert code(dealer.reply())[0] == "malformed"
    dealer.send(alert("good"))
    assert dealer.reply().seq == 1


def test_one_in_ten_bad_leaves_the_good_ones_untouched(dealer, daemon, database):
    bad = [payload for payload, _, _ in BAD.values()]
    for n in range(1000):
        dealer.send(bad[n // 10 % len(bad)] if n % 10 == 0 else alert(f"good-{n}"))
    words = [dealer.reply().word for _ in range(1000)]
    assert (words.count(b"ACK"), words.count(b"REJECT")) == (900, 100)
    database.wait_stored(900)
