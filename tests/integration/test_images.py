"""Images of alerts: accepted and stored with their alert or not at all, once, byte for byte."""
import json

import psycopg
import pytest
import zmq

from harness.alerts import alert, encode
from harness.images import jpeg, png, sha256, webp
from harness.peers import Dealer
from harness.wait import wait_until

RULES = """
rules:
  - name: cameras
    match: {kind: camera}
    incident: {category: alarm, priority: 3, group_by: [device], gap: 1h}
"""
STORED = """
select a.event_id, s.image from mobeye.alert a join mobeye.snapshot s using (image_id, occurred_at, device_id)
 where s.incident_id is not distinct from a.incident_id
"""


def seen(event_id, score=0.8):
    return alert(event_id, device="CAM-1", kind="camera", camera={"label": "person", "score": score, "track": "t"})


def stored_images(database):
    """{event_id: its image}; every image belongs to one alert."""
    rows = database.rows(STORED)
    assert len(rows) == len(dict(rows)) == database.value("select count(*) from mobeye.snapshot")
    return {event: bytes(image) for event, image in rows}


def test_an_image_stands_in_the_database_as_it_was_sent(database, daemons, context):
    daemon = daemons(database.ingest, more=RULES).start()
    images = {"j": jpeg(seed=1), "p": png(seed=2), "w": webp(seed=3), "largest": jpeg(1_000_000, seed=4)}
    dealer = Dealer(context, daemon.address())
    for event, image in images.items():
        assert dealer.ask(encode(seen(event, 0.9 if event == "largest" else 0.8)), image).word == b"ACK"
    assert dealer.ask(seen("none", 0.95)).word == b"ACK"
    database.wait_stored(5)
    assert stored_images(database) == images
    told = database.rows("select media_type, width, height, bytes, sha256 from patrol.images order by media_type, bytes")
    assert told == [("image/jpeg", 1280, 720, 2000, sha256(images["j"])),
                    ("image/jpeg", 1280, 720, 1_000_000, sha256(images["largest"])),
                    ("image/png", 640, 480, 2000, sha256(images["p"])), ("image/webp", 320, 240, 2000, sha256(images["w"]))]
    sizes = dict(database.rows("select event_id, image_bytes from patrol.alerts"))
    assert sizes == {"j": 2000, "p": 2000, "w": 2000, "largest": 1_000_000, "none": None}
    (incident, best), = database.rows("select incident_id, image_id from patrol.incidents")
    assert bytes(database.value("select patrol.open_image(%s, 'test')", best)) == images["largest"]
    assert database.rows("select incident_id, image_id, note from patrol.incident_history where action = 'look'") == \
        [(incident, best, "test")]


def test_every_socket_takes_an_image(database, daemons, context):
    publisher = context.socket(zmq.XPUB)
    publisher.bind("tcp://127.0.0.1:*")
    daemon = daemons(database.ingest)
    conf = daemon.conf
    conf.endpoints += [conf.endpoint("pull", socket="pull"),
                       conf.endpoint("sub", socket="sub", connect=publisher.getsockopt_string(zmq.LAST_ENDPOINT), topics=["cam"])]
    daemon.start()
    images = {name: jpeg(seed=name) for name in ("dealer", "delimiter", "pull", "sub")}
    assert Dealer(context, daemon.address()).ask(encode(seen("dealer")), images["dealer"]).word == b"ACK"
    delimited = Dealer(context, daemon.address(), delimiter=True)
    assert delimited.ask(encode(seen("delimiter")), images["delimiter"]).word == b"ACK"
    push = context.socket(zmq.PUSH)
    push.connect(daemon.address("pull"))
    push.send_multipart([encode(seen("pull")), images["pull"]])
    assert publisher.poll(60000) and publisher.recv() == b"\1cam"
    publisher.send_multipart([b"cam", encode(seen("sub")), images["sub"]])
    database.wait_stored(4)
    assert stored_images(database) == images


BAD = {"empty": b"", "gif": b"GIF89a" + bytes(100), "svg": b"<svg/>", "too large": jpeg(1_000_001), "huge": jpeg(8 * 1024 * 1024),
       "not first": b"\0" + jpeg()}


def test_a_bad_image_is_dropped_and_its_alert_flagged(database, daemon, dealer):
    for event, image in BAD.items():
        assert dealer.ask(encode(seen(event)), image).word == b"ACK", event
    assert dealer.ask(encode(seen("no size")), b"\xff\xd8\xff").word == b"ACK"
    database.wait_stored(len(BAD) + 1)
    flags = dict(database.rows("select event_id, flags from patrol.alerts"))
    assert flags == {**{event: ["bad_image"] for event in BAD}, "no size": []}
    assert database.rows("select bytes, width, height from mobeye.snapshot") == [(3, None, None)]


def test_an_image_that_is_cut_anywhere_is_itself_or_nothing(database, daemon, dealer):
    """Its first bytes determine what it is, whatever follows; anything shorter is not an image."""
    whole = {"jpeg": (jpeg(60), 3), "png": (png(60), 8), "webp": (webp(60), 12)}
    images = {f"{name}-{size}": (image[:size], size >= first) for name, (image, first) in whole.items() for size in range(61)}
    images["gif in png"] = (png(60)[:8] + b"GIF89a" + bytes(40), True)
    images["html after jpeg"] = (b"\xff\xd8\xff<script>alert(1)</script>", True)
    images["zip bomb"] = (b"PK\3\4" + png(60), False)
    for event, (image, _) in images.items():
        dealer.send(encode(seen(event)), image)
    assert {dealer.reply().word for _ in images} == {b"ACK"}
    database.wait_stored(len(images))
    assert stored_images(database) == {event: image for event, (image, good) in images.items() if good}
    flagged = {event for event, in database.rows("select event_id from patrol.alerts where flags = '{bad_image}'")}
    assert flagged == {event for event, (_, good) in images.items() if not good}


def test_an_image_without_a_payload_is_malformed(database, daemons, context):
    daemon = daemons(database.ingest)
    daemon.conf.endpoints += [daemon.conf.endpoint("pull", socket="pull")]
    daemon.start()
    plain, delimited = (Dealer(context, daemon.address(), delimiter=delimiter) for delimiter in (False, True))
    for dealer, *frames in ((plain, jpeg()), (plain, jpeg(), encode(seen("swapped"))), (delimited, jpeg()), (delimited, b"", jpeg())):
        reply = dealer.ask(*frames)
        assert (reply.word, reply.detail.split(b":")[0]) == (b"REJECT", b"malformed"), frames
    push = context.socket(zmq.PUSH)
    push.connect(daemon.address("pull"))
    for frames in ([b"", jpeg()], [jpeg()], [encode(seen("more")), jpeg(), jpeg()], [encode(seen("good")), jpeg()]):
        push.send_multipart(frames)
    asking = context.socket(zmq.REQ)
    asking.setsockopt(zmq.LINGER, 0)
    asking.connect(daemon.address())
    asking.send_multipart([encode(seen("asked")), png()])
    assert asking.poll(60000) and asking.recv_multipart()[:2] == [b"ACK", b"asked"]
    database.wait_stored(2)
    assert stored_images(database) == {"good": jpeg(), "asked": png()}
    assert daemon.metric("rejected_total", endpoint="pull", code="malformed") == 3


def test_a_journal_full_of_images_keeps_what_it_accepted(cluster, database, daemons, context):
    """RETRY for what has no room, image or not; none is stored without its image."""
    daemon = daemons(database.ingest, max_size="8MiB").start()
    cluster.stop()
    dealer = Dealer(context, daemon.address())
    accepted, refused = {}, None
    for n in range(1000):
        image = jpeg(150_000 + n, seed=n)
        word = dealer.ask(encode(seen(f"full-{n}")), image).word
        if word == b"RETRY":
            refused = f"full-{n}"
            break
        assert word == b"ACK"
        accepted[f"full-{n}"] = image
    assert refused and len(accepted) > 10
    daemon.kill()
    daemon.start()
    cluster.start()
    daemon.wait_drained()
    assert stored_images(database) == accepted
    assert database.value("select count(*) from patrol.alerts where 'bad_image' = any(flags)") == 0
    assert Dealer(context, daemon.address()).ask(encode(seen(refused)), jpeg(150_000)).word == b"ACK"
    database.wait_stored(len(accepted) + 1)


def test_more_frames_than_an_image_are_malformed(database, daemons, context):
    daemon = daemons(database.ingest)
    daemon.conf.endpoints += [{**daemon.conf.endpoint("dc09"), "format": "sia-dc09"}]
    daemon.start()
    dealer = Dealer(context, daemon.address())
    reply = dealer.ask(encode(seen("a")), jpeg(), jpeg())
    assert (reply.word, reply.detail.split(b":")[0]) == (b"REJECT", b"malformed")
    reply = Dealer(context, daemon.address("dc09")).ask(b"anything", jpeg())
    assert (reply.word, reply.detail.split(b":")[0]) == (b"REJECT", b"malformed")
    assert dealer.ask(encode(seen("b")), jpeg()).word == b"ACK"
    database.wait_stored(1)


def test_a_resend_adds_no_image(database, daemon, dealer):
    first = encode(seen("a"))
    for image in (jpeg(seed=1), jpeg(seed=2)):
        assert dealer.ask(first, image).word == b"ACK"
    assert dealer.ask(encode(seen("b"))).word == b"ACK"
    assert dealer.ask(encode(seen("b")), jpeg(seed=3)).word == b"ACK"
    dealer.send(encode(seen("c")), jpeg(seed=4))  # both in one batch
    dealer.send(encode(seen("c")), jpeg(seed=5))
    assert {dealer.reply().word, dealer.reply().word} == {b"ACK"}
    daemon.wait_drained()
    assert stored_images(database) == {"a": jpeg(seed=1), "c": jpeg(seed=4)}
    # Another device's alert of that identity is another alert, with an image of its own.
    other = {**seen("a"), "data": {**seen("a")["data"], "device": "CAM-2"}}
    assert dealer.ask(encode(other), jpeg(seed=6)).word == b"ACK"
    daemon.wait_drained()
    images = dict(database.rows("select device_id, image from mobeye.snapshot"))
    assert bytes(images["CAM-2"]) == jpeg(seed=6) and len(images) == 2


def test_images_outlast_an_outage_and_a_kill(cluster, database, daemons, context):
    daemon = daemons(database.ingest, batch_max=50).start()
    cluster.stop()
    dealer = Dealer(context, daemon.address())
    images = {f"i-{n}": jpeg(200_000 + n, seed=n) for n in range(40)}
    for event, image in images.items():
        assert dealer.ask(encode(seen(event)), image).word == b"ACK"
    daemon.kill()
    daemon.start()
    for event in list(images)[:10]:
        assert Dealer(context, daemon.address()).ask(encode(seen(event)), jpeg(seed="other")).word == b"ACK"
    cluster.start()
    daemon.wait_drained()
    assert stored_images(database) == images


def test_a_journal_too_small_for_an_image_keeps_the_alert(database, daemons, context):
    daemon = daemons(database.ingest, max_size="256KiB").start()
    dealer = Dealer(context, daemon.address())
    assert dealer.ask(encode(seen("large")), jpeg(200_000)).word == b"ACK"
    assert dealer.ask(encode(seen("small")), jpeg(20_000)).word == b"ACK"
    database.wait_stored(2)
    assert dict(database.rows("select event_id, flags from patrol.alerts")) == {"large": ["bad_image"], "small": []}


def test_an_old_image_is_not_stored_to_be_erased_at_once(database, daemons, context):
    daemon = daemons(database.ingest, more="retention: {camera: 2d}\n").start()
    late = {**alert("late", kind="intrusion"), "time": "2026-01-01T00:00:00Z"}
    now = alert("now", kind="intrusion")
    late["time"] = database.value("select to_char(now() at time zone 'UTC' - interval '5 days', 'YYYY-MM-DD\"T\"HH24:MI:SSZ')")
    dealer = Dealer(context, daemon.address())
    for message in (late, now):
        assert dealer.ask(encode(message), jpeg()).word == b"ACK"
    database.wait_stored(2)
    assert dict(database.rows("select event_id, image_bytes from patrol.alerts")) == {"late": None, "now": 2000}
    assert dict(database.rows("select event_id, flags from patrol.alerts")) == {"late": [], "now": []}


def test_what_the_database_refuses_goes_to_quarantine_with_its_image(database, daemons, context):
    daemon = daemons(database.ingest).start()
    dealer = Dealer(context, daemon.address())
    database.execute("alter table mobeye.snapshot add constraint no_twelve check (bytes <> 1212)")
    for event, size in (("a", 1000), ("b", 1212), ("c", 3000)):
        dealer.send(encode(seen(event)), jpeg(size, seed=event))
    for _ in range(3):
        assert dealer.reply().word == b"ACK"
    daemon.wait_drained()
    assert stored_images(database) == {"a": jpeg(1000, seed="a"), "c": jpeg(3000, seed="c")}
    assert database.rows("select event_id, sqlstate from mobeye.quarantine") == [("b", "23514")]
    database.execute("alter table mobeye.snapshot drop constraint no_twelve")
    quarantined = database.value("select id from mobeye.quarantine")
    done = daemon.ctl("quarantine", "retry", str(quarantined), "--db", database.conninfo)
    assert done.returncode == 0, done.stderr
    assert stored_images(database)["b"] == jpeg(1212, seed="b")


def test_an_image_without_an_incident_is_for_its_subject_alone(database, daemons, context, tmp_path):
    """No history could record a look at it. The owner hands it out at the request of a person."""
    daemon = daemons(database.ingest, more=RULES.replace("kind: camera", "score: {min: 0.5}")).start()
    dealer = Dealer(context, daemon.address())
    images = {"weak": jpeg(seed=1), "strong": png(seed=2), "later": webp(seed=3)}
    for event, score in (("weak", 0.2), ("strong", 0.8), ("later", 0.9)):
        assert dealer.ask(encode(seen(event, score)), images[event]).word == b"ACK"
    database.wait_stored(3)
    stored = {event: (str(image), incident) for event, image, incident in
              database.rows("select event_id, image_id, incident_id from mobeye.alert where device_id = 'CAM-1'")}
    assert stored["weak"][1] is None and stored["strong"][1] is not None
    database.execute("create role desk login in role mobeye_patrol; create role inspector login in role mobeye_auditor;"
                     " insert into mobeye.person (login, name, all_teams) values ('desk', 'Desk', true)")
    try:
        for role, reason in (("desk", None), ("inspector", "audit"), (None, "owner")):
            with psycopg.connect(database.conninfo) as conn:
                if role:
                    conn.execute(f"set role {role}")
                shown = {str(row[0]) for row in conn.execute("select image_id from patrol.images")}
                assert stored["weak"][0] not in shown and (role == "inspector" or stored["strong"][0] in shown)
                with pytest.raises(psycopg.errors.NoDataFound):
                    conn.execute("select patrol.open_image(%s, %s)", [stored["weak"][0], reason])
    finally:
        database.execute("drop owned by desk, inspector; drop role desk; drop role inspector")
    subject = ("subject", "export", "--device", "CAM-1", "--from", "2000-01-01T00:00:00Z", "--until", "2100-01-01T00:00:00Z",
               "--db", database.conninfo)
    told = daemon.ctl(*subject)
    assert told.returncode == 0 and "3 images are listed without their pixels" in told.stderr
    directory = tmp_path / "images"
    done = daemon.ctl(*subject, "--images", str(directory))
    assert done.returncode == 0, done.stderr
    listed = json.loads(done.stdout)[0]["images"]
    endings = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}
    files = {f"{one['image_id']}.{endings[one['media_type']]}": one["sha256"] for one in listed}
    assert {file.name: sha256(file.read_bytes()) for file in directory.iterdir()} == files
    assert sorted(files.values()) == sorted(map(sha256, images.values()))
    assert {file.stat().st_mode & 0o777 for file in (directory, *directory.iterdir())} == {0o700, 0o600}
    again = daemon.ctl(*subject, "--images", str(directory))
    assert again.returncode == 1 and "File exists" in again.stderr  # no file is replaced


def test_the_journal_shows_an_image(database, daemons, context):
    daemon = daemons(database.ingest).start()
    assert Dealer(context, daemon.address()).ask(encode(seen("a")), jpeg()).word == b"ACK"
    daemon.wait_drained()
    dump = json.loads(daemon.ctl("journal", "dump", "--json").stdout)
    assert dump["image"] == {"media_type": "image/jpeg", "width": 1280, "height": 720, "bytes": 2000}
    assert daemon.ctl("journal", "dump").stdout.endswith("  a  image/jpeg, 2000 bytes\n")


def accept_all(peer, ids, image):
    """Each gets its ACK. What lost its connection, or was told to wait, is sent again, as a sender does."""
    waiting, silences = set(ids), 0
    while waiting:
        if peer.socket.poll(5000):
            reply = peer.reply()
            assert reply.word in (b"ACK", b"RETRY"), reply
            if reply.word == b"ACK":
                waiting.discard(reply.id.decode())
        else:
            silences += 1
            assert silences < 12, f"{len(waiting)} images have no answer"
            for one in waiting:
                peer.send(encode(seen(one)), image)


@pytest.mark.parametrize("peers", [50])
def test_peers_with_images_cannot_exhaust_memory(database, daemons, context, peers):
    daemon = daemons(database.ingest, max_size="256MiB").start()
    small = Dealer(context, daemon.address())
    small.ask(alert("warm"))
    images = [Dealer(context, daemon.address()) for _ in range(peers)]
    image = jpeg(1_000_000, seed=0)
    for n in range(4):
        for number, peer in enumerate(images):
            peer.send(encode(seen(f"{number}-{n}")), image)
    # On ipc a connection is cut because it is suspect, and it may be this one: it resends, as every sender does.
    small.deliver((alert(f"small-{n}") for n in range(50)), window=1, resend_after=5)
    assert len(small.ledger.accepted) == 50
    peak = daemon.rss_kib()
    for number, peer in enumerate(images):
        accept_all(peer, [f"{number}-{n}" for n in range(4)], image)
        peak = max(peak, daemon.rss_kib())
    wait_until(lambda: database.value("select count(*) from mobeye.snapshot") == 4 * peers, "all images are stored")
    assert peak < 300 * 1024, f"{peak} KiB"
