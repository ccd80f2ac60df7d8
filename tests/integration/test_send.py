"""mobeyectl send, and the producer that users start from, against a real daemon."""
import json
import subprocess

import pytest

from harness.alerts import alert, alerts, encode, padded
from harness.daemon import mobeyectl
from harness.paths import MOBEYECTL, ROOT, free_port
from harness.peers import Dealer
from harness.portal import build, wrap
from harness.wait import wait_until

PRODUCER = ROOT / "config" / "producer.py"


def lines(messages):
    return b"".join(encode(message) + b"\n" for message in messages).decode()


def test_every_line_is_accepted_and_the_status_is_0(daemon, database, tmp_path):
    file = tmp_path / "alerts.jsonl"
    file.write_text(lines(alerts(500)))
    done = mobeyectl("send", "--to", daemon.address(), file)
    assert done.returncode == 0, done.stderr
    database.wait_stored(500)


def test_stdin_is_read(daemon, database):
    for arguments in (["-"], []):
        done = mobeyectl("send", "--to", daemon.address(), *arguments, input=lines(alerts(10)))
        assert done.returncode == 0, done.stderr
    daemon.wait_drained()
    assert database.stored() == 10


def test_each_reject_is_told_with_its_line_and_the_status_is_1(daemon, database, tmp_path):
    file = tmp_path / "alerts.jsonl"
    bad = alert("bad")
    del bad["data"]["kind"]
    file.write_text(lines([alert("one"), bad, alert("three"), b"nonsense", padded("large", 65537)]))
    done = mobeyectl("send", "--to", daemon.address(), file)
    assert done.returncode == 1
    said = (done.stdout + done.stderr).splitlines()
    for number, code in ((2, "invalid"), (4, "malformed"), (5, "too_large")):
        assert [line for line in said if f":{number}: {code}" in line], said
    database.wait_stored(2)


def test_rejects_without_an_id_are_told_with_their_lines(daemons, tmp_path):
    daemon = daemons("host=/nowhere dbname=nothing")
    daemon.conf.endpoints = [{**daemon.conf.endpoint("panel"), "format": "sia-dc09"}]
    daemon.start()
    file = tmp_path / "alerts.jsonl"
    file.write_text(lines([alert("one"), alert("two"), b"nonsense"]))
    done = mobeyectl("send", "--to", daemon.address("panel"), file)
    assert done.returncode == 1
    said = (done.stdout + done.stderr).splitlines()
    for number in (1, 2, 3):
        assert [line for line in said if f":{number}: malformed: frame" in line], said


def test_what_got_retry_is_sent_again_until_it_is_accepted(cluster, daemons, database, tmp_path):
    daemon = daemons(database.ingest, max_size="8MiB").start()
    cluster.stop()
    file = tmp_path / "alerts.jsonl"
    file.write_text(lines(padded(f"big-{n:04}", 30000) for n in range(600)))
    sender = subprocess.Popen([MOBEYECTL, "send", "--to", daemon.address(), file],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    daemon.wait_metric("retry_total", lambda value: value > 0)
    cluster.start()
    _, errors = sender.communicate(timeout=120)
    assert sender.returncode == 0, errors
    assert errors.decode().count("the journal of the daemon is full, or it is stopping: sending again until it has room") == 1
    daemon.wait_drained()
    assert database.stored() == 600


def test_it_lives_through_a_restart_of_the_daemon(daemons, database, tmp_path):
    daemon = daemons(database.ingest).start()
    file = tmp_path / "alerts.jsonl"
    file.write_text(lines(alerts(20000)))
    sender = subprocess.Popen([MOBEYECTL, "send", "--to", daemon.address(), file],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    daemon.wait_metric("journaled_total", lambda value: value > 0)
    daemon.kill()
    daemon.start()
    _, errors = sender.communicate(timeout=120)
    assert sender.returncode == 0, errors
    daemon.wait_drained()
    assert database.stored() == 20000


def test_dry_run_judges_and_sends_nothing(tmp_path):
    file = tmp_path / "alerts.jsonl"
    file.write_text(lines([alert("one"), alert("two")]))
    nobody = f"tcp://127.0.0.1:{free_port()}"
    assert mobeyectl("send", "--to", nobody, "--dry-run", file).returncode == 0
    file.write_text(lines([alert("one"), b"nonsense"]))
    done = mobeyectl("send", "--to", nobody, "--dry-run", file)
    assert done.returncode == 1 and ":2: malformed" in done.stdout + done.stderr


def test_nobody_there_is_status_1(tmp_path):
    done = mobeyectl("send", "--to", f"tcp://127.0.0.1:{free_port()}", "--timeout", "1", "-", input=lines([alert("a")]))
    assert done.returncode == 1 and done.stderr


def test_a_missing_file_or_endpoint_is_told(tmp_path):
    missing = mobeyectl("send", "--to", "tcp://127.0.0.1:1", tmp_path / "none")
    assert missing.returncode == 1 and "none" in missing.stderr
    assert mobeyectl("send").returncode == 2
    for to in "nonsense", "tcp://127.0.0.1:70000", "tcp://127.0.0.1:0", "tcp://[::1:5555", "ipc://x":
        refused = mobeyectl("send", "--to", to, "-", input="")
        assert refused.returncode == 2 and f"--to {to} " in refused.stderr, refused.stderr
    key = "x" * 40
    keys = mobeyectl("send", "--to", "tcp://127.0.0.1:1", "--server-key", key, "--server-key", key, "--client-key", "k")
    assert keys.returncode == 2 and "--server-key" in keys.stderr


def test_status_shows_the_daemon_the_journal_and_the_database(daemon, database, dealer):
    dealer.deliver(alerts(10))
    daemon.wait_drained()
    done = daemon.ctl("status")
    assert done.returncode == 0, done.stderr
    assert "door" in done.stdout
    parsed = daemon.ctl("status", "--json")
    assert parsed.returncode == 0 and json.loads(parsed.stdout)
    daemon.stop()
    assert daemon.ctl("status").returncode in (0, 1)
    daemon.start()


def test_the_producer_of_the_manual_is_accepted(daemon, database):
    done = subprocess.run(["/usr/bin/python3", PRODUCER, daemon.address()], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    wait_until(lambda: database.stored() >= 1, "its alert is stored")


def odd(event_id, **changes):
    message = alert(event_id)
    for name, value in changes.items():
        (message if name == "time" else message["data"])[name] = value
    return message


ODD = [
    (odd("1"), b""),
    (odd("2", time="yesterday"), b"clock"),
    (odd("3", battery_pct=300, input="x"), b"bad_input bad_battery_pct"),
    (odd("4", location={"type": "Point", "coordinates": [500, 2]}), b"bad_location"),
]
# What the endpoint knows, and send --dry-run does not: the bounds are the daemon's.
PLACED_ODDLY = [
    (odd("7", location={"type": "Point", "coordinates": [0, 0], "accuracy_m": 5000}), b"null_island inaccurate"),
    (odd("8", location={"type": "Point", "coordinates": [52.1, 5.3]}), b"swapped"),
]


def test_an_endpoint_with_reply_flags_tells_what_was_odd(database, daemons, context):
    daemon = daemons(database.ingest)
    daemon.conf.endpoints = [daemon.conf.endpoint("door", reply_flags=True), daemon.conf.endpoint("plain"),
                             {**daemon.conf.endpoint("panel", reply_flags=True), "format": "sia-dc09"}]
    daemon.conf.more = "bounds: [3.2, 50.7, 7.3, 53.6]\n"
    daemon.start()
    for name, delimiter in (("door", False), ("door", True), ("plain", False)):
        peer = Dealer(context, daemon.address(name), delimiter=delimiter)
        for message, flags in ODD + PLACED_ODDLY:
            peer.send(message)
            frames = peer.frames()[delimiter:]
            assert frames[:2] == [b"ACK", message["id"].encode()]
            assert frames[3:] == ([flags] if name == "door" else [])
        peer.send(b"nonsense")
        assert len(peer.frames()[delimiter:]) == 3, "a REJECT has three frames"
        peer.close()
    peer = Dealer(context, daemon.address("panel"))
    peer.send(b'\nCE110032"SIA-DCS"9876R579BDFL789ABC#12345A[#12345A|NFA129]\r')
    frames = peer.frames()
    assert frames[:2] == [b"ACK", b"9876"] and frames[3] == b"clock"
    peer.send(wrap(build(b'"SIA-DCS"0001L0#1234[#1234|NBA1][X008E00.000][Y52N00.0]')))
    assert peer.frames()[3] == b"clock outside_bounds"
    peer.close()


def test_reply_flags_are_switched_by_a_reload(daemon, context):
    peer = Dealer(context, daemon.address())
    for wanted in (True, False):
        daemon.conf.endpoints = [daemon.conf.endpoint("door", reply_flags=wanted)]
        daemon.write()
        daemon.reload()
        peer.send(odd("x", input="x"))
        assert peer.frames()[3:] == ([b"bad_input"] if wanted else [])
    peer.close()


@pytest.mark.parametrize("reply_flags", [True, False])
def test_what_was_odd_is_told_with_its_reason(database, daemons, tmp_path, reply_flags):
    daemon = daemons(database.ingest)
    daemon.conf.endpoints = [daemon.conf.endpoint("door", reply_flags=reply_flags)]
    daemon.start()
    file = tmp_path / "alerts.jsonl"
    undated, late = odd("5"), odd("6", time="2020-01-01T00:00:00Z")
    del undated["time"]
    kinds = [odd("8", kind="moton"), odd("9", kind="gunshot"), odd("10", kind="unknown"), odd("11", kind="Panic", input="x")]
    file.write_text(lines([message for message, _ in ODD] + [undated, late, odd("3"), *kinds]))
    done = mobeyectl("send", "--to", daemon.address(), file)
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        f"{file}:2: accepted; flagged clock (time: not RFC 3339; the receive time is used)",
        f"{file}:3: accepted; flagged bad_input (data.input: out of range or of the wrong type; ignored), bad_battery_pct"
        " (data.battery_pct: out of range or of the wrong type; ignored)",
        f"{file}:4: accepted; flagged bad_location (data.location: out of range or of the wrong type; ignored)",
        f"{file}:5: accepted; flagged clock (time: missing; the receive time is used)",
        f"{file}:6: accepted; flagged clock (time: more than 31 days in the past; the receive time is used)",
        f"{file}:7: accepted; already sent: same source and id as on line 3",
        f'{file}:8: accepted; data.kind: "moton" is stored as unknown (did you mean motion?)',
        f'{file}:9: accepted; data.kind: "gunshot" is stored as unknown',
        f"{file}:11: accepted; flagged bad_input (data.input: out of range or of the wrong type; ignored);"
        ' data.kind: "Panic" is stored as unknown (did you mean panic?)',
    ]
    database.wait_stored(10)
    dry = mobeyectl("send", "--dry-run", file)
    assert f"{file}:2: ACK 2 flagged clock (time: not RFC 3339; the receive time is used)" in dry.stdout.splitlines()
    assert {f"{file}:7: ACK 3 already sent: same source and id as on line 3",
            f'{file}:8: ACK 8 data.kind: "moton" is stored as unknown (did you mean motion?)'} <= set(dry.stdout.splitlines())


@pytest.mark.parametrize("text", [
    lambda messages: "\n".join(json.dumps(message, indent=2) for message in messages),
    lambda messages: json.dumps(messages, indent=2),
    lambda messages: json.dumps(messages),
], ids=["pretty", "array", "array-on-one-line"])
def test_pretty_printed_documents_are_understood(daemon, database, text):
    done = mobeyectl("send", "--to", daemon.address(), input=text([json.loads(encode(m)) for m in alerts(20)]))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("20 lines: 20 accepted")
    database.wait_stored(20)
