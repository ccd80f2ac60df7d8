"""What a soak reads of its programs once a minute, whether that stays flat, and a plot of it in text."""
import os
import pathlib
import re
import statistics
import typing

MIB = 1 << 20
WARM_UP_S = 20 * 60  # caches fill, the sessions of DC-09 are remembered; of a shorter run a third is left out
JUDGED_S = 10 * 60  # what is shorter says nothing of memory
PLOT_COLUMNS, PLOT_ROWS = 60, 5


class Figure(typing.NamedTuple):
    """One line of the report: by how much it may grow in a whole run, at least `floor`, else a share of its median."""
    title: str
    unit: str
    floor: float
    share: float = 0

    def bound(self, values):
        return max(self.floor, self.share * statistics.median(values))


FIGURES = [
    Figure("memory of mobeyed", "MiB", 2, 0.05),
    Figure("descriptors of mobeyed", "", 2),
    Figure("threads of mobeyed", "", 0.5),
    Figure("memory of mobeye-board", "MiB", 2, 0.05),
    Figure("descriptors of mobeye-board", "", 2),
    Figure("journal", "MiB", 96, 0.25),  # it comes and goes by segments of 64 MiB
]


def _process(pid):
    """Its memory in MiB, its descriptors, its threads."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    resident, threads = (int(re.search(rf"{name}:\s+(\d+)", status)[1]) for name in ("VmRSS", "Threads"))
    return resident / 1024, len(os.listdir(f"/proc/{pid}/fd")), threads


def take_sample(daemon_pid, board_pid, journal):
    """The values of FIGURES now."""
    memory, descriptors, threads = _process(daemon_pid)
    board_memory, board_descriptors, _ = _process(board_pid)
    size = sum(file.stat().st_size for file in pathlib.Path(journal).rglob("*") if file.is_file())
    return [memory, descriptors, threads, board_memory, board_descriptors, size / MIB]


def slope(times, values):
    """Of the line through the points: the median of the slopes between each two (Theil and Sen), which a spike does not move."""
    return statistics.median((values[b] - values[a]) / (times[b] - times[a]) for b in range(len(times)) for a in range(b))


class Growth(typing.NamedTuple):
    first: float   # median of the first half
    second: float  # and of the second
    trend: float   # slope times duration
    bound: float

    @property
    def flat(self):
        return self.second - self.first <= self.bound and self.trend <= self.bound


def growth(figure, times, values):
    """Of samples (seconds since the start, values), without the warm-up; None: too short to be judged."""
    if not times or times[-1] < JUDGED_S:
        return None
    begin = next(n for n, at in enumerate(times) if at >= min(WARM_UP_S, times[-1] / 3))
    times, values = times[begin:], values[begin:]
    half = len(values) // 2
    return Growth(statistics.median(values[:half]), statistics.median(values[half:]),
                  slope(times, values) * (times[-1] - times[0]), figure.bound(values))


def describe(figure, grown):
    """One line that says how flat it is."""
    unit = f" {figure.unit}" if figure.unit else ""
    return (f"{figure.title}: {'flat' if grown.flat else 'GROWS'}, {grown.first:.1f}{unit} in the first half, {grown.second:.1f} in the "
            f"second, trend {grown.trend:+.2f} over the run (bound {grown.bound:.2f})")


def plot(figure, times, values):
    """Lines of text: the largest value in each column, from 0."""
    columns = min(PLOT_COLUMNS, len(values))
    tops = [max(values[n * len(values) // columns:(n + 1) * len(values) // columns]) for n in range(columns)]
    highest = max(tops) or 1
    yield f"{figure.title}{', ' + figure.unit if figure.unit else ''}"
    for row in range(PLOT_ROWS, 0, -1):
        line = "".join("#" if top / highest * PLOT_ROWS >= row - 0.5 else " " for top in tops)
        yield f"{highest * row / PLOT_ROWS:8.1f} |{line}".rstrip()
    yield f"{0:8.1f} +{'-' * columns} {times[-1] / 60:.0f} min"
