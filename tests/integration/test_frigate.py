"""mobeye-frigate between a Frigate and a mobeyed of the test: Debian's mosquitto, an HTTP server, a router."""
import shutil
import subprocess
import threading
import time

import pytest

from harness.frigate import JPEG, Broker, EndlessBroker, event
from harness.frigate_fixtures import *  # noqa: F401,F403
from harness.paths import BRIDGE
from harness.wait import wait_until

pytestmark = pytest.mark.skipif(not shutil.which("mosquitto"), reason="mosquitto is not installed")


# What MQTT says.

def test_an_event_is_a_raise_updates_and_a_restore(bridge, broker, receiver):
    one = event(1)
    broker.tell("new", one)
    entered = {**one, "entered_zones": ["drive"], "frame_time": one["start_time"] + 2}
    broker.tell("update", entered)
    broker.tell("update", {**entered, "frame_time": one["start_time"] + 3})  # no news
    still = {**entered, "stationary": True, "active": False, "frame_time": one["start_time"] + 4}
    broker.tell("update", still)
    sure = {**still, "top_score": 0.9, "frame_time": one["start_time"] + 5}
    broker.tell("update", sure)
    ended = {**sure, "end_time": one["start_time"] + 6}
    broker.tell("end", ended)
    receiver.wait(f"{one['id']}:end")
    updates = [f"{one['id']}:update:{frame['frame_time']}" for frame in (entered, still, sure)]
    assert receiver.ids() == [f"{one['id']}:new", *updates, f"{one['id']}:end"]
    phases = [alert["data"]["phase"] for _, alert, _ in receiver.got]
    assert phases == ["raise", "update", "update", "update", "restore"]
    first = receiver.alert(f"{one['id']}:new")
    assert first["source"] == "/frigate/noord" and first["type"] == "mobeye.alert.v1"
    assert first["data"] == {"device": "noord/front_door", "kind": "camera", "phase": "raise", "camera": {
        "label": "person", "score": 0.8, "box": [0.1, 0.1, 0.1, 0.1], "track": one["id"]}}
    assert receiver.alert(f"{one['id']}:end")["data"]["camera"]["camera_zone"] == "drive"
    assert bridge.metric("malformed_total") == 0


def test_a_false_positive_is_nothing_until_it_is_none(bridge, broker, receiver):
    one, two = event(1, false_positive=True), event(2)
    broker.tell("new", one)
    broker.tell("end", {**event(3, false_positive=True), "end_time": time.time()})
    broker.tell("update", {**one, "false_positive": False})
    broker.tell("new", two)
    receiver.wait(f"{one['id']}:new", f"{two['id']}:new")
    assert receiver.ids() == [f"{one['id']}:new", f"{two['id']}:new"]


def test_cameras_labels_and_names_are_filtered(bridges, broker, receiver):
    bridge = bridges(cameras={"front_door": {"device": "CAM-0012"}, "yard": {"ignore": True}}, labels=["person"],
                     keep=["plate"]).start()
    bridge.wait_following()
    seen = event(1, sub_label=["Jansen", 0.9], recognized_license_plate=["12-AB-34", 0.8])
    for one in (event(2, camera="yard"), event(3, label="car"), seen):
        broker.tell("new", one)
    receiver.wait(f"{seen['id']}:new")
    assert receiver.ids() == [f"{seen['id']}:new"]
    data = receiver.alert(f"{seen['id']}:new")["data"]
    assert data["device"] == "CAM-0012"
    assert data["camera"]["plate"] == "12-AB-34" and "Jansen" not in str(data)
    assert "Jansen" not in bridge.log() and "12-AB-34" not in bridge.log()


def test_messages_that_are_not_events_are_counted_and_hide_nothing(bridge, broker, receiver):
    for bad in (b"", b"nonsense", b"[]", b'{"type":"new"}', b'{"type":"new","after":null}', b'{"type":"new","after":{"id":7}}',
                b'{"type":"new","after":{"id":"../../login"}}', b"\xff\xfe", b'{"after":' * 1000):
        broker.publish("frigate/events", bad)
    odd = {"id": "1700000000.5-odd", "camera": 7, "label": None, "top_score": "high", "box": {"x": 1}, "entered_zones": "drive",
           "start_time": "now", "end_time": [], "stationary": 3, "false_positive": None}
    broker.tell("new", odd)
    receiver.wait("1700000000.5-odd:new")
    assert receiver.alert("1700000000.5-odd:new")["data"]["camera"] == {"track": "1700000000.5-odd"}
    assert bridge.metric("malformed_total") == 9


def test_a_message_of_many_kilobytes_is_an_alert_of_few(bridge, broker, receiver):
    one = event(1, path_data=[[[0.123456, 0.654321], n] for n in range(9000)])
    broker.tell("new", one)
    receiver.wait(f"{one['id']}:new")
    assert len(str(receiver.alert(f"{one['id']}:new"))) < 2000


# What HTTP says.

def test_what_mqtt_lost_is_found_at_start(bridges, frigate, receiver):
    start = time.time()
    ended = [event(n, start=start - 60 * n, end=start - 60 * n + 20) for n in range(1, 59)]
    running, old = event(100, start=start - 7200), event(101, start=start - 2 * 86400, end=start - 86400)
    frigate.know(running, old, *ended)
    bridge = bridges(broker=None).start()
    bridge.wait_metric("http_last_success_timestamp_seconds", lambda value: value > 0)
    wanted = {f"{one['id']}:{what}" for one in ended[:58] for what in ("new", "end")} | {f"{running['id']}:new"}
    assert set(receiver.ids()) == wanted
    order = receiver.ids()
    assert all(order.index(f"{one['id']}:new") < order.index(f"{one['id']}:end") for one in ended)
    assert bridge.metric("cursor_timestamp_seconds") >= start - 1  # HTTP dates are whole seconds


def test_pages_of_many_events_are_all_read(bridges, frigate, receiver):
    start = time.time() - 1800
    many = [event(n, start=start + n, end=start + n + 0.5) for n in range(350)]
    frigate.know(*many)
    bridge = bridges(broker=None).start()
    bridge.wait_metric("http_last_success_timestamp_seconds", lambda value: value > 0)
    assert set(receiver.ids()) == {f"{one['id']}:{what}" for one in many for what in ("new", "end")}


def test_what_was_lost_while_the_broker_was_away_is_found_when_it_comes_back(bridge, frigate, broker, receiver):
    broker.stop()
    bridge.wait_metric("mqtt_connected", 0)
    lost = event(1, start=time.time() - 30, end=time.time() - 10)
    frigate.know(lost)
    broker.start()
    receiver.wait(f"{lost['id']}:new", f"{lost['id']}:end")
    after = event(2)
    bridge.wait_metric("mqtt_connected", 1)
    broker.tell("new", after)
    receiver.wait(f"{after['id']}:new")
    assert not [one for one in receiver.ids() if "line:" in one]  # a lost broker is not an offline Frigate


def test_the_same_event_by_both_ways_is_sent_once(bridge, frigate, broker, receiver):
    one = event(1)
    broker.tell("new", one)
    receiver.wait(f"{one['id']}:new")
    ended = {**one, "end_time": time.time(), "entered_zones": ["drive"]}
    frigate.know(ended)
    broker.publish("frigate/available", "offline")
    wait_until(lambda: [i for i in receiver.ids() if i.startswith("offline:")], "offline")
    broker.publish("frigate/available", "online")
    receiver.wait(f"{one['id']}:end")
    for kind, late in (("end", ended), ("update", {**ended, "stationary": True}), ("new", one)):
        broker.tell(kind, late)
    last = event(2)
    broker.tell("new", last)
    receiver.wait(f"{last['id']}:new")
    of_one = [i for i, _, _ in receiver.got if i.startswith(one["id"])]
    assert of_one == [f"{one['id']}:new", f"{one['id']}:end"]


def test_a_catch_up_that_ends_an_event_reads_it_by_its_id(bridges, frigate, broker, receiver):
    """Begun long before the window of the lists, in progress when the bridge was killed, ended since."""
    one = event(1, start=time.time() - 4 * 3600)
    frigate.know(one)
    bridge = bridges().start()
    receiver.wait(f"{one['id']}:new")
    bridge.wait_metric("waiting", 0)
    bridge.stop()
    frigate.know({**one, "end_time": time.time() - 1})
    bridge.start()
    receiver.wait(f"{one['id']}:end")


# Availability.

def test_offline_by_mqtt_is_one_alert_and_its_restore(bridge, broker, receiver):
    for word in ("offline", "offline", "nonsense", "online", "online"):
        broker.publish("frigate/available", word, retain=True)
    wait_until(lambda: [i for i in receiver.ids() if i.startswith("online:")], "online")
    (off, raised, _), (on, restored, _) = receiver.got
    assert off.startswith("offline:") and on.startswith("online:")
    assert raised["data"]["device"] == restored["data"]["device"] == "noord"
    assert (raised["data"]["kind"], raised["data"]["phase"]) == ("comms", "raise")
    assert (restored["data"]["kind"], restored["data"]["phase"]) == ("comms", "restore")


def test_offline_is_remembered_over_a_restart(bridge, broker, receiver):
    broker.publish("frigate/available", "offline", retain=True)
    wait_until(lambda: receiver.ids(), "offline")
    bridge.wait_metric("waiting", 0)
    bridge.stop()
    bridge.start()
    bridge.wait_following()
    one = event(1)
    broker.tell("new", one)
    receiver.wait(f"{one['id']}:new")
    assert [i.split(":")[0] for i in receiver.ids()] == ["offline", one["id"]]


# Images.

def test_the_alert_does_not_wait_for_its_image(bridges, frigate, broker, receiver):
    bridge = bridges(images={"height": 360, "retry_for": "1m"}).start()
    bridge.wait_following()
    one = event(1)
    broker.tell("new", one)
    receiver.wait(f"{one['id']}:new")
    wait_until(lambda: [path for path in frigate.asked if "snapshot.jpg?h=360" in path], "the image is asked for")
    frigate.images[one["id"]] = JPEG
    receiver.wait(f"{one['id']}:image")
    assert receiver.image(f"{one['id']}:new") is None
    assert receiver.image(f"{one['id']}:image") == JPEG
    assert receiver.alert(f"{one['id']}:image")["data"]["phase"] == "update"
    assert receiver.alert(f"{one['id']}:image")["time"] == receiver.alert(f"{one['id']}:new")["time"]
    frigate.images[one["id"]] = JPEG + b"better"
    broker.tell("end", {**one, "end_time": time.time()})
    receiver.wait(f"{one['id']}:image:end")
    assert receiver.image(f"{one['id']}:image:end") == JPEG + b"better"


def test_an_ended_event_has_one_image(bridges, frigate, receiver):
    one = event(1, start=time.time() - 60, end=time.time() - 50)
    frigate.know(one)
    frigate.images[one["id"]] = JPEG
    bridges(images={"height": 360}).start()
    receiver.wait(f"{one['id']}:image")
    assert receiver.ids() == [f"{one['id']}:new", f"{one['id']}:end", f"{one['id']}:image"]


def test_an_image_that_is_too_large_is_fetched_smaller(bridges, frigate, broker, receiver):
    sizes = {"720": b"\xff\xd8\xff" + b"x" * 2_000_000, "360": b"\xff\xd8\xff" + b"x" * 1_000_000, "180": JPEG}

    def answer(handler):
        if "/snapshot.jpg" not in handler.path:
            return False
        handler.send(200, sizes[handler.path.split("h=")[1]], "image/jpeg")
        return True
    frigate.fault = answer
    bridge = bridges(images={"height": 720}).start()
    bridge.wait_following()
    one = event(1)
    broker.tell("new", one)
    receiver.wait(f"{one['id']}:image")
    assert receiver.image(f"{one['id']}:image") == JPEG


def test_an_image_that_never_comes_is_given_up(bridges, frigate, broker, receiver):
    bridge = bridges(images={"retry_for": "1s"}).start()
    bridge.wait_following()
    one = event(1, end=time.time())
    broker.tell("new", one)
    bridge.wait_metric("images_missing_total", 1)
    assert bridge.metric("images_wanted") == 0
    assert receiver.ids() == [f"{one['id']}:new", f"{one['id']}:end"]


# What mobeyed answers, and restarts.

def test_what_is_not_acknowledged_is_sent_again(bridge, broker, receiver):
    receiver.word = b"RETRY"
    one = event(1)
    broker.tell("new", one)
    broker.tell("end", {**one, "end_time": time.time()})
    receiver.wait(f"{one['id']}:new")
    assert receiver.ids() == [f"{one['id']}:new"]  # its restore waits for it
    receiver.word = b"ACK"
    receiver.wait(f"{one['id']}:end")
    bridge.wait_metric("waiting", 0)


def test_the_cursor_moves_with_acknowledgements_only(bridges, frigate, broker, receiver):
    receiver.word = None
    one = event(1, start=time.time() - 60, end=time.time() - 50)
    frigate.know(one)
    bridge = bridges().start()
    receiver.wait(f"{one['id']}:new")
    assert bridge.metric("cursor_timestamp_seconds") == 0
    bridge.kill()
    receiver.word = b"ACK"
    del receiver.got[:]
    bridge.start()
    receiver.wait(f"{one['id']}:new", f"{one['id']}:end")
    bridge.wait_metric("cursor_timestamp_seconds", lambda value: value > one["start_time"])


def test_what_is_done_is_not_sent_again_after_a_restart(bridges, frigate, receiver):
    frigate.know(*(event(n, start=time.time() - 60 * n, end=time.time() - 60 * n + 1) for n in range(1, 20)))
    bridge = bridges().start()
    bridge.wait_metric("cursor_timestamp_seconds", lambda value: value > 0)
    assert len(receiver.ids()) == 38
    bridge.kill()
    del receiver.got[:]
    bridge.start()
    bridge.wait_metric("http_last_success_timestamp_seconds", lambda value: value > 0)
    assert receiver.got == []


def test_a_damaged_state_file_costs_a_second_sending_only(bridges, frigate, receiver):
    one = event(1, start=time.time() - 60, end=time.time() - 50)
    frigate.know(one)
    bridge = bridges().start()
    bridge.wait_metric("cursor_timestamp_seconds", lambda value: value > 0)
    bridge.stop()
    for damage in (b"\x00\xff" * 5000, b"track\t\t\t\n" * 100, b"cursor\tnan\ncursor\t1e400\n", b"track\tx\t1\t31\t-1\tnan\t9\tc\tl\n"):
        (bridge.state / "state").write_bytes(damage)
        del receiver.got[:]
        bridge.start()
        receiver.wait(f"{one['id']}:new", f"{one['id']}:end")
        bridge.stop()


def test_two_bridges_do_not_share_a_state(bridges, bridge):
    other = bridges(state=str(bridge.state))
    with pytest.raises(AssertionError, match="another mobeye-frigate uses this directory"):
        other.start()
    other.process.wait(30)
    other.process = None


# Servers that misbehave.

@pytest.mark.parametrize("status", [401, 404, 500])
def test_after_errors_of_http_what_was_missed_is_found(bridges, frigate, receiver, status):
    one = event(1, start=time.time() - 60, end=time.time() - 50)
    frigate.know(one)

    def answer(handler):
        handler.send(status, b"{}")
        return True
    frigate.fault = answer
    bridge = bridges().start()
    bridge.wait_metric("http_failures_total", lambda value: value >= 1)
    frigate.fault = lambda handler: False
    receiver.wait(f"{one['id']}:new", f"{one['id']}:end")


def test_endless_bytes_and_hanging_answers_hold_up_nothing(bridges, frigate, broker, receiver):
    faults = {"n": 0}

    def answer(handler):
        if not handler.path.startswith("/api/events?"):
            return False
        faults["n"] += 1
        if faults["n"] <= 4:  # however few events are asked for
            handler.send_response(200)
            handler.send_header("Content-Length", str(1 << 40))
            handler.end_headers()
            while True:
                handler.wfile.write(b" " * 65536)
        if faults["n"] == 5:
            handler.send(200, b'[{"id": "1700000000.1-x", ')
            return True
        return False
    frigate.fault = answer
    bridge = bridges().start()
    bridge.wait_metric("mqtt_connected", 1)
    one = event(1)
    broker.tell("new", one)
    receiver.wait(f"{one['id']}:new")
    bridge.wait_metric("http_last_success_timestamp_seconds", lambda value: value > 0)
    assert bridge.metric("http_failures_total") >= 2


def test_a_broker_that_says_nothing_is_left_and_http_goes_on(bridges, frigate, receiver):
    import socket
    with socket.create_server(("127.0.0.1", 0)) as silent:
        one = event(1, start=time.time() - 60, end=time.time() - 50)
        frigate.know(one)
        bridge = bridges(broker=None, mqtt={"host": "127.0.0.1", "port": silent.getsockname()[1]}).start()
        receiver.wait(f"{one['id']}:end")
        wait_until(lambda: "does not answer" in bridge.log(), "the broker is left")


def test_a_broker_that_sends_an_endless_message_is_left(bridges, frigate, receiver):
    endless = EndlessBroker()
    try:
        bridge = bridges(broker=endless).start()
        wait_until(lambda: "sends an endless message" in bridge.log(), "the broker is left")
        one = event(1, start=time.time() - 60, end=time.time() - 50)
        frigate.know(one)
        receiver.wait(f"{one['id']}:end")
    finally:
        endless.close()


@pytest.mark.skipif(not shutil.which("mosquitto_passwd") or not shutil.which("openssl"), reason="no mosquitto_passwd or openssl")
def test_a_broker_with_tls_and_a_login_is_followed(bridges, receiver, tmp_path):
    broker = Broker(login=True)
    password = tmp_path / "password"
    password.write_text("secret\n")
    password.chmod(0o600)
    login = {"user": "mobeye", "password_file": str(password), "ca_file": str(broker.ca), "port": broker.secure_port}
    try:
        bridge = bridges(broker=broker, mqtt=login).start()
        bridge.wait_following()
        one = event(1)
        broker.tell("new", one)
        receiver.wait(f"{one['id']}:new")
        password.write_text("wrong\n")
        refused = bridges(broker=broker, mqtt=login).start()
        wait_until(lambda: "refused: " in refused.log(), "the broker refuses it")
        assert "secret" not in bridge.log() and "wrong" not in refused.log()
    finally:
        broker.close()


def test_a_login_is_renewed_when_its_token_is_refused(bridges, frigate, receiver, tmp_path):
    password = tmp_path / "password"
    password.write_text('se"cret\n')
    password.chmod(0o600)
    frigate.password = 'se"cret'
    one, two = (event(n, start=time.time() - 60, end=time.time() - 50) for n in (1, 2))
    frigate.know(one)
    bridge = bridges(api={"url": frigate.url, "user": "mobeye", "password_file": str(password)}).start()
    receiver.wait(f"{one['id']}:end")
    frigate.tokens.clear()
    frigate.know(two)
    bridge.stop()
    bridge.start()
    receiver.wait(f"{two['id']}:end")
    assert 'se"cret' not in bridge.log()


def test_a_late_refusal_of_the_old_token_costs_no_second_login(bridges, frigate, broker, receiver, tmp_path):
    """Two requests are sent with it; one is refused, and after the login with its new token the other."""
    password = tmp_path / "password"
    password.write_text("secret\n")
    password.chmod(0o600)
    frigate.password = "secret"
    one, two = event(1), event(2)
    asked = {one["id"]: threading.Event(), two["id"]: threading.Event()}
    frigate.images.update({one["id"]: JPEG + b"one", two["id"]: JPEG + b"two"})

    def answer(handler):
        if "/snapshot.jpg" not in handler.path:
            return False
        number, token = handler.path.split("/")[3], handler.headers["Authorization"]
        asked[number].set()
        if token == "Bearer token-0" and number == one["id"]:
            asked[two["id"]].wait(60)  # both are under way with the old token
        elif token == "Bearer token-0":
            receiver.wait(f"{one['id']}:image")
        return False
    frigate.fault = answer
    bridge = bridges(images={"retry_for": "1m"}, api={"url": frigate.url, "user": "mobeye", "password_file": str(password)}).start()
    bridge.wait_following()
    frigate.tokens.clear()
    frigate.tokens.add("of another client")
    for new in one, two:
        broker.tell("new", new)
    receiver.wait(f"{one['id']}:image", f"{two['id']}:image")
    assert frigate.tokens == {"of another client", "token-1"}


def check(file, *lines):
    """What --check says of a file with the keys that are required, and these."""
    file.write_text("\n".join(['name: noord\napi: {url: "http://127.0.0.1"}\nto: "tcp://127.0.0.1:1"', *lines, ""]))
    return subprocess.run([BRIDGE, "--check", "-c", file], capture_output=True, text=True, timeout=60)


def test_what_is_wrong_with_a_file_is_named_with_line_and_column(tmp_path):
    file = tmp_path / "bad.yaml"
    done = check(file, "lables: [person]")
    assert done.returncode == 2
    assert done.stderr.startswith(f"{file}:4:1: lables: unknown key, did you mean labels?")


@pytest.mark.parametrize("url", ["http://h:50000000", "http://[::1:5000", "http://h:0", "http://h:50a", "https://fe80::1/", "http://h:",
                                 "http://[]", "http://[]:80", "http://[nonsense]:80", "http://a]b", "http://a[b]:80", "http://[::1]b"])
def test_an_address_that_is_none_is_named(tmp_path, url):
    file = tmp_path / "bad.yaml"
    file.write_text(f'name: noord\napi: {{url: "{url}"}}\nto: "tcp://127.0.0.1:1"\n')
    done = subprocess.run([BRIDGE, "--check", "-c", file], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "api.url: has no valid host or port" in done.stderr, done.stderr


def test_a_file_that_is_valid_is_said_to_be(tmp_path):
    file = tmp_path / "good.yaml"
    done = check(file, f"state: {tmp_path}")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{file}: valid\n", "")


def test_what_the_file_names_is_looked_at(tmp_path):
    """A state that is not a directory, one that is not there yet, a password that others can read, one that is too long."""
    file, password, long = tmp_path / "bridge.yaml", tmp_path / "open", tmp_path / "long"
    password.write_text("secret\n")
    password.chmod(0o644)
    long.write_text("x" * 2000)
    long.chmod(0o600)
    done = check(file, f"state: {password}", f"mqtt: {{host: broker, user: a, password_file: {password}}}",
                 f"http: {{listen: 'http://127.0.0.1:1'}}", "client_key: /none")
    assert done.returncode == 2
    assert f"4:8: state: {password}: Not a directory (expected a directory that mobeye-frigate can write)" in done.stderr
    assert f"{password}: mode 0644 gives other users access (expected 0600 or 0400)\n" in done.stderr
    done = check(file, f"state: {tmp_path}/none", f"mqtt: {{host: broker, user: a, password_file: {long}}}")
    assert f"warning: state: {tmp_path}/none: No such file or directory (expected a directory" in done.stderr
    assert f"{long}: is too large (expected at most 1024 bytes)\n" in done.stderr
