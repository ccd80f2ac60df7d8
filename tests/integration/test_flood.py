"""Large messages and many: one sender's messages hold up neither the loop nor the journal, and none of them is lost."""
import contextlib
import json
import threading

from psycopg.conninfo import make_conninfo

from harness.alerts import alert, padded
from harness.peers import Dealer
from harness.portal import Portal, build, endpoint, event, stamp, wrap

EVENTS = 64
POISON = "alter table mobeye.alert add constraint no_poison check (device_id <> 'dc09:F100D/40') not valid"
ALLOW = "alter table mobeye.alert drop constraint no_poison"


def large_frame(number, when=None):
    """A frame of 4 kB with 64 events and a text of control characters, which take three bytes each in JSON."""
    events = "".join(f"/BA{zone:03}" for zone in range(1, EVENTS + 1))
    body = f'"SIA-DCS"{number % 10000:04}L0#F100D[#F100D|Nri1{events}|A{number}-'
    when = stamp() if when is None else when
    return build(body.encode() + b"\x01" * (4000 - len(body) - len(when)) + b"]" + when.encode())


def with_panels(daemon, **keys):
    panels = daemon.conf.endpoint("panels")
    panels["format"] = "sia-dc09"
    daemon.conf.set(endpoints=[daemon.conf.endpoint("door"), panels], **keys)
    return daemon


def drain(connection):
    """Reads until the other side is gone."""
    with contextlib.suppress(OSError):
        while connection.recv(65536):
            pass


def payloads(database):
    return database.rows("select event_id, input, payload from patrol.alerts where source = 'dc09:F100D' "
                         "order by journal_seq")


def test_the_loop_serves_others_between_the_turns_of_a_flood(database, daemons, context):
    """Between the first of the flood's alerts and its last the daemon answers HTTP and feeds its watchdog."""
    daemon = with_panels(daemons(make_conninfo(database.ingest, host="/nonexistent")), max_size="256MiB")
    daemon.start(env={"WATCHDOG_USEC": "20000"})
    flood = Dealer(context, daemon.address("panels"))
    sent = [large_frame(number) for number in range(200)] * 5
    frames = len(sent)
    for frame in sent:
        flood.send(frame)
    journaled, served, fed = 0, 0, set()
    while journaled < frames * EVENTS:
        assert daemon.get("/healthz")[0] == 200
        metrics = daemon.metrics()
        journaled = metrics.total("journaled_total")
        assert metrics.total("retry_total") == 0, "a frame takes 128 KiB of the journal at most"
        served += 0 < journaled < frames * EVENTS
        if 0 < journaled < frames * EVENTS:
            fed.add(daemon.notices.count("WATCHDOG=1"))
    print(f"looked {served} times, the watchdog was fed {len(fed) - 1} times meanwhile")
    assert served > 1 and len(fed) > 1
    assert [flood.reply().word for _ in range(frames)] == [b"ACK"] * frames


def test_a_sender_of_little_is_answered_before_a_flood_is_through(database, daemons, context):
    """By the numbers of the journal, not by the clock: a message that arrives late in a flood is not queued after all
    of it."""
    daemon = daemons(make_conninfo(database.ingest, host="/nonexistent"), max_size="1GiB").start()
    flood, other = Dealer(context, daemon.address()), Dealer(context, daemon.address())
    count = 2000
    message = padded("first", 60000)
    assert other.ask(alert("before")).word == b"ACK"
    for number in range(count):
        flood.send(message.replace(b"first", b"f%04d" % number))
    reply = other.ask(alert("meanwhile"))
    assert reply.word == b"ACK" and reply.seq < count
    assert [flood.reply().word for _ in range(count)] == [b"ACK"] * count


def test_each_event_of_a_large_frame_is_stored_with_its_payload(database, daemons, context):
    daemon = with_panels(daemons(database.ingest)).start()
    panel = Dealer(context, daemon.address("panels"))
    sent = [large_frame(number) for number in range(5)]
    assert [panel.ask(frame).word for frame in sent] == [b"ACK"] * len(sent)
    database.wait_stored(len(sent) * EVENTS)
    rows = payloads(database)
    assert [row[1] for row in rows] == list(range(1, EVENTS + 1)) * len(sent)
    for number, (_, _, payload) in enumerate(rows):
        frame = sent[number // EVENTS].decode().replace("\x01", "\u2401")
        assert payload["frame"] == frame and payload["event"]["number"] == number % EVENTS + 1
        assert payload["event"]["text"].startswith(f"{number // EVENTS}-\u2401") and len(payload["event"]["text"]) == 256

    dumped = daemon.ctl("journal", "dump", "--json")
    assert dumped.returncode == 0, dumped.stderr
    assert [json.loads(json.loads(line)["payload"]) for line in dumped.stdout.splitlines()] == [row[2] for row in rows]
    part = daemon.ctl("journal", "dump", "--json", "--from", "100", "--to", "100")
    assert json.loads(json.loads(part.stdout)["payload"]) == rows[99][2], "from the middle of a message"
    assert daemon.ctl("journal", "verify").returncode == 0
    assert daemon.ctl("journal", "replay", "--from", "70").returncode == 0
    daemon.wait_metric("duplicate_total", len(rows) - 69)
    daemon.kill()
    daemon.start()
    daemon.wait_drained()
    assert payloads(database) == rows


def test_a_frame_without_a_time_is_known_again_after_a_restart(database, daemons, context):
    daemon = with_panels(daemons(database.ingest)).start()
    frame = large_frame(1, when="")
    assert Dealer(context, daemon.address("panels")).ask(frame).word == b"ACK"
    daemon.kill()
    daemon.start()
    assert Dealer(context, daemon.address("panels")).ask(frame).word == b"ACK"
    daemon.wait_metric("journaled_total", EVENTS)
    daemon.wait_drained()
    assert database.stored() == EVENTS


def test_an_event_in_quarantine_has_all_its_bytes(database, daemons, context):
    daemon = with_panels(daemons(database.ingest)).start()
    panel = Dealer(context, daemon.address("panels"))
    assert panel.ask(large_frame(1)).word == b"ACK"
    database.wait_stored(EVENTS)
    database.execute(POISON)
    assert panel.ask(large_frame(2)).word == b"ACK"
    daemon.wait_metric("quarantined_total", 1)
    daemon.wait_drained()
    assert database.stored() == 2 * EVENTS - 1
    [(payload, record)] = database.rows("select payload, record from mobeye.quarantine")
    assert json.loads(payload)["event"]["zone"] == "040" and payload in record
    database.execute(ALLOW)
    done = daemon.ctl("quarantine", "retry")
    assert done.returncode == 0, done.stderr
    assert database.stored() == 2 * EVENTS
    assert len({row[2]["frame"] for row in payloads(database)}) == 2


def test_a_panel_that_sends_without_end_does_not_hold_up_a_stop(cluster, database, daemons):
    """The database hangs, so that the stop takes its time, while nothing more is read."""
    daemon = daemons(database.ingest)
    daemon.conf.set(endpoints=[daemon.conf.endpoint("door"), endpoint()])
    daemon.start()
    daemon.wait_metric("database_up", 1)
    frames = b"".join(map(wrap, (event(number, zone=number) for number in range(1, 500))))

    over = threading.Event()

    def send():
        """Again on another connection if it is cut: on a busy machine the reader may lag behind."""
        while not over.is_set():
            with contextlib.suppress(OSError), Portal(daemon.address("portal")) as portal:
                reader = threading.Thread(target=drain, args=(portal.socket,))
                reader.start()
                with contextlib.suppress(OSError):
                    while True:
                        portal.socket.sendall(frames)
                reader.join()

    cluster.freeze()
    try:
        sender = threading.Thread(target=send)
        sender.start()
        daemon.wait_metric("received_total", lambda value: value > 2000, endpoint="portal")
        daemon.stop()
    finally:
        over.set()
        cluster.thaw()
    sender.join(60)
    assert not sender.is_alive()
