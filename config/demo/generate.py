#!/usr/bin/python3
"""Writes the night that the demo plays: the *.jsonl and *.dc09 files next to this script, the images that cameras send
(camera-ID.png, with the alert of that id), and expected.json with the expected result.

The output is always the same; it uses the sets in devices.csv. `play` fills in the times: "@23:14:05" is a time of
last night (which begins at 18:00, so that 02:00 follows 23:00), "@now-01:30:00" is relative to the present, "@now" is
the present.
Usage: generate.py [DIRECTORY]
"""
import collections
import copy
import csv
import hashlib
import json
import pathlib
import random
import sys

import drawing

HERE = pathlib.Path(__file__).resolve().parent

rng = random.Random(307)


class Device:
    """A row of devices.csv. At the Mobeye portal a set has its own account, or an input of a shared one."""

    def __init__(self, row):
        self.name = row["device_id"]
        self.account, self.input = row["account"], int(row["input"] or 0)
        self.address = row["address"]
        self.place = [float(row["lon"]), float(row["lat"])]
        self.source = "/mobeye/gateway-1"


def devices():
    with (HERE / "devices.csv").open(encoding="utf-8") as file:
        return {row["device_id"].rsplit("-", 1)[1] if row["device_id"].startswith("NL-") else row["device_id"]: Device(row)
                for row in csv.DictReader(file)}


class Night:
    """The files, as lists of lines, and the expected result."""

    def __init__(self):
        self.files = collections.defaultdict(list)
        self.images = {}  # by the id of their alert
        self.stored = collections.Counter()  # by kind and phase
        self.flags = collections.Counter()
        self.rejected = collections.Counter()  # by code
        self.duplicates = 0
        self.incidents = []
        self.ids = collections.Counter()  # by source

    def alert(self, source, at, device, kind, phase="raise", **data):
        self.ids[source] += 1
        return {
            "specversion": "1.0", "id": f"n-{self.ids[source]:06d}", "source": source, "type": "mobeye.alert.v1",
            "time": f"@{at}", "data": {"device": device, "kind": kind, "phase": phase, **data},
        }

    def add(self, file, alert, flags=(), kind=None):
        self.files[file].append(json.dumps(alert, ensure_ascii=False))
        data = alert["data"]
        self.stored[f"{kind or data['kind']} {data.get('phase', 'raise')}"] += 1
        self.flags.update(flags)
        return alert

    def gateway(self, at, device, kind, phase="raise", **data):
        return self.add("3-gateways.jsonl", self.alert(device.source, at, device.name, kind, phase, **data))

    def frame(self, file, at, account, data, kind, phase="raise", word="SIA-DCS", flags=()):
        """A DC-09 frame, without the CRC and length that mobeyectl dc09 send adds."""
        self.ids[account] += 1
        time = at if at.startswith("_now") else f"_@{at}"
        self.files[file].append(f'"{word}"{self.ids[account]:04d}L0#{account}[{data}]{time}')
        self.stored[f"{kind} {phase}"] += 1
        self.flags.update(flags)

    def event(self, file, at, device, code, kind, phase="raise", zone=None, text=None, flags=()):
        """An event of a set, without a location: the portal does not know it."""
        block = f"|A{text}" if text else ""
        self.frame(file, at, device.account,
                   f"#{device.account}|Nri1/{code}{device.input if zone is None else zone:03d}{block}", kind, phase,
                   flags=flags)

    def add_bad(self, file, line, code):
        self.files[file].append(line if isinstance(line, str) else json.dumps(line, ensure_ascii=False))
        self.rejected[code] += 1

    def incident(self, what, device=None, find=(), **facts):
        """An expected incident: columns of patrol.incidents that identify it (the device, and find) and those that are checked."""
        self.incidents.append({"what": what, "find": {**({"device_id": device.name} if device else {}), **dict(find)},
                               "is": facts})


def point(device, **more):
    return {"type": "Point", "coordinates": device.place, "accuracy_m": 9, **more}


def order(line):
    """Sorts by the time of the night; lines with other times stay in their order, at the end."""
    time = json.loads(line)["time"] if line.startswith("{") else line.rsplit("_", 1)[1]
    time = time.removeprefix("@")
    return "~" if not time[0].isdigit() else ("0" if time >= "18" else "1") + time


def signs_of_life(night, sets):
    """Residents arm their sets at bedtime; every working set reports every two hours."""
    file = "1-evening.dc09"
    for name in ("00042", "00043", "00044", "00045", "00047", "00048", "00049", "00056", "00057"):
        night.event(file, f"22:{rng.randint(0, 59):02d}:{rng.randint(0, 59):02d}", sets[name], "CL", "arm")
        for hour in ("19", "21", "23", "01", "03"):
            night.event(file, f"{hour}:{rng.randint(20, 29)}:{rng.randint(0, 59):02d}", sets[name], "RP", "keepalive")
    for account in ("3071", "3072", "3073"):
        night.frame(file, "00:00:00", account, "", "keepalive", word="NULL")
    night.incident("a set that does not report: a service incident, no patrol is sent", sets["00046"],
                   category="service", status="new", kind="comms", priority=4, alert_count=0)


def service(night, sets):
    file = "1-evening.dc09"
    night.event(file, "20:41:00", sets["00047"], "YT", "battery", text="Batterij bijna leeg")
    night.incident("a low battery: a service incident", sets["00047"], category="service", kind="battery",
                   rule="technical", alert_count=1)
    night.event(file, "21:12:30", sets["00048"], "AT", "power", text="Netspanning weg")
    night.event(file, "21:37:30", sets["00048"], "AR", "power", "restore", text="Netspanning terug")
    night.incident("mains power fails and returns: a service incident, closed by the restore", sets["00048"],
                   category="service", kind="power", status="closed", outcome="restored")


def through_the_portal(night, sets):
    """Burglaries by SIA DC-09, as the Mobeye portal forwards them."""
    file = "2-night.dc09"
    moved, secret, by_camera, cancelled, burgled = (sets[name] for name in ("00044", "00045", "00049", "00056", "00043"))

    night.event(file, "18:10:00", moved, "BA", "intrusion", text="Beweging hal")
    night.incident("a set at the home where it stood until the evening: outside the hotspot, team zuid", moved,
                   {"address": moved.address}, priority=2, rule="default", team="zuid", wijk_name="Hoogland")
    night.event(file, "23:50:00", moved, "BA", "intrusion", text="Beweging hal")
    night.incident("the same set, moved: a separate incident at its new home in the hotspot, team noord", moved,
                   {"address": "Proefweg 64"}, priority=1, rule="hotspot-night", team="noord", wijk_name="Nieuwland")

    for time in ("22:20:11", "02:20:14"):  # an active condition is reported again after four hours
        night.event(file, time, secret, "BA", "intrusion", text="Beweging schuur")
    night.incident("a set repeats an active alarm after four hours: one incident, two alerts", secret, alert_count=2,
                   priority=1, rule="hotspot-night", verified_by=None, delayed=True)

    night.event(file, "01:14:05", burgled, "BA", "intrusion", zone=1, text="Beweging achterdeur")
    night.event(file, "01:16:20", burgled, "BA", "intrusion", zone=2, text="Beweging hal")
    night.event(file, "01:18:02", burgled, "BA", "intrusion", zone=2, text="Beweging hal")
    night.incident("a burglary seen by two inputs of a set: verified, priority 1", burgled, priority=1,
                   rule="hotspot-night", verified_by="second_input", alert_count=3, wijk_name="Nieuwland",
                   location_source="placement", team="noord")

    night.event(file, "03:05:10", by_camera, "BA", "intrusion", text="Beweging voordeur")
    night.incident("a burglary that a camera also sees: verified by the second device", by_camera, priority=1,
                   rule="hotspot-night", verified_by="second_device", alert_count=1)

    night.event(file, "04:10:00", cancelled, "BA", "intrusion", zone=1, text="Beweging hal")
    night.event(file, "04:11:30", cancelled, "BC", "intrusion", "update", zone=1, flags=["cancel"])
    night.incident("an alarm that is cancelled on the panel: stays open, marked as cancelled", cancelled, status="new",
                   cancelled=True, alert_count=1, verified_by=None)

    for zone in (1, 2):
        night.frame(file, f"02:44:0{zone}", "9ABC", f"#9ABC|Nri1/BA{zone:03d}", "intrusion")
    night.incident("alerts of an unknown sender: stored too, as one service incident", find={"rule": "strangers"},
                   category="service", priority=4, alert_count=2, location_source="none")


def through_gateways(night, sets):
    """Sets that send their location."""
    home, garden, panic, drill, fire = (sets[name] for name in ("00050", "00051", "00052", "00053", "00054"))
    for number, time, room in ((1, "00:31:00", "keuken"), (2, "00:32:20", "hal"), (3, "00:33:05", "slaapkamer")):
        night.gateway(time, home, "motion", input=number, text=f"Beweging {room}", location=point(home))
    night.incident("motion from room to room outside the hotspot: priority 2, then 1 as a second input verifies it", home,
                   priority=1, rule="default", verified_by="second_input", alert_count=3, location_source="message",
                   wijk_name="Kattenbroek")
    for minute in range(4):
        night.gateway(f"04:3{minute}:00", garden, "motion", input=1, text="Beweging tuin")
        night.gateway(f"04:3{minute}:40", garden, "motion", "restore", input=1, text="Rust")
    night.incident("a set that flaps: one incident with a count, not four", garden, alert_count=4, flaps=3, restored=True,
                   priority=2, status="new")
    night.gateway("23:31:00", panic, "panic", text="Paniekknop", location=point(panic))
    night.incident("a panic button", panic, kind="panic", priority=1, rule="panic", urgent=True)
    night.gateway("20:00:00", drill, "holdup", drill=True, text="Oefening")
    night.incident("a drill: in the queue, marked, never in a report", drill, drill=True, kind="holdup", verified_by=None)
    night.gateway("19:02:00", fire, "fire", text="Rook keuken")
    night.gateway("19:05:30", fire, "fire", "restore", text="Rook weg")
    night.incident("smoke and its restore, which does not close an alarm", fire, kind="fire", status="new", restored=True)
    for device in home, garden, panic, drill, fire:
        night.gateway("18:30:00", device, "keepalive")


def cameras(night, sets):
    """A recorder reports one object many times: it appears, its score rises, it leaves."""
    def track(device, hour, minute, label, scores, number, scene=None):
        phases = ["raise"] + ["update"] * (len(scores) - 2) + ["restore"]
        for step, (phase, score) in enumerate(zip(phases, scores)):
            time = f"{hour:02d}:{minute:02d}:{40 + step * 2:02d}"
            alert = night.add("4-cameras.jsonl", night.alert(
                "/mobeye/cameras", time, device.name, "camera", phase, location={"type": "Point", "coordinates": device.place},
                camera={"label": label, "score": score, "box": [0.1, 0.2, 0.4, 0.9], "track": f"17000{number}.4-a{number}",
                        "camera_zone": "oprit"}))
            if scene and step == scores.index(max(scores)):
                night.images[alert["id"]] = drawing.street(time, *scene)

    mast, park = sets["CAM-NIEUWLAND-1"], sets["CAM-HOOGLAND-1"]
    track(mast, 3, 6, "person", [0.61, 0.66, 0.71, 0.78, 0.84, 0.84], 31, (250, 300, (None, 1, None, 0)))
    night.incident("the camera across the street: reported six times, counted once by its track, with an image", mast,
                   priority=1, verified_by="second_device", alert_count=1, pictured=True)
    track(park, 22, 15, "person", [0.58, 0.63, 0.7, 0.74, 0.8, 0.8, 0.81, 0.81], 32, (470, 150, (0, 2, None, 1)))
    night.incident("a camera outside the hotspot: reported eight times, counted once, priority 3", park, priority=3,
                   rule="camera", alert_count=1, verified_by=None, pictured=True)
    track(park, 2, 3, "dog", [0.41, 0.44, 0.44], 33)  # weak-camera: stored, no incident
    for size in ("@pad:70000", "@pad:200000"):  # a picture in the message: too large to be accepted
        night.add_bad("4-cameras.jsonl", night.alert("/mobeye/cameras", "04:00:00", mast.name, "camera", picture=size),
                      "too_large")


def portal(night, sets):
    """Sets of another supplier, published by its portal."""
    def publish(time, device, kind, text):
        night.add("5-portal.jsonl", night.alert("/portal/alarmcentrale", time, device.name, kind, text=text))

    home, shed = sets["00061"], sets["00062"]
    for device in home, shed:
        for time in ("20:00:00", "23:00:00", "02:00:00"):
            publish(time, device, "keepalive", "Testmelding")
    publish("00:40:00", home, "motion", "Beweging hal")
    night.incident("a set of another supplier, located by the registry", home, priority=2,
                   location_source="placement", address=home.address)
    publish("21:50:00", shed, "tamper", "Behuizing open")
    night.incident("the casing of a set is opened", shed, kind="tamper", priority=2)


def resends(night):
    """Gateways that missed an ACK send again. One alert has another text by then; it is still the same alert. The Mobeye
    portal sends its frames twice more."""
    again = [json.loads(line) for name in ("3-gateways.jsonl", "5-portal.jsonl") for line in night.files[name]]
    again[0]["data"]["text"] = "Herhaald bericht"
    night.files["6-resends.jsonl"] = [json.dumps(alert, ensure_ascii=False) for alert in again]
    night.files["6-resends.dc09"] = [frame for frame in night.files["2-night.dc09"] for _ in range(2)]
    night.duplicates += len(again) + len(night.files["6-resends.dc09"])


def oddities(night, device):
    """Alerts of a muted set in the workshop, each with something wrong: they are stored and flagged."""
    file = "7-odd.jsonl"

    def odd(flags, kind="motion", stored_kind=None, time=None, **data):
        alert = night.alert("/mobeye/werkplaats", "now-00:02:00", device.name, kind, **data)
        if time:
            alert["time"] = time
        night.add(file, alert, flags, stored_kind)

    def at(lon, lat, **more):
        return {"type": "Point", "coordinates": [lon, lat], **more}

    odd(["bad_location"], location=at(5.38, 152.2))
    odd(["bad_location"], location={"type": "Polygon", "coordinates": []})
    odd(["null_island"], location=at(0, 0))
    odd(["swapped"], location=at(52.2012, 5.3771))
    odd(["outside_bounds"], location=at(13.4050, 52.5200))
    odd(["stale_fix"], location=at(*device.place, fix_time="@now-30:00:00"))
    odd(["inaccurate"], location=at(*device.place, accuracy_m=25000))
    odd(["bad_accuracy_m"], location=at(*device.place, accuracy_m="ongeveer"))
    odd(["bad_fix_time"], location=at(*device.place, fix_time="gisteren"))
    odd(["bad_battery_pct"], battery_pct=140)
    odd(["bad_signal_dbm"], signal_dbm="zwak")
    odd(["bad_input"], input="achterdeur")
    odd(["bad_text"], text=12)
    odd(["bad_drill"], drill="nee")
    odd(["bad_score"], "camera", camera={"label": "person", "score": 87})
    odd(["clock"], time="@now+02:00:00")
    odd(["clock"], time="@now-960:00:00")
    odd(["clock"], time="vannacht")
    odd([], "glasbreuk", "unknown", text="Glasbreuk voorraam")
    # An unknown event code from a panel.
    night.event("7-odd.dc09", "_now", device, "QQ", "unknown", text="Onbekende code")
    night.incident("a set in the workshop, which is muted: stored and grouped, not queued", device, muted=True,
                   category="alarm", alert_count=20)


def bad_ones(night, device):
    """Invalid alerts, each with the code of its REJECT."""
    file = "8-bad.jsonl"
    good = night.alert(device.source, "01:00:00", device.name, "motion", text="Beweging hal")
    text = json.dumps(good, ensure_ascii=False)
    night.add_bad(file, "Beweging hal, Nieuwland", "malformed")
    night.add_bad(file, text + "}", "malformed")
    night.add_bad(file, "[" + text + "]", "malformed")
    night.add_bad(file, text.replace("Beweging hal", "Beweging\\u0000hal"), "malformed")
    night.add_bad(file, text.replace("Beweging hal", "Beweging \\ud83d hal"), "malformed")
    night.add_bad(file, text.replace('"text"', '"kind"'), "malformed")
    night.add_bad(file, text.replace('"Beweging hal"', "1e400"), "malformed")
    night.add_bad(file, text.replace('"Beweging hal"', "[" * 17 + "]" * 17), "malformed")

    def without(*path, value=None):
        alert = copy.deepcopy(good)
        part = alert
        for name in path[:-1]:
            part = part[name]
        del part[path[-1]]
        if value is not None:
            part[path[-1]] = value
        night.add_bad(file, alert, "invalid")

    for path in ("specversion",), ("id",), ("source",), ("type",), ("data",), ("data", "device"), ("data", "kind"):
        without(*path)
    without("specversion", value="0.3")
    without("type", value="nl.mobeye.anders")
    without("id", value="x" * 129)
    without("data", "device", value="Kerkstraat 12, Amersfoort")
    without("data", "kind", value=7)
    # A damaged frame gets no reply; an unknown protocol gets DUH.
    night.add_bad("8-bad.dc09", '00000029"SIA-DCS"0001L0#43A1[#43A1|NBA001]', "malformed")
    night.add_bad("8-bad.dc09", '"XYZ-ABC"0002L0#43A1[#43A1|NBA001]', "malformed")


def now(night, sets):
    """Live alerts, which go before the delayed ones of the night."""
    device = sets["00057"]
    night.event("9-now.dc09", "_now-60s", device, "BA", "intrusion", zone=1, text="Beweging voordeur")
    night.event("9-now.dc09", "_now", device, "BA", "intrusion", zone=2, text="Beweging hal")
    night.incident("a burglary at this moment, seen by two inputs: live, so it is first in the queue", device,
                   delayed=False, verified_by="second_input", priority=1, rule="default", place=1)
    night.stored["motion raise"] += 1  # config/producer.py
    night.incident("the alert of config/producer.py", sets["00042"], delayed=False, priority=2, alert_count=1)


def in_the_new_hotspot(night, sets):
    """An alarm from a home around which burglaries were reported, sent once these have become a hotspot: after all that
    expected.json counts."""
    alert = night.alert("/mobeye/gateway-1", "05:40:00", sets["00050"].name, "motion", input=4, text="Beweging serre")
    night.files["10-hotspot.jsonl"].append(json.dumps(alert, ensure_ascii=False))


def make():
    night, sets = Night(), devices()
    for part in signs_of_life, service, through_the_portal, through_gateways, cameras, portal:
        part(night, sets)
    for name, lines in night.files.items():
        night.files[name] = sorted(lines, key=order)
    resends(night)
    oddities(night, sets["00099"])
    bad_ones(night, sets["00050"])
    now(night, sets)
    in_the_new_hotspot(night, sets)
    return night


def main():
    directory = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    night = make()
    for name, lines in night.files.items():
        (directory / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    for alert_id, image in night.images.items():
        (directory / f"camera-{alert_id}.png").write_bytes(image)
    expected = {
        "incidents": night.incidents,
        "stored": dict(sorted(night.stored.items())),
        "flags": dict(sorted(night.flags.items())),
        "rejected": dict(sorted(night.rejected.items())),
        "duplicates": night.duplicates,
        "images": {alert_id: hashlib.sha256(image).hexdigest() for alert_id, image in sorted(night.images.items())},
    }
    (directory / "expected.json").write_text(json.dumps(expected, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
