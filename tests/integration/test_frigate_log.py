"""What mobeye-frigate says in its log, its metrics and in doctor when something is wrong, and when all is well."""
import re
import shutil
import time

import pytest

from harness.curve import Key
from harness.daemon import Notices
from harness.frigate import JPEG, Broker, Receiver, event
from harness.frigate_fixtures import *  # noqa: F401,F403
from harness.paths import free_port
from harness.wait import wait_until

pytestmark = pytest.mark.skipif(not shutil.which("mosquitto"), reason="mosquitto is not installed")


def test_the_service_manager_is_told_whether_frigate_answers(bridges, frigate, tmp_path):
    notices = Notices(tmp_path / "notify")
    try:
        frigate.fault = lambda handler: handler.send_error(500) or True
        bridges(broker=None).start(env={"NOTIFY_SOCKET": notices.path})
        wait_until(lambda: any("Frigate does not answer" in one for one in notices.seen), "the status of the bridge")
        assert not any("Frigate online" in one for one in notices.seen)
        frigate.fault = lambda handler: False
        wait_until(lambda: any("Frigate online" in one for one in notices.seen), "the status of the bridge")
    finally:
        notices.close()


# mobeyed.

def test_a_mobeyed_that_does_not_answer_is_named_with_what_to_check(bridges, frigate, receiver, context, tmp_path):
    """Nothing listens, an HTTP server listens, the key is another's, no reply comes: all at once, for the 10 s."""
    server, port = Key(), free_port()
    closed, other = Receiver(context, "tcp://127.0.0.1:*", server), f"tcp://127.0.0.1:{port}"
    receiver.word = None
    frigate.know(event(1, start=time.time() - 60, end=time.time() - 50))
    try:
        nobody = bridges(broker=None, to=[other]).start()
        http = bridges(broker=None, to=[f"tcp://127.0.0.1:{frigate.port}"]).start()
        key = bridges(broker=None, to=[closed.address], server_key=Key().public,
                      client_key=str(Key().write(tmp_path / "client.key"))).start()
        silent = bridges(broker=None).start()
        named = bridges(broker=None, to=["tcp://mobeyed.invalid:5555"]).start()
        both = bridges(broker=None, to=[other, f"tcp://127.0.0.1:{frigate.port}"]).start()
        line = nobody.wait_log("does not answer; ")
        assert f"warning mobeyed: {other} does not answer; 2 alerts wait (is mobeyed running, is this the address" in line
        assert "does it require CURVE (server_key, client_key)?" in http.wait_log("does not answer; ")
        assert "is server_key that of mobeyed, is the client key on its client list" in key.wait_log("does not answer; ")
        assert "it is connected: is this a router endpoint" in silent.wait_log("does not answer; ")
        assert "2 alerts wait (the name cannot be resolved: " in named.wait_log("does not answer; ")
        assert f"neither {other} nor tcp://127.0.0.1:{frigate.port} answers; 2 alerts wait" in both.wait_log("neither")
        assert nobody.metric("mobeyed_silent_seconds") >= 10 and nobody.metric("mobeyed_connected") == 0
        said = nobody.doctor(tmp_path)
        assert "PROBLEM" in said and "noord is not connected to mobeyed; 2 alerts wait: mobeyed is not running here" in said
        assert "does not answer" not in said, "Frigate does"
        late = Receiver(context, other)
        try:
            assert f"info    mobeyed: connected to {other}" in nobody.wait_log("mobeyed: connected to")
            nobody.wait_metric("waiting", 0)
            nobody.wait_metric("mobeyed_silent_seconds", 0)
        finally:
            late.close()
    finally:
        closed.close()


# The broker.

def test_a_broker_that_is_not_there_is_named_with_the_reason(bridges, broker):
    bridge = bridges().start()
    assert f"info    mqtt: subscribed to frigate/events and frigate/available at 127.0.0.1:{broker.port}" in bridge.wait_log("subscribed to")
    broker.stop()
    bridge.wait_log("the broker closed the connection .was it stopped, or did another client connect as mobeye-frigate-noord")
    line = bridge.wait_log("refused")
    assert f"warning mqtt: 127.0.0.1:{broker.port}: connection refused (is the broker running, is mqtt.port right?)" in line
    broker.start()
    bridge.wait_log("mqtt: subscribed to .* again")
    assert "Success" not in bridge.log() and "temporarily unavailable" not in bridge.log()


def test_a_name_that_nobody_knows_is_named(bridges):
    bridges(broker=None, mqtt={"host": "broker.invalid"}).start().wait_log("mqtt: broker.invalid:1883: cannot look up the name")


@pytest.mark.skipif(not shutil.which("mosquitto_passwd") or not shutil.which("openssl"), reason="no mosquitto_passwd or openssl")
def test_a_refused_login_and_a_wrong_authority_are_named(bridges, tmp_path):
    broker, other = Broker(login=True), Broker(login=True)
    password = tmp_path / "password"
    password.write_text("wrong\n")
    password.chmod(0o600)
    login = {"user": "mobeye", "password_file": str(password), "ca_file": str(broker.ca), "port": broker.secure_port}
    try:
        refused = bridges(broker=broker, mqtt=login).start()
        stranger = bridges(broker=broker, mqtt={**login, "ca_file": str(other.ca)}).start()
        plain = bridges(broker=broker, mqtt={"port": broker.secure_port}).start()
        refused.wait_log("mqtt: .*: refused: .* .are mqtt.user and mqtt.password_file right")
        stranger.wait_log("mqtt: .*: TLS: certificate verify failed .is mqtt.ca_file of the authority")
        plain.wait_log("mqtt: .*: the broker closed the connection before it accepted the client .does it require TLS")
    finally:
        broker.close()
        other.close()


def test_two_bridges_with_one_name_are_told_so(bridges, tmp_path):
    """The broker admits the one that connects last, and disconnects the other."""
    one, two = bridges().start(), bridges().start()
    wait_until(lambda: one.metric("mqtt_contested") + two.metric("mqtt_contested") > 0, "they throw each other out")
    bridge = one if one.metric("mqtt_contested") else two
    line = bridge.wait_log("accepts mobeye-frigate-noord")
    assert "does another mobeye-frigate with name: noord run, here or elsewhere?" in line
    assert "another mobeye-frigate with name: noord takes its connection to the broker" in bridge.doctor(tmp_path)


# Frigate.

def test_what_it_follows_is_logged_when_all_is_well(bridges, broker, receiver, frigate, tmp_path):
    bridge = bridges().start()
    line = bridge.wait_log("frigate: connected")
    assert f"info    frigate: connected to {frigate.url}, version 0.16.1-e664cb2, 1 camera: front_door" in line
    assert f"mobeyed: connected to {receiver.address}" in bridge.wait_log("mobeyed: connected")
    bridge.wait_log("mqtt: subscribed to frigate/events")
    assert "warning" not in bridge.log()
    bridge.wait_following()
    assert re.fullmatch(r"ok +frigate +noord follows Frigate, which is asked every minute and answered \d+ s ago; 0 alerts wait", bridge.doctor(tmp_path))
    assert "connected to mobeyed, Frigate answers, connected to the broker" in bridge.status(tmp_path)


def test_names_that_frigate_does_not_have_are_named_when_its_configuration_is_read(bridges, broker, frigate, tmp_path):
    """At start, and again when Frigate has been restarted with another configuration."""
    frigate.config = {"mqtt": {"enabled": True, "topic_prefix": "frigate"}, "cameras": {
        "front_door": {"objects": {"track": ["person", "car"]}, "snapshots": {"enabled": False}}, "yard": {"objects": {"track": ["car"]}}}}
    bridge = bridges(mqtt={"topic_prefix": "fregat"}, cameras={"frontdoor": {"device": "CAM-0012"}, "yrad": {"ignore": True}},
                     labels=["persoon"], images={"height": 360}).start()
    for line in ("cameras.frontdoor: Frigate has no camera with this name, did you mean front_door?",
                 "cameras.yrad: Frigate has no camera with this name, and nothing is ignored, did you mean yard?",
                 'labels: no camera of Frigate tracks "persoon", did you mean person? (expected one of person, car)',
                 'mqtt.topic_prefix: "fregat" is not that of Frigate (expected "frigate")',
                 "images: front_door: Frigate stores no snapshots (expected snapshots: enabled: true in its configuration)"):
        bridge.wait_log("warning " + re.escape(line))
    bridge.wait_metric("unknown_cameras", 2)
    found = bridge.metrics()
    assert (found["untracked_labels"], found["mqtt_differs"], found["without_snapshots"]) == (1, 1, 1)
    bridge.wait_metric("mqtt_connected", 1)
    said = bridge.doctor(tmp_path)
    for line in ("2 cameras that Frigate does not have are in the configuration of noord: journalctl -u mobeye-frigate names them",
                 "1 label that no camera tracks is in the configuration of noord",
                 f"noord follows fregat/ at 127.0.0.1:{broker.port}, and Frigate does not publish there",
                 "Frigate stores no snapshots of 1 camera of noord"):
        assert line in said, said
    assert "ok " not in said and "PROBLEM" not in said
    frigate.config["cameras"].update(frontdoor={"objects": {"track": ["persoon"]}}, yrad={})
    frigate.config["mqtt"]["topic_prefix"] = "fregat"
    for word in ("offline", "online"):
        broker.publish("fregat/available", word, retain=True)
    bridge.wait_metric("unknown_cameras", 0)
    found = bridge.metrics()
    assert (found["untracked_labels"], found["mqtt_differs"]) == (0, 0)


@pytest.mark.parametrize("status, advice", [
    (404, "(is this Frigate? api.url is its address without /api)"),
    (401, "(this port requires a login: set api.user and api.password_file)"),
    (403, "(may api.user see all cameras?)")])
def test_what_frigate_answers_is_logged_with_its_address_and_what_to_check(bridges, frigate, status, advice):
    def answer(handler):
        handler.send(status, b"{}")
        return True
    frigate.fault = answer
    bridge = bridges(broker=None).start()
    bridge.wait_log(re.escape(f"warning frigate: {frigate.url}/api/events: status {status} (expected 200) {advice}"))
    assert bridge.metric("http_answers") == 0
    frigate.fault = lambda handler: False
    bridge.wait_log("frigate: answers again")
    bridge.wait_log("frigate: connected to .*, version")
    bridge.wait_metric("http_answers", 1)


@pytest.mark.parametrize("status, location, wanted", [
    (301, "https://camera.example/api/events", "status 301 (expected 200): redirected to https://camera.example/api/events "
                                               "(api.url must be the final address, without /api)"),
    (400, None, "status 400 (expected 200) (does this port require https?)"),
    (429, None, "status 429 (expected 200) (a server in front of Frigate limits the number of requests"),
    (502, None, "status 502 (expected 200) (a server in front of Frigate cannot reach it: is Frigate running?)")])
def test_what_a_server_in_front_of_frigate_answers_is_logged_with_what_to_check(bridges, frigate, status, location, wanted):
    def answer(handler):
        handler.send(status, b"<html>", "text/html", [("Location", location)] if location else [])
        return True
    frigate.fault = answer
    bridges(broker=None).start().wait_log(re.escape(f"warning frigate: {frigate.url}/api/events: {wanted}"))


def test_that_mqtt_says_offline_is_logged(bridge, broker, tmp_path):
    broker.publish("frigate/available", "offline", retain=True)
    bridge.wait_log("warning frigate: is offline, as it reports by MQTT")
    assert "Frigate noord reports by MQTT that it is offline" in bridge.doctor(tmp_path)


# Images.

def test_an_image_that_is_given_up_is_named_with_its_event_and_camera(bridges, frigate, broker, tmp_path):
    """One that Frigate never has, one that is too large at every height, two that are not images."""
    missing, large, odd, film = (event(n, end=time.time()) for n in range(1, 5))
    frigate.images.update({large["id"]: JPEG + b"x" * 1_500_000, odd["id"]: b"<html>", film["id"]: b"RIFF\x20\0\0\0AVI LIST"})
    bridge = bridges(images={"height": 360, "retry_for": "1s"}).start()
    bridge.wait_following()
    for one in (missing, large, odd, film):
        broker.tell("new", one)
    bridge.wait_metric("images_missing_total", 3)
    bridge.wait_metric("images_too_large_total", 1)
    said = bridge.doctor(tmp_path)
    assert "Frigate noord has had no image of any event" in said and "1 image of noord dropped: larger than 1,000,000 bytes" in said
    bridge.wait_log(f"image: of {missing['id']} .camera front_door.: Frigate had none within 1 s, dropped .does it store snapshots")
    line = bridge.wait_log(f"image: of {large['id']}")
    assert "larger than 1000000 bytes even at 90 pixels, dropped (Frigate may send the snapshot of an ended event in its own size" in line
    bridge.wait_log(f"image: of {odd['id']} .camera front_door.: {frigate.url}/api/events/ID/snapshot.jpg: the response is not an image")
