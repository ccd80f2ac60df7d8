"""Measurements of growth: does the rate fall as more is stored, or as more devices send? Draws growth.svg."""
import pathlib

import databases
import mix
from daemons import daemon, send
from measurement import Measurement

FILE = pathlib.Path(__file__).resolve().parent / "growth.svg"
STEPS = 8
WARM_UP = 20_000
WIDTH, HEIGHT, LEFT, TOP, GAP = 360, 220, 64, 40, 70

ROUND = [digit * 10**power for power in range(1, 7) for digit in (1, 2, 2.5, 5)]


def stored(bench):
    """[(alerts stored before, alerts a second)], on one database that fills. Their ids are random, as UUIDs are: the index of
    the identities is then changed everywhere, which costs the most."""
    points, step = [], max(bench.growth // STEPS, 1)
    database = databases.create("bench")
    with daemon(bench.directory, database, mix.SEVEN_RULES) as running:
        send(running.endpoint, WARM_UP, "warm-up", "--uuids")
        running.wait_stored(WARM_UP)
        for number in range(STEPS):
            sent = send(running.endpoint, step, "growth", "--uuids", first=number * step)
            end = running.wait_stored(WARM_UP + (number + 1) * step)
            points.append((number * step, step / (end - sent["start"])))
    return points


def devices(bench):
    """[(devices that send, alerts a second)], each on an empty database; the alerts are spread evenly."""
    points, count = [], max(bench.growth // STEPS, 1)
    for senders in (100, 1_000, 10_000, 100_000):
        database = databases.create("bench")
        with daemon(bench.directory, database, mix.SEVEN_RULES) as running:
            sent = send(running.endpoint, count, "growth", devices=senders, zipf=0)
            points.append((senders, count / (running.wait_stored(count) - sent["start"])))
    return points


def short(number):
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.0f}"


def chart(points, title, x_title, left):
    """Points at equal distances, named below; the rate from 0 up."""
    highest = max(rate for _, rate in points)
    top_rate = 4 * next(size for size in ROUND if 4 * size >= highest)
    xs = [left + WIDTH * (number + 0.5) / len(points) for number in range(len(points))]
    ys = [TOP + HEIGHT * (1 - rate / top_rate) for _, rate in points]
    parts = [f'<text x="{left}" y="{TOP - 16}" font-weight="bold">{title}</text>']
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = TOP + HEIGHT * (1 - share)
        parts.append(f'<line x1="{left}" y1="{y:.1f}" x2="{left + WIDTH}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{short(top_rate * share)}</text>')
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys))
    parts.append(f'<polyline points="{line}" fill="none" stroke="#1f5fa8" stroke-width="2"/>')
    for (name, _), x, y in zip(points, xs, ys):
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#1f5fa8"/>')
        parts.append(f'<text x="{x:.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{short(name)}</text>')
    parts.append(f'<text x="{left + WIDTH / 2}" y="{TOP + HEIGHT + 38}" text-anchor="middle">{x_title}</text>')
    return "\n".join(parts)


def draw(by_stored, by_devices):
    width, height = 2 * (LEFT + WIDTH) + GAP - LEFT + 10, TOP + HEIGHT + 54
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"
     font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
{chart(by_stored, "alerts a second, as the database fills", "alerts with random ids stored before", LEFT)}
{chart(by_devices, "alerts a second, by devices that send", "devices, alerts spread evenly", LEFT + WIDTH + GAP)}
</svg>
"""


def growth(bench, _):
    by_stored, by_devices = stored(bench), devices(bench)
    FILE.write_text(draw(by_stored, by_devices))
    return {"stored": by_stored, "devices": by_devices}


MEASUREMENTS = {
    "growth": Measurement("growth", growth, lambda bench: bench.growth / 22_000 + bench.growth / STEPS * 4 / 15_000 + 12,
                          runs=lambda bench: 1, warm_up=False),
}  # fmt: skip
