"""An ACK is sent only after its alert, and the name of its segment, are on stable storage."""
import re
import shutil
import subprocess

import pytest

from harness.alerts import alert, alerts
from harness.peers import Dealer
from harness.portal import Portal, ack, endpoint, event

CALL = re.compile(r"^(\d+) +(.*)$")
CALLS = "openat,write,pwrite64,writev,pwritev,pwritev2,fdatasync,fsync,sync_file_range,msync,sendto,sendmsg"


def trace_of(path):
    """[(line of the call, line of its return, name, arguments, result)] in the order of their beginning."""
    calls, open_calls = [], {}
    for number, line in enumerate(path.read_text(errors="replace").splitlines()):
        thread, text = CALL.match(line).groups()
        if text.endswith("<unfinished ...>"):
            open_calls[thread] = (number, text.removesuffix(" <unfinished ...>"))
            continue
        begun = number
        resumed = re.match(r"<\.\.\. \w+ resumed>(.*)", text)
        if resumed:
            begun, head = open_calls.pop(thread)
            text = head + resumed[1]
        whole = re.match(r"(\w+)\((.*)\) += (-?\d+)", text)
        if whole:
            calls.append((begun, number, whole[1], whole[2], int(whole[3])))
    return sorted(calls)


def hexed(text):
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


@pytest.fixture
def traced(database, daemons):
    strace = shutil.which("strace")
    if strace is None or subprocess.run([strace, "-o", "/dev/null", "true"], capture_output=True).returncode != 0:
        pytest.skip("strace cannot trace here")
    daemon = daemons(database.ingest, endpoints=[])
    daemon.conf.set(endpoints=[daemon.conf.endpoint("door"), endpoint()])
    out = daemon.directory / "trace"
    return daemon.start(wrapper=[strace, "-f", "-y", "-xx", "-s", "131072", "-e", "trace=" + CALLS, "-o", out],
                        env={"ASAN_OPTIONS": "detect_leaks=0"}), out


def bytes_of(args):
    """What a call was given, in one piece: an ACK may lie over two of its buffers."""
    return "".join(re.findall(r"(?:\\x[0-9a-f]{2})+", args))


def check_order(daemon, out, messages):
    """messages: (what is in the record, what is in its ACK) of each."""
    calls = trace_of(out)
    journal = hexed(str(daemon.conf.journal))
    synced = [(begun, ended) for begun, ended, name, args, result in calls
              if name == "fdatasync" and journal in args and result == 0]
    for record, reply in messages:
        written = [ended for _, ended, call, args, result in calls
                   if "write" in call and journal in args.split(",")[0] and hexed(record) in args and result > 0]
        assert written, f"{record} was written to the journal"
        acks = [begun for begun, _, call, args, result in calls
                if call in ("sendto", "sendmsg", "write", "writev") and journal not in args.split(",")[0]
                and hexed("ACK") in args and hexed(reply) in bytes_of(args)]
        assert acks, f"the ACK of {record} was sent"
        assert any(begun > written[0] and ended < acks[0] for begun, ended in synced), \
            f"the ACK of {record} was sent before its sync had returned"


def test_every_ack_follows_a_completed_fdatasync_of_its_record(traced, context):
    daemon, out = traced
    dealer = Dealer(context, daemon.address())
    sent = alerts(60, "sync")
    for message in sent[:20]:
        assert dealer.ask(message).word == b"ACK"
    dealer.deliver(sent[20:], window=10)
    daemon.stop()
    check_order(daemon, out, [(message["id"], message["id"]) for message in sent])


def test_every_ack_of_a_panel_follows_a_completed_fdatasync_of_its_record(traced):
    """One by one, and many in a segment, which are one sync."""
    daemon, out = traced
    with Portal(daemon.address("portal")) as portal:
        for seq in range(1, 21):
            assert portal.ask(event(seq)) == ack(seq)
        portal.send(*(event(seq) for seq in range(21, 61)))
        assert [portal.reply() for _ in range(21, 61)] == [ack(seq) for seq in range(21, 61)]
    daemon.stop()
    check_order(daemon, out, [(f'"SIA-DCS\\"{seq:04}L0#1234[', ack(seq).decode()) for seq in range(1, 61)])


def test_the_first_ack_follows_a_sync_of_the_directory(traced, context):
    daemon, out = traced
    assert Dealer(context, daemon.address()).ask(alert("first")).word == b"ACK"
    daemon.stop()
    calls = trace_of(out)
    journal = hexed(str(daemon.conf.journal))
    ack = next(begun for begun, _, call, args, _ in calls
               if call in ("sendto", "sendmsg", "write", "writev") and hexed("ACK") in args and hexed("first") in args)
    record = next((begun, args) for begun, _, call, args, _ in calls
                  if "write" in call and journal in args.split(",")[0] and hexed("first") in args)
    segment = re.search(r"<((?:\\x..)+)>", record[1])[1]
    created = next(ended for _, ended, call, args, result in calls
                   if call == "openat" and "O_CREAT" in args and result >= 0 and hexed(str(daemon.conf.journal)) in args)
    assert segment.startswith(journal)
    assert any(begun > created and ended < ack for begun, ended, call, args, result in calls
               if call == "fsync" and args.endswith(f"<{journal}>") and result == 0), \
        "the directory was synced after the segment was made and before the ACK"
