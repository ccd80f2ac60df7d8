#!/usr/bin/python3
"""Turns what other cameras send into alerts: camera-bridge.py axis|hikvision DEVICE ENDPOINT [IMAGE] < MESSAGE
To copy: in MQTT's or an HTTP server's callback, call to_alert() and send() with the bytes that came and the picture."""
import datetime
import hashlib
import json
import sys
import time
import xml.etree.ElementTree as xml

import zmq

HIKVISION = {"VMD": "motion", "linedetection": "intrusion", "fielddetection": "intrusion", "tamperdetection": "tamper"}


def axis(message):
    """MQTT of an Axis camera: its topic ends with the kind of event; active is 0 or 1."""
    data = message["message"]["data"]
    active = data.get("active", data.get("state", "1"))
    kind = "motion" if "Motion" in message["topic"] or "VMD" in message["topic"] else "camera"
    return kind, str(active) in ("1", "true"), message["timestamp"] / 1000 if "timestamp" in message else None


def hikvision(root):
    """EventNotificationAlert, which comes every second while active: all of one minute are one alert."""
    text = {child.tag.rsplit("}", 1)[-1]: (child.text or "").strip() for child in root}
    return HIKVISION.get(text.get("eventType"), "camera"), text.get("eventState") == "active", text.get("dateTime")


def to_alert(brand, device, body):
    kind, active, when = axis(json.loads(body)) if brand == "axis" else hikvision(xml.fromstring(body))
    if isinstance(when, float):
        when = datetime.datetime.fromtimestamp(when, datetime.timezone.utc).isoformat(timespec="milliseconds")
    phase = "raise" if active else "restore"
    same = str(when)[:16] if brand == "hikvision" else when or body.decode()
    alert = {"specversion": "1.0", "type": "mobeye.alert.v1", "source": f"/{brand}/{device}",
             "id": hashlib.sha256(f"{kind} {phase} {same}".encode()).hexdigest()[:32],
             "data": {"device": device, "kind": kind, "phase": phase}}
    return {**alert, "time": when} if when else alert


def send(endpoint, alert, image=None, context=zmq.Context.instance()):
    """Sends until it is accepted: a resend does no harm."""
    while True:
        with context.socket(zmq.DEALER) as socket:
            socket.linger = 0
            socket.connect(endpoint)
            socket.send_multipart([json.dumps(alert).encode()] + ([image] if image else []))
            if socket.poll(10_000):
                word, _, detail = socket.recv_multipart()[:3]
                if word != b"RETRY":
                    return word, detail
                time.sleep(int(detail) / 1000)


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5) or sys.argv[1] not in ("axis", "hikvision"):
        sys.exit(__doc__)
    picture = open(sys.argv[4], "rb").read() if len(sys.argv) == 5 else None
    word, detail = send(sys.argv[3], to_alert(sys.argv[1], sys.argv[2], sys.stdin.buffer.read()), picture)
    sys.exit(0 if word == b"ACK" else f"rejected: {detail.decode()}")
