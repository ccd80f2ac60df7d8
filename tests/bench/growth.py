"""Measurements of growth: does the rate fall as more is stored, as more devices send, or with more areas, rules or open
incidents? The first two are drawn, each beside this file."""
import pathlib
import tempfile

import databases
import mix
from daemons import daemon, send
from measurement import Measurement

HERE = pathlib.Path(__file__).resolve().parent
GROWING = "mobeye_growing"
STEPS = 8
WARM_UP = 20_000
WIDTH, HEIGHT, LEFT, TOP = 360, 220, 64, 40

DEVICES = (1_000, 10_000, 100_000, 1_000_000)
AREAS = (30, 300, 2_700, 14_000)  # the Netherlands have 14,000 neighbourhoods
RULES = (1, 7, 50, 500)
OPEN = (100, 1_000, 10_000, 100_000)

ROUND = [digit * 10**power for power in range(1, 7) for digit in (1, 2, 2.5, 5)]


def incidents(database):
    return int(databases.psql(database, "select count(*) from mobeye.incident"))


def stored(bench, _):
    """[(alerts stored before, alerts a second, incidents afterwards)], on one database that fills. Their ids are random, as
    UUIDs are: the index of the identities is then changed everywhere, which costs the most."""
    points, step = [], max(bench.growth // STEPS, 1)
    database = databases.create("bench")
    with daemon(bench.directory, database, mix.SEVEN_RULES) as running:
        send(running.endpoint, WARM_UP, "warm-up", "--uuids")
        running.wait_stored(WARM_UP)
        for number in range(STEPS):
            sent = send(running.endpoint, step, "growth", "--uuids", first=number * step)
            end = running.wait_stored(WARM_UP + (number + 1) * step)
            points.append((number * step, step / (end - sent["start"]), incidents(database)))
    draw("growth.svg", points, "alerts a second, as the database fills", "alerts with random ids stored before")
    return {"points": points}


def point(bench, size, database, rules=mix.SEVEN_RULES, **mixed):
    """(size, alerts a second, incidents that they created, MiB of the daemon)."""
    before = incidents(database)
    with daemon(bench.directory, database, rules) as running:
        send(running.endpoint, WARM_UP, "warm-up", **mixed)
        running.wait_stored(WARM_UP)
        sent = send(running.endpoint, bench.count, "growth", **mixed)
        end = running.wait_stored(WARM_UP + bench.count)
        return size, bench.count / (end - sent["start"]), incidents(database) - before, running.rss_mib()


def devices(bench, _):
    """All of them are registered and placed; the alerts are spread evenly."""
    points = []
    databases.create(GROWING)
    try:
        for count in DEVICES:
            with tempfile.TemporaryDirectory(dir=bench.directory) as directory:
                databases.import_devices(GROWING, pathlib.Path(directory), count)
            points.append(point(bench, count, databases.create("bench", GROWING), devices=count, zipf=0))
    finally:
        databases.drop(GROWING)
    draw("growth-devices.svg", points, "alerts a second, by devices that send", "devices, alerts spread evenly")
    return {"points": points}


def areas(bench, _):
    """Those of the country, beside 31 of the town from which all alerts are."""
    points = []
    for count in AREAS:
        database = databases.create("bench")
        databases.import_areas(database, bench.directory, count)
        points.append(point(bench, count, database))
    return {"points": points}


def many_rules(count):
    """The last rule matches every alert, the others match none, since their areas are far south of the town."""
    incident = "incident: {category: alarm, priority: 2, group_by: [device], gap: 4h30m}"
    match = "match: {kind: [motion, intrusion, camera], area: {layer: buurt, code: BU%06d}}"
    elsewhere = [f"  - {{name: rule-{number}, {match % number}, {incident}}}\n" for number in range(count - 1)]
    return "".join(elsewhere) + f"  - {{name: default, {incident}}}\n"


def rules(bench, _):
    return {"points": [point(bench, count, databases.create("bench"), many_rules(count)) for count in RULES]}


def open_incidents(bench, _):
    """Alarms that are open before, all over the region; no alert joins them."""
    points = []
    for count in OPEN:
        database = databases.create("bench")
        databases.open_incidents(database, count)
        points.append(point(bench, count, database))
    return {"points": points}


def short(number):
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.0f}"


def chart(points, title, x_title):
    """Points at equal distances, named below; the rate from 0 up."""
    highest = max(rate for _, rate, *_ in points)
    top_rate = 4 * next(size for size in ROUND if 4 * size >= highest)
    xs = [LEFT + WIDTH * (number + 0.5) / len(points) for number in range(len(points))]
    ys = [TOP + HEIGHT * (1 - rate / top_rate) for _, rate, *_ in points]
    parts = [f'<text x="{LEFT}" y="{TOP - 16}" font-weight="bold">{title}</text>']
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = TOP + HEIGHT * (1 - share)
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{LEFT + WIDTH}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{short(top_rate * share)}</text>')
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys))
    parts.append(f'<polyline points="{line}" fill="none" stroke="#1f5fa8" stroke-width="2"/>')
    for (name, *_), x, y in zip(points, xs, ys):
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#1f5fa8"/>')
        parts.append(f'<text x="{x:.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{short(name)}</text>')
    parts.append(f'<text x="{LEFT + WIDTH / 2}" y="{TOP + HEIGHT + 38}" text-anchor="middle">{x_title}</text>')
    return "\n".join(parts)


def draw(name, points, title, x_title):
    width, height = LEFT + WIDTH + 10, TOP + HEIGHT + 54
    (HERE / name).write_text(f"""<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"
     font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
{chart(points, title, x_title)}
</svg>
""")


def curve(what, run, sizes, prepare_s):
    """A measurement of four points; prepare_s: of all."""
    return Measurement(f"{what} {short(sizes[0])} to {short(sizes[-1])}", run,
                       lambda bench: prepare_s + len(sizes) * (bench.count / 20_000 + 5), runs=lambda bench: 1, warm_up=False)  # fmt: skip


MEASUREMENTS = {
    "growth": Measurement("alerts stored", stored, lambda bench: bench.growth / 22_000 + 12, runs=lambda bench: 1, warm_up=False),
    "growth-devices": curve("devices", devices, DEVICES, 240),
    "growth-areas": curve("areas", areas, AREAS, 15),
    "growth-rules": curve("rules", rules, RULES, 0),
    "growth-open": curve("open incidents", open_incidents, OPEN, 20),
}  # fmt: skip
