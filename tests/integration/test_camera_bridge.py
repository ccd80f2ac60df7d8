"""config/camera-bridge.py: what Axis and Hikvision cameras send becomes alerts, with the image."""
import json
import os
import subprocess
import sys

from harness.images import jpeg
from harness.paths import BUILD, ROOT

BRIDGE = ROOT / "config" / "camera-bridge.py"
# Written after the manufacturers' documentation.
AXIS = {"topic": "ACCC8E012345/event/tns:onvif/VideoSource/MotionAlarm", "serial": "ACCC8E012345",
        "message": {"source": {"VideoSourceToken": "0"}, "key": {}, "data": {"state": "1"}}}
HIKVISION = """<EventNotificationAlert version="2.0" xmlns="http://www.hikvision.com/ver20/XMLSchema">
<ipAddress>10.20.0.9</ipAddress><channelID>1</channelID><dateTime>{at}</dateTime><activePostCount>{n}</activePostCount>
<eventType>linedetection</eventType><eventState>{state}</eventState><eventDescription>line crossing</eventDescription>
</EventNotificationAlert>"""


def bridge(brand, device, daemon, body, *image):
    done = subprocess.run([sys.executable, "-B", BRIDGE, brand, device, daemon.address(), *image], input=body.encode(),
                          capture_output=True, timeout=120, env={**os.environ, "PATH": f"{BUILD}:{os.environ['PATH']}"})
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


def test_the_sample_producer_sends_an_image(database, daemon, tmp_path):
    picture = tmp_path / "picture.jpg"
    picture.write_bytes(jpeg())
    subprocess.run([sys.executable, ROOT / "config" / "producer.py", daemon.address(), "CAM-1", "camera", picture], check=True,
                   timeout=120)
    daemon.wait_drained()
    assert database.rows("select device_id, kind, image_bytes from patrol.alerts") == [("CAM-1", "camera", 2000)]
