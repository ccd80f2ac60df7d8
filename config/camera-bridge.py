#!/usr/bin/python3
"""Sends what another camera reports as an alert: camera-bridge.py axis|hikvision DEVICE ENDPOINT [IMAGE] < MESSAGE
mobeyectl (in PATH) resends it until it is accepted. One message a run, or call to_alert() in a callback of your own:
mosquitto_sub -t 'SERIAL/event/#' | while read -r line; do echo "$line" | camera-bridge.py axis CAM-1 tcp://HOST:5555; done"""
import datetime
import hashlib
import json
import subprocess
import sys
import xml.etree.ElementTree as xml

KINDS = {"VMD": "motion", "linedetection": "intrusion", "fielddetection": "intrusion", "tamperdetection": "tamper"}


def axis(body):  # MQTT: the topic names the event; active is 0 or 1; the time is in milliseconds
    message = json.loads(body)
    data, at = message["message"]["data"], message.get("timestamp")
    kind = "motion" if any(word in message["topic"] for word in ("Motion", "VMD")) else "camera"
    when = at and datetime.datetime.fromtimestamp(at / 1000, datetime.timezone.utc).isoformat(timespec="milliseconds")
    return kind, str(data.get("active", data.get("state", "1"))) in ("1", "true"), when, when or body.decode()


def hikvision(body):  # XML, every second while active: all of one minute are one alert; without offset: our time zone
    text = {child.tag.rsplit("}", 1)[-1]: (child.text or "").strip() for child in xml.fromstring(body)}
    when = text.get("dateTime") and datetime.datetime.fromisoformat(text["dateTime"]).astimezone().isoformat()
    return KINDS.get(text["eventType"], "camera"), text.get("eventState") == "active", when, str(when)[:16]


def to_alert(brand, device, body):
    kind, active, when, same = {"axis": axis, "hikvision": hikvision}[brand](body)
    phase = "raise" if active else "restore"
    return {"specversion": "1.0", "type": "mobeye.alert.v1", "source": f"/{brand}/{device}",
            "id": hashlib.sha256(f"{kind} {phase} {same}".encode()).hexdigest()[:32], **({"time": when} if when else {}),
            "data": {"device": device, "kind": kind, "phase": phase}}


if len(sys.argv) not in (4, 5) or sys.argv[1] not in ("axis", "hikvision"):
    sys.exit(__doc__)
try:
    alert = to_alert(sys.argv[1], sys.argv[2], sys.stdin.buffer.read())
    command = ["mobeyectl", "send", "--to", sys.argv[3], *(["--image", sys.argv[4]] if len(sys.argv) == 5 else [])]
    sys.exit(subprocess.run(command, input=json.dumps(alert), text=True).returncode)
except (KeyError, TypeError, ValueError, AttributeError, SyntaxError, OSError) as why:
    sys.exit(f"{sys.argv[1]} {sys.argv[2]}: not sent: {type(why).__name__}: {why}")
