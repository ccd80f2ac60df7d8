"""What every run stores: the rules, the devices with their placements, the areas. The alerts are bench_alerts.c's."""
import json
import math

DEVICES = 20_000
AREAS = 2_700  # of the country, beside 31 of the town

STORE_ONLY = "  - {name: all, action: store}\n"
# Those of the sample configuration, at every hour: a run by night measures the same as one by day.
SEVEN_RULES = """\
  - {name: signs-of-life, match: {kind: [keepalive, arm, bypass]}, action: store}
  - name: technical
    match: {kind: [power, battery, comms]}
    incident: {category: service, priority: 4, group_by: [device, kind], gap: 24h}
  - {name: weak-camera, match: {kind: camera, score: {below: 0.5}}, action: store}
  - name: hotspot-night
    match: {kind: [intrusion, motion, camera], area: {layer: hotspot}, hours: "00:00-24:00"}
    incident: {category: alarm, priority: 1, group_by: [device], gap: 4h30m, settle: 10m,
               verify_by: {within: 5m, radius: 150m}, overdue: 15m}
  - name: camera
    match: {kind: camera}
    incident: {category: alarm, priority: 3, group_by: [device], gap: 10m, max_age: 1h, moved_over: 200m}
  - name: default
    incident: {category: alarm, priority: 2, group_by: [device], gap: 4h30m, settle: 10m,
               verify_by: {within: 5m, radius: 150m, priority: 1}}
  - {name: never, action: store}
"""

# The town of bench_alerts.c.
WEST, WIDTH, SOUTH, HEIGHT = 5.33, 0.12, 52.12, 0.09


def place(device):
    """Where a device is placed, near the fixes that it reports. Each 20,000 have a town of their own, as in bench_alerts.c."""
    west, south = WEST + device // 20000 % 8 * WIDTH, SOUTH + device // 160000 * HEIGHT
    return west + device * 7919 % 20000 * (WIDTH / 20000), south + device * 104729 % 20000 * (HEIGHT / 20000)


def write_devices(path, count):
    with open(path, "w") as file:
        print("device_id,group,placed_from,lon,lat", file=file)
        for device in range(count):
            lon, lat = place(device)
            print(f"NL-0307-{device:05d},woning,2026-01-01T00:00:00Z,{lon:.5f},{lat:.5f}", file=file)


def areas(count, points, prefix, box):
    """A FeatureCollection of rings that fill the box row by row and overlap a little."""
    west, south, width, height = box
    side = math.ceil(math.sqrt(count))
    features = []
    for number in range(count):
        x = west + width / side * (number % side + 0.5)
        y = south + height / side * (number // side + 0.5)
        angles = [2 * math.pi * (point % points) / points for point in range(points + 1)]
        ring = [[x + width / side * 0.6 * math.cos(angle), y + height / side * 0.6 * math.sin(angle)] for angle in angles]
        code = f"{prefix}{number:06d}"
        features.append({"type": "Feature", "properties": {"code": code, "name": code},
                         "geometry": {"type": "Polygon", "coordinates": [ring]}})  # fmt: skip
    return {"type": "FeatureCollection", "features": features}


def layers(country):
    """The layers of areas, {name: FeatureCollection}: those of a region around the town, and of the town."""
    town = (WEST, SOUTH, WIDTH, HEIGHT)
    return {
        "buurt": areas(country, 10, "BU", (4.4, 51.4, 2.0, 1.5)),
        "wijk": areas(30, 10, "WK", town),
        "hotspot": areas(1, 10, "HS", (WEST + WIDTH / 4, SOUTH + HEIGHT / 4, WIDTH / 4, HEIGHT / 4)),
    }


def write_areas(directory, country):
    """Returns {layer: file}."""
    files = {}
    for layer, collection in layers(country).items():
        files[layer] = directory / f"{layer}.geojson"
        files[layer].write_text(json.dumps(collection))
    return files
