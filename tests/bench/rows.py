"""The rows of the table: which measurements each needs, and what it makes of them."""
import dataclasses
import typing

import backlog
import growth
import latency
import pictures
import region
import reports
import throughput
import viewers

MEASUREMENTS = {**throughput.MEASUREMENTS, **backlog.MEASUREMENTS, **latency.MEASUREMENTS, **growth.MEASUREMENTS,
                **pictures.MEASUREMENTS, **viewers.MEASUREMENTS, **reports.MEASUREMENTS,
                **region.MEASUREMENTS}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Row:
    needs: tuple
    lines: typing.Callable  # (result of each of needs) → [(what, measured, reference, ratio, goal)]
    by_default: bool = True


def a_second(rate):
    return f"{rate:,.0f}/s"


def milliseconds(us):
    return f"{us / 1000:.1f} ms"


def ratio(value, reference):
    return f"{value / reference:.2f}"


def against_copy(what, goal, key="rate"):
    def lines(measured, copy):
        return [(what, a_second(measured[key]), f"{a_second(copy['rate'])} plain COPY", ratio(measured[key], copy["rate"]), goal)]

    return lines


def against_peer(what, name, goal):
    def lines(measured, peer):
        return [(what, a_second(measured["rate"]), f"{a_second(peer['rate'])} {name}",
                 f"{measured['rate'] / peer['rate']:.1f} x", goal)]  # fmt: skip

    return lines


def cpu(measured, copy):
    return [("CPU of the daemon an alert, with incidents", f"{measured['cpu_us']:.1f} us",
             f"{copy['server_cpu_us']:.1f} us server, COPY", ratio(measured["cpu_us"], copy["server_cpu_us"]), "<= 0.6")]  # fmt: skip


def enrich(measured):
    return [("  of it device, place, areas and rule", f"{measured['alert_us']:.2f} us", "", "", "")]


def accept(measured):
    return [("accepted, database down", a_second(measured["accept_rate"]), f"{a_second(measured['synced_rate'])} synced writes",
             ratio(measured["accept_rate"], measured["synced_rate"]), ">= 0.5, 200,000/s")]  # fmt: skip


def memory(measured):
    return [("memory, 100,000 devices, 2,731 areas, backlog waiting", f"{measured['waiting_mib']:.0f} MiB", "", "", "<= 96 MiB"),
            ("  while it drains", f"{measured['drain_mib']:.0f} MiB", f"{measured['first_half_mib']:.0f} MiB in the first half",
             ratio(measured["drain_mib"], measured["first_half_mib"]), "<= 96 MiB")]  # fmt: skip


def two_daemons(two, one):
    return [("two daemons, one database, with incidents", a_second(two["rate"]), f"{a_second(one['rate'])} one daemon",
             ratio(two["rate"], one["rate"]), ">= 1.4")]  # fmt: skip


def four_databases(four, one):
    return [("four databases on one server, a daemon each, together", a_second(four["rate"]),
             f"{a_second(one['rate'])} one daemon", ratio(four["rate"], one["rate"]), "")]  # fmt: skip


def a_region(measured, incidents):
    """Computed, as systemd/SIZING.md does: what an alert costs at full speed, and 40 MiB and four connections a daemon."""
    lines = []
    for name, phase in measured["phases"].items():
        computed = phase["rate"] * (incidents["cpu_us"] + incidents["server_cpu_us"]) / 1e6
        lines += [(f"four databases, {name}, {phase['rate']:g}/s: visible, p99", f"{phase['p99_ms']:.0f} ms",
                   f"{phase['p50_ms']:.0f} ms the median", "", ""),
                  ("  daemons and server, of one core", f"{phase['cores'] * 100:.1f} %", f"{computed * 100:.2g} % computed",
                   "", "")]  # fmt: skip
    return [*lines, ("  memory of the daemons", f"{measured['daemons_mib']:.0f} MiB", f"{4 * 40} MiB computed",
                     ratio(measured["daemons_mib"], 4 * 40), ""),
            ("  memory of the server", f"{measured['server_mib']:.0f} MiB", "", "", ""),
            ("  connections of the daemons", f"{measured['connections']}", f"{4 * 4} computed",
             ratio(measured["connections"], 4 * 4), "")]  # fmt: skip


def board(measured):
    def queue(what, percent, goal):
        http, sql = (measured[f"{name}_p{percent}_ms"] for name in ("queue", "sql"))
        return (f"{what}, p{percent}", f"{http:.0f} ms", f"{sql:.0f} ms by SQL", ratio(http, sql), goal)

    return [queue("board: queue of 500 incidents, one of many viewers", 99, "<= 100 ms"), queue("  the same", 50, ""),
            ("  a change reaches all of them, slowest of 20", f"{measured['change_max_ms']:.0f} ms",
             f"{measured['change_p50_ms']:.0f} ms the median", "", "<= 1 s"),
            ("  statements for a change", f"{measured['statements']:.1f}", f"{measured['statements_of_one']:.1f} with one viewer",
             "", ""),
            ("  sessions of the board", f"{measured['sessions']:.0f}", "", "", "")]  # fmt: skip


def wijk_report(measured):
    return [("wijk report of a year of alarms", f"{measured['report_s']:.1f} s", f"{measured['scan_s']:.2f} s counting them",
             ratio(measured["report_s"], measured["scan_s"]), "<= 5 s")]  # fmt: skip


def knox_test(measured):
    return [(f"Knox test, 999 simulations, {measured[f'{town}_pairs']:,.0f} pairs", f"{measured[f'{town}_s']:.1f} s",
             f"{measured[f'{town}_once_s']:.1f} s with one", ratio(measured[f"{town}_s"], measured[f"{town}_once_s"]), "<= 30 s")
            for town in ("wide", "dense")]  # fmt: skip


def images(measured):
    return [("images of 100 kB, accepted and stored", a_second(measured["rate"]), f"{a_second(measured['copy_rate'])} COPY as bytea",
             ratio(measured["rate"], measured["copy_rate"]), ">= 0.5")]  # fmt: skip


def ack(measured):
    disk = measured["fdatasync_us"]
    return [(f"sent to ACK at 1,000/s, {name}", milliseconds(measured[f"ack_{name}_us"]), f"{milliseconds(disk)} one fdatasync",
             f"{measured[f'ack_{name}_us'] / disk:.1f}", goal) for name, goal in (("p50", "<= 2.5"), ("p99", "<= 8"))]  # fmt: skip


def visible(measured):
    return [(f"sent to visible in patrol.alerts at 1,000/s, {name}", milliseconds(measured[f"visible_{name}_us"]), "", "", goal)
            for name, goal in (("p50", ""), ("p99", "<= 50 ms"))]  # fmt: skip


def event(measured):
    return [(f"sent to event on a page of the board at 1,000/s, {name}", milliseconds(measured[f"event_{name}_us"]), "", "", goal)
            for name, goal in (("p50", ""), ("p99", "<= 150 ms"))]  # fmt: skip


def stored(measured):
    (_, first, _), (size, last, incidents) = measured["points"][0], measured["points"][-1]
    return [(f"rate with {growth.short(size)} alerts with random ids stored", a_second(last), f"{a_second(first)} at first",
             ratio(last, first), ">= 0.9"), ("  incidents beside them, at the end", growth.short(incidents), "", "", "")]  # fmt: skip


def curve(what):
    def lines(measured):
        least, first, _, first_mib = measured["points"][0]
        rates = [(f"rate with {growth.short(size)} {what}, {growth.short(incidents)} incidents created", a_second(rate),
                  f"{a_second(first)} with {growth.short(least)}", ratio(rate, first), "")
                 for size, rate, incidents, _ in measured["points"][1:]]  # fmt: skip
        most, _, _, mib = measured["points"][-1]
        return [*rates[:-1], (*rates[-1][:-1], "flat or log"),
                (f"  memory of the daemon with {growth.short(most)}", f"{mib:.0f} MiB",
                 f"{first_mib:.0f} MiB with {growth.short(least)}", ratio(mib, first_mib), "")]  # fmt: skip

    return lines


ROWS = {
    "incidents": Row(("incidents", "copy"), against_copy("end to end, with incidents, place and areas", ">= 0.5")),
    "store": Row(("store", "copy"), against_copy("end to end, store only", ">= 0.8")),
    "cpu": Row(("incidents", "copy"), cpu),
    "enrich": Row(("enrich",), enrich),
    "python-incidents": Row(("incidents", "python"), against_peer("end to end, with incidents", "Python", ">= 3 x")),
    "python-store": Row(("store", "python"), against_peer("end to end, store only", "Python", ">= 5 x")),
    "rsyslog": Row(("incidents", "rsyslog"), against_peer("end to end, with incidents", "rsyslog", ">= 5 x")),
    "accept": Row(("backlog",), accept),
    "drain": Row(("backlog", "copy"), against_copy("drain of a backlog, with incidents", ">= 0.5", "drain_rate")),
    "two-daemons": Row(("two", "incidents"), two_daemons),
    "four-databases": Row(("four", "incidents"), four_databases),
    "board": Row(("viewers",), board),
    "wijk": Row(("wijk",), wijk_report),
    "knox": Row(("knox",), knox_test),
    "images": Row(("images",), images),
    "memory": Row(("backlog",), memory),
    "ack": Row(("latency",), ack),
    "visible": Row(("latency",), visible),
    "event": Row(("event",), event),
    "region": Row(("region", "incidents"), a_region, by_default=False),
    "growth": Row(("growth",), stored, by_default=False),
    "growth-devices": Row(("growth-devices",), curve("devices"), by_default=False),
    "growth-areas": Row(("growth-areas",), curve("areas"), by_default=False),
    "growth-rules": Row(("growth-rules",), curve("rules"), by_default=False),
    "growth-open": Row(("growth-open",), curve("open"), by_default=False),
}
