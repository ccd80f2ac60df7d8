#!/usr/bin/python3
"""Writes the night that the demo plays: the *.jsonl and *.dc09 files beside this script, and expected.json, what must
come of them.

The same files every time. Times are written as "@-HH:MM:SS", so long before the night is played; `play` puts them in.
generate.py [DIRECTORY]
"""
import collections
import copy
import json
import pathlib
import random
import sys

rng = random.Random(307)

# West, south, east, north of a part of each district.
DISTRICTS = {
    "nieuwland": (5.3665, 52.1955, 5.3865, 52.2080),
    "kattenbroek": (5.3860, 52.1865, 5.4020, 52.1955),
    "hoogland": (5.3690, 52.1800, 5.3850, 52.1930),
}
# The account of each district at the Mobeye portal, where a set is an input.
ACCOUNTS = {"nieuwland": "3071", "kattenbroek": "3072", "hoogland": "3073"}
ROOMS = ["hal", "woonkamer", "keuken", "achterdeur", "schuur", "overloop"]


class Device:
    """An alarm set in a home, and what it reports by: the Mobeye portal, or a gateway that knows where it is."""

    def __init__(self, number, district):
        west, south, east, north = DISTRICTS[district]
        self.name = f"NL-0307-{number:05d}"
        self.source = f"/mobeye/{district}"
        self.account = ACCOUNTS[district]
        self.input = number
        self.place = [round(rng.uniform(west, east), 5), round(rng.uniform(south, north), 5)]
        self.battery = rng.randint(35, 100)
        self.signal = -rng.randint(61, 104)


class Night:
    """The files, as lists of lines, and what must come of them."""

    def __init__(self):
        self.files = collections.defaultdict(list)
        self.stored = collections.Counter()  # by kind and phase
        self.flags = collections.Counter()
        self.rejected = collections.Counter()  # by code
        self.duplicates = 0
        self.ids = collections.Counter()  # by source

    def alert(self, source, at, device, kind, phase="raise", **data):
        self.ids[source] += 1
        return {
            "specversion": "1.0", "id": f"n-{self.ids[source]:06d}", "source": source, "type": "mobeye.alert.v1",
            "time": ago(at), "data": {"device": device, "kind": kind, "phase": phase, **data},
        }

    def add(self, file, alert, flags=(), kind=None):
        self.files[file].append(json.dumps(alert, ensure_ascii=False))
        data = alert["data"]
        self.stored[f"{kind or data['kind']} {data.get('phase', 'raise')}"] += 1
        self.flags.update(flags)
        return alert

    def frame(self, file, at, account, data, kind, phase="raise", word="SIA-DCS", flags=()):
        """One of DC-09, without CRC and length, which mobeyectl dc09 send puts in front."""
        self.ids[account] += 1
        self.files[file].append(f'"{word}"{self.ids[account]:04d}L0#{account}[{data}]_{ago(at)}')
        self.stored[f"{kind} {phase}"] += 1
        self.flags.update(flags)

    def event(self, file, at, device, code, kind, phase="raise", text=None, flags=()):
        """Of a set: no place is sent, the portal knows none."""
        block = f"|A{text}" if text else ""
        self.frame(file, at, device.account, f"#{device.account}|Nri1/{code}{device.input:03d}{block}", kind, phase,
                   flags=flags)

    def add_bad(self, file, line, code):
        self.files[file].append(line if isinstance(line, str) else json.dumps(line, ensure_ascii=False))
        self.rejected[code] += 1

    def again(self, file, alert):
        self.files[file].append(json.dumps(alert, ensure_ascii=False))
        self.duplicates += 1


def ago(seconds):
    seconds = round(seconds)
    sign, seconds = ("-", seconds) if seconds >= 0 else ("+", -seconds)
    return f"@{sign}{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def in_time(lines):
    """Earliest first; less than a hundred hours ago, so that the text sorts as the time does."""
    def moment(line):
        return json.loads(line)["time"] if line.startswith("{") else line.rsplit("_", 1)[1]
    return sorted(lines, key=moment, reverse=True)


def hours(number):
    return number * 3600


def point(device, **more):
    return {"type": "Point", "coordinates": device.place, "accuracy_m": rng.randint(4, 25), **more}


def signs_of_life(night, devices):
    """Who goes to bed sets the alarm; every set reports each two hours; a few have something to say for themselves."""
    file = "1-mobeye.dc09"
    for device in devices:
        night.event(file, hours(8) - rng.randint(0, 5400), device, "CL", "arm")
        for n in range(4):
            night.event(file, hours(7.5 - 2 * n) - rng.randint(0, 600), device, "RP", "keepalive")
    for device in devices[3:9]:
        at = hours(rng.uniform(3, 7))
        night.event(file, at, device, "AT", "power", text="Netspanning weg")
        night.event(file, at - 1500, device, "AR", "power", "restore", text="Netspanning terug")
    for device in devices[10:14]:
        night.event(file, hours(5), device, "YT", "battery", text="Batterij bijna leeg")
    for account in ACCOUNTS.values():
        night.frame(file, hours(4), account, "", "keepalive", word="NULL")


def through_the_portal(night, device, at, rooms):
    """The same by DC-09: room after room under the input of the set, and a second detection makes it verified."""
    file = "2-mobeye.dc09"
    for number, room in enumerate(rooms):
        verified = number == 1
        night.event(file, at, device, "BV" if verified else "BA", "intrusion", text=f"Beweging {room}",
                    flags=["verified"] if verified else [])
        at -= rng.randint(15, 120)
    night.event(file, at - 600, device, "BR", "intrusion", "restore")


def break_ins(night, devices):
    """Somebody goes from room to room; half of the sets say when it is quiet again, as in life."""
    for n, device in enumerate(devices[:16]):
        at = hours(rng.uniform(1, 6))
        rooms = rng.sample(ROOMS, rng.randint(1, 4))
        if n % 3 == 0:
            through_the_portal(night, device, at, rooms)
            continue
        for number, room in enumerate(rooms, 1):
            kind = "intrusion" if room == "achterdeur" else "motion"
            night.add("2-night", night.alert(
                device.source, at, device.name, kind, input=number, text=f"Beweging {room}",
                location=point(device, fix_time=ago(at + 9))))
            at -= rng.randint(15, 120)
        if n % 2:
            for number in range(1, len(rooms) + 1):
                night.add("2-night", night.alert(device.source, at - 600, device.name, "motion", "restore",
                                                 input=number, text="Rust"))
    home, other, kitchen, cellar, school = devices[18:23]
    night.add("2-night", night.alert(home.source, hours(2), home.name, "panic", text="Paniekknop",
                                     location=point(home)))
    night.add("2-night", night.alert(other.source, hours(2.2), other.name, "tamper", input=1, text="Behuizing open"))
    night.add("2-night", night.alert(kitchen.source, hours(1.5), kitchen.name, "fire", text="Rook keuken"))
    night.add("2-night", night.alert(kitchen.source, hours(1.4), kitchen.name, "fire", "restore", text="Rook weg"))
    night.add("2-night", night.alert(cellar.source, hours(4.5), cellar.name, "water", input=2, text="Water in kelder"))
    for repeat in (4.6, 0.6):  # what stays active is told again after four hours
        night.add("2-night", night.alert(school.source, hours(repeat), school.name, "cold", text="Vriezer te koud"))
    night.add("2-night", night.alert(home.source, hours(7), home.name, "holdup", drill=True, text="Oefening"))


def cameras(night):
    """A recorder tells one object many times: it comes, its score rises, it goes."""
    for n in range(12):
        device = f"CAM-NIEUWLAND-{n % 5 + 1}"
        label = rng.choice(["person", "person", "person", "car", "dog"])
        track = f"{1700000000 + n * 731}.{rng.randint(0, 9)}-{rng.choice('abcdefgh')}{n}"
        at, score = hours(rng.uniform(0.5, 6)), rng.uniform(0.5, 0.7)
        place = [round(5.3712 + 0.0021 * (n % 5), 5), round(52.1991 + 0.0011 * (n % 5), 5)]
        phases = ["raise"] + ["update"] * rng.randint(2, 7) + ["restore"]
        for phase in phases:
            night.add("3-cameras", night.alert(
                "/mobeye/cameras", at, device, "camera", phase,
                location={"type": "Point", "coordinates": place},
                camera={"label": label, "score": round(score, 2), "box": [0.1, 0.2, 0.4, 0.9], "track": track,
                        "camera_zone": rng.choice(["oprit", "voordeur", "achterom"])}))
            at, score = at - rng.randint(1, 12), min(score + rng.uniform(0, 0.06), 0.99)
    for size in ("@pad:70000", "@pad:200000"):  # a picture in the message: too large to be taken
        night.add_bad("3-cameras", night.alert("/mobeye/cameras", hours(3), "CAM-NIEUWLAND-1", "camera", picture=size),
                      "too_large")


def portal(night):
    """Sets of another supplier, published by its portal; without a place, since these know none."""
    for n in range(30):
        night.add("4-portal", night.alert(
            "/portal/alarmcentrale", hours(rng.uniform(0.2, 7)), f"NL-0307-{900 + n % 8:05d}",
            ["motion", "keepalive", "comms"][n % 3], text=["Beweging hal", "Testmelding", "Geen verbinding"][n % 3]))


def resends(night, sent):
    """Gateways that missed an ACK send again; one of them has changed the text meanwhile: it is still the same alert."""
    for n, alert in enumerate(rng.sample(sent, 40)):
        alert = copy.deepcopy(alert)
        if n == 0:
            alert["data"]["text"] = "Herhaald bericht"
        night.again("5-resends", alert)


def resent_frames(night):
    """A portal that missed an ACK sends the same frame again, every few seconds."""
    frames = rng.sample(night.files["2-mobeye.dc09"], 6)
    night.files["5-resends.dc09"] = [frame for frame in frames for _ in range(2)]
    night.duplicates += 12


def odd_frames(night, device):
    """A code that nobody knows is stored; a damaged frame is met with silence, an unknown protocol with DUH."""
    night.event("6-odd.dc09", hours(1), device, "QQ", "unknown", text="Onbekende code")
    night.add_bad("7-bad.dc09", f'00000029"SIA-DCS"0001L0#{device.account}[#{device.account}|NBA001]', "malformed")
    night.add_bad("7-bad.dc09", f'"XYZ-ABC"0002L0#{device.account}[#{device.account}|NBA001]', "malformed")


def oddities(night, device):
    """Odd, and kept all the same: what is wrong with each is flagged."""
    def odd(flags, kind="motion", stored_kind=None, time=None, **data):
        alert = night.alert(device.source, hours(1), device.name, kind, **data)
        if time:
            alert["time"] = time
        night.add("6-odd", alert, flags, stored_kind)

    def at(lon, lat, **more):
        return {"type": "Point", "coordinates": [lon, lat], **more}

    odd(["bad_location"], location=at(5.38, 152.2))
    odd(["bad_location"], location={"type": "Polygon", "coordinates": []})
    odd(["null_island"], location=at(0, 0))
    odd(["swapped"], location=at(52.2012, 5.3771))
    odd(["outside_bounds"], location=at(13.4050, 52.5200))
    odd(["stale_fix"], location=at(*device.place, fix_time=ago(hours(30))))
    odd(["inaccurate"], location=at(*device.place, accuracy_m=25000))
    odd(["bad_accuracy_m"], location=at(*device.place, accuracy_m="ongeveer"))
    odd(["bad_fix_time"], location=at(*device.place, fix_time="gisteren"))
    odd(["bad_battery_pct"], battery_pct=140)
    odd(["bad_signal_dbm"], signal_dbm="zwak")
    odd(["bad_input"], input="achterdeur")
    odd(["bad_text"], text=12)
    odd(["bad_drill"], drill="nee")
    odd(["bad_score"], "camera", camera={"label": "person", "score": 87})
    odd(["clock"], time=ago(hours(-2)))
    odd(["clock"], time=ago(hours(24 * 40)))
    odd(["clock"], time="vannacht")
    odd([], "glasbreuk", "unknown", text="Glasbreuk voorraam")


def bad_ones(night, device):
    """Refused for good, by code."""
    file = "7-bad"
    good = night.alert(device.source, hours(1), device.name, "motion", text="Beweging hal")
    text = json.dumps(good, ensure_ascii=False)
    night.add_bad(file, "Beweging hal, Nieuwland", "malformed")
    night.add_bad(file, text[:-1], "malformed")
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


def make():
    night = Night()
    numbers = iter(range(42, 42 + 24))
    devices = [Device(number, district) for number, district in
               zip(numbers, ["nieuwland"] * 14 + ["kattenbroek"] * 6 + ["hoogland"] * 4)]
    rng.shuffle(devices)
    signs_of_life(night, devices)
    break_ins(night, devices)
    cameras(night)
    portal(night)
    for name, lines in night.files.items():
        night.files[name] = in_time(lines)
    sent = [json.loads(line) for name in ("2-night", "4-portal") for line in night.files[name]]
    resends(night, sent)
    resent_frames(night)
    odd_frames(night, devices[0])
    oddities(night, devices[0])
    bad_ones(night, devices[1])
    return night


def main():
    directory = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
    directory = directory if directory.is_dir() else directory.parent
    night = make()
    for name, lines in night.files.items():
        (directory / (name if name.endswith(".dc09") else f"{name}.jsonl")).write_text("\n".join(lines) + "\n", encoding="utf-8")
    expected = {
        "stored": dict(sorted(night.stored.items())),
        "flags": dict(sorted(night.flags.items())),
        "rejected": dict(sorted(night.rejected.items())),
        "duplicates": night.duplicates,
    }
    (directory / "expected.json").write_text(json.dumps(expected, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
