"""What a sender sees of the accepting endpoint, and what is then in the database."""
import subprocess

import zmq

from harness.alerts import SOURCE, alert, alerts, encode, now
from harness.daemon import mobeyectl
from harness.peers import Dealer, reply_of


def test_a_dealer_gets_three_frames_with_its_id_and_the_sequence_number(dealer, database):
    dealer.send(alert("a-1"))
    assert dealer.frames() == [b"ACK", b"a-1", b"1"]
    dealer.send(alert("a-2"))
    assert dealer.frames() == [b"ACK", b"a-2", b"2"]
    database.wait_stored(2)
    assert database.alert("a-2")["journal_seq"] == 2


def test_a_dealer_with_a_delimiter_gets_it_back(context, daemon):
    dealer = Dealer(context, daemon.address(), delimiter=True)
    dealer.send(alert("a-1"))
    assert dealer.frames() == [b"", b"ACK", b"a-1", b"1"]
    dealer.send(b"nonsense")
    frames = dealer.frames()
    assert frames[:3] == [b"", b"REJECT", b""] and len(frames) == 4


def test_a_req_is_answered(context, daemon, database):
    req = context.socket(zmq.REQ)
    req.connect(daemon.address())
    for n in range(1, 4):
        req.send(encode(alert(f"r-{n}")))
        assert req.poll(60000)
        assert req.recv_multipart() == [b"ACK", b"r-%d" % n, b"%d" % n]
    req.send(b"{}")
    assert req.poll(60000)
    assert reply_of(req.recv_multipart()).word == b"REJECT"
    database.wait_stored(3)


def test_an_accepted_alert_stands_in_the_database_as_it_was_sent(dealer, daemon, database):
    sent = alert("full", device="NL-0307-00042", kind="camera", phase="update", input=3, drill=True,
                 location={"type": "Point", "coordinates": [5.38421, 52.19634], "accuracy_m": 12},
                 battery_pct=88, signal_dbm=-91, text="Beweging hal", unheard_of={"é": [1, 2]},
                 camera={"label": "person", "score": 0.87, "box": [0.1, 0.2, 0.4, 0.9], "track": "t-1"})
    seq = dealer.ask(sent).seq
    database.wait_stored(1)
    row = database.alert("full")
    assert (row["source"], row["journal_seq"], row["instance"], row["endpoint"]) == (SOURCE, seq, "test-1", "door")
    assert (row["device_id"], row["kind"], row["phase"], row["input"], row["drill"]) == \
        ("NL-0307-00042", "camera", "update", 3, True)
    assert row["payload"] == sent
    assert row["flags"] == []
    assert (row["location_source"], row["accuracy_m"]) == ("message", 12)
    assert database.rows("select st_x(geom), st_y(geom), st_srid(geom) from patrol.alerts") == [(5.38421, 52.19634, 4326)]
    assert row["occurred_at"].isoformat(timespec="milliseconds") == sent["time"].replace("Z", "+00:00")
    assert abs((row["received_at"] - row["occurred_at"]).total_seconds()) < 300
    assert row["clock_skew"] is not None


def test_an_unknown_kind_is_stored_with_its_word_kept(dealer, database):
    dealer.ask(alert("odd", kind="sharknado"))
    database.wait_stored(1)
    row = database.alert("odd")
    assert (row["kind"], row["payload"]["data"]["kind"]) == ("unknown", "sharknado")


def test_a_resend_is_acknowledged_and_stored_once(dealer, daemon, database):
    first = alert("again")
    dealer.ask(first)
    database.wait_stored(1)
    other = alert("again", kind="panic")  # the same pair is the same alert, whatever else differs
    for message in (first, other, first):
        assert dealer.ask(message).word == b"ACK"
    daemon.wait_metric("duplicate_total", 3)
    assert database.stored() == 1
    assert database.alert("again")["kind"] == "motion"


def test_a_resend_in_the_same_batch_is_stored_once(dealer, daemon, database):
    for _ in range(5):
        for n in range(20):
            dealer.send(alert(f"a-{n}"))
    for _ in range(100):
        assert dealer.reply().word == b"ACK"
    daemon.wait_drained()
    assert database.stored() == 20
    assert daemon.metric("duplicate_total") == 80


def test_the_same_id_of_another_source_is_another_alert(dealer, database):
    dealer.ask(alert("same", source="/test/one"))
    dealer.ask(alert("same", source="/test/two"))
    database.wait_stored(2)


def test_one_senders_accepted_alerts_have_rising_numbers(context, daemon, database):
    dealers = [Dealer(context, daemon.address()) for _ in range(3)]
    for n in range(200):
        for which, dealer in enumerate(dealers):
            dealer.send(alert(f"{which}-{n}"))
    numbers = []
    for which, dealer in enumerate(dealers):
        replies = sorted((dealer.reply() for _ in range(200)), key=lambda reply: int(reply.id.split(b"-")[1]))
        seqs = [reply.seq for reply in replies]
        assert seqs == sorted(set(seqs)), "rising in the order of sending"
        numbers += seqs
    assert sorted(numbers) == list(range(1, 601))
    database.wait_stored(600)
    assert database.value("select count(*) from patrol.alerts where journal_seq between 1 and 600") == 600


def test_replies_for_equal_ids_come_in_the_order_sent(dealer):
    dealer.send(alert("same"))
    dealer.send({**alert("same"), "type": "wrong"})
    dealer.send(alert("same"))
    assert [dealer.reply().word for _ in range(3)] == [b"ACK", b"REJECT", b"ACK"]


def test_a_plain_libzmq_client_is_served(daemon, database, client):
    done = subprocess.run([client, daemon.address(), "c", "500", "50"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    replies = [line.split() for line in done.stdout.splitlines()]
    assert sorted(int(seq) for _, _, seq in replies) == list(range(1, 501))
    assert {word for word, _, _ in replies} == {"ACK"}
    assert {which for _, which, _ in replies} == {f"c-{n}" for n in range(500)}
    database.wait_stored(500)


def test_a_few_thousand_from_two_senders_all_arrive(context, daemon, database):
    senders = [Dealer(context, daemon.address()) for _ in range(2)]
    for which, sender in enumerate(senders):
        sender.deliver(alerts(2000, f"s{which}"))
    daemon.wait_drained()
    database.check(*(sender.ledger for sender in senders))
    assert database.stored() == 4000
    metrics = daemon.metrics()
    assert metrics.total("received_total", endpoint="door") == metrics.total("journaled_total") == 4000
    assert metrics.total("committed_total") == 4000


def test_every_program_says_its_version():
    done = mobeyectl("--version")
    assert done.returncode == 0 and done.stdout.startswith("mobeyectl ")


def test_a_time_past_the_retention_of_its_class_gives_way_to_the_receipt(dealer, database):
    """Of camera alerts 28 days by default: an older one would be erased as soon as it is stored."""
    for kind, days in ("camera", 27), ("camera", 29), ("motion", 29):
        assert dealer.ask({**alert(f"{kind}-{days}", kind=kind), "time": now(days * 24 * 60)}).word == b"ACK"
    database.wait_stored(3)
    assert dict(database.rows("select event_id, 'clock' = any (flags) from patrol.alerts")) == {
        "camera-27": False, "camera-29": True, "motion-29": False}
