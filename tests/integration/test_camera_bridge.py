"""config/camera-bridge.py: what Axis and Hikvision cameras send becomes alerts, with the image."""
import json
import os
import subprocess
import sys

from harness.images import jpeg
from harness.paths import BUILD, ROOT

BRIDGE = ROOT / "config" / "camera-bridge.py"
ZONE = "Asia/Kolkata"  # without summer time, after which an hour occurs twice
# Written after the manufacturers' documentation.
AXIS = {"topic": "ACCC8E012345/event/tns:onvif/VideoSource/MotionAlarm", "serial": "ACCC8E012345",
        "message": {"source": {"VideoSourceToken": "0"}, "key": {}, "data": {"state": "1"}}}
HIKVISION = """<EventNotificationAlert version="2.0" xmlns="http://www.hikvision.com/ver20/XMLSchema">
<ipAddress>10.20.0.9</ipAddress><channelID>1</channelID><dateTime>{at}</dateTime><activePostCount>{n}</activePostCount>
<eventType>linedetection</eventType><eventState>{state}</eventState><eventDescription>line crossing</eventDescription>
</EventNotificationAlert>"""


def run(brand, device, address, body, *image, path=f"{BUILD}:{os.environ['PATH']}"):
    return subprocess.run([sys.executable, "-B", BRIDGE, brand, device, address, *image], input=body.encode(),
                          capture_output=True, timeout=120, env={**os.environ, "PATH": path, "TZ": ZONE})


def bridge(brand, device, daemon, body, *image):
    done = run(brand, device, daemon.address(), body, *image)
    assert done.returncode == 0, done.stderr


def test_axis_and_hikvision_with_an_image(database, daemon, tmp_path):
    at = database.value("select extract(epoch from now())::float8")
    day, minute = database.rows("select to_char(now() - interval '1 minute', 'YYYY-MM-DD'), to_char(now() - interval '1 minute', 'HH24:MI')")[0]
    zone = database.value("select to_char(now(), 'TZH:TZM')")
    picture = tmp_path / "picture.jpg"
    picture.write_bytes(jpeg())
    bridge("axis", "AXIS-1", daemon, json.dumps({**AXIS, "timestamp": int(at * 1000)}), picture)
    for n in range(3):  # every second while active: one alert
        bridge("hikvision", "HIK-1", daemon, HIKVISION.format(at=f"{day}T{minute}:0{n}{zone}", n=n, state="active"), picture)
    bridge("hikvision", "HIK-1", daemon, HIKVISION.format(at=f"{day}T{minute}:09{zone}", n=9, state="inactive"))
    daemon.wait_drained()
    stored = database.rows("select device_id, kind, phase, flags, image_bytes from patrol.alerts order by device_id, phase")
    assert stored == [("AXIS-1", "motion", "raise", [], 2000), ("HIK-1", "intrusion", "raise", [], 2000),
                      ("HIK-1", "intrusion", "restore", [], None)]


def test_a_time_without_an_offset_is_one_of_this_machines_zone(database, daemon):
    at = database.value("select to_char(now() at time zone %s, 'YYYY-MM-DD\"T\"HH24:MI:SS')", ZONE)
    bridge("hikvision", "HIK-1", daemon, HIKVISION.format(at=at, n=1, state="active"))
    daemon.wait_drained()
    assert database.rows("select flags, occurred_at between now() - interval '2 min' and now() from patrol.alerts") == [([], True)]


def test_a_message_that_is_none_is_named_in_a_line():
    for brand, body in (("axis", "{}"), ("axis", "[1]"), ("axis", "nonsense"), ("hikvision", "<a/>"), ("hikvision", "<a>")):
        done = run(brand, "CAM-1", "ipc:///nowhere", body)
        assert done.returncode == 1 and done.stderr.startswith(f"{brand} CAM-1: not sent: ".encode()), done.stderr
        assert done.stderr.count(b"\n") == 1
    done = run("hikvision", "CAM-1", "ipc:///nowhere", HIKVISION.format(at="2026-11-29T12:00:00Z", n=1, state="active"), path="/nowhere")
    assert done.returncode == 1 and b"not sent: FileNotFoundError" in done.stderr and b"mobeyectl" in done.stderr


def test_the_sample_producer_sends_an_image(database, daemon, tmp_path):
    picture = tmp_path / "picture.jpg"
    picture.write_bytes(jpeg())
    subprocess.run([sys.executable, ROOT / "config" / "producer.py", daemon.address(), "CAM-1", "camera", picture], check=True,
                   timeout=120)
    daemon.wait_drained()
    assert database.rows("select device_id, kind, image_bytes from patrol.alerts") == [("CAM-1", "camera", 2000)]
