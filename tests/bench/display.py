"""What a run shows: its progress, and each row as soon as it is measured."""
import datetime
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import threading
import time

COLUMNS = (("what", 54), ("measured", 14), ("reference", 26), ("ratio", 7), ("goal", 17))
CLEAR = "\r\033[K"


def span(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"


class Progress:
    """On a terminal a bar that moves by itself, otherwise one line per step; both on stderr."""

    def __init__(self, total_s):
        self.total_s, self.done_s, self.what, self.expected_s = total_s, 0.0, "", 0.0
        self.start = self.step_start = time.monotonic()
        self.terminal = sys.stderr.isatty()
        self.lock = threading.Lock()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._draw_on, daemon=True)
        if self.terminal:
            self.thread.start()

    def begin(self, what, expected_s):
        with self.lock:
            self.done_s += self.expected_s
            self.what, self.expected_s, self.step_start = what, expected_s, time.monotonic()
        if self.terminal:
            self._draw()
        else:
            print(f"bench: {self._fraction():4.0%}  {what}", file=sys.stderr, flush=True)

    def _fraction(self):
        in_step = min(time.monotonic() - self.step_start, 0.98 * self.expected_s)
        return min((self.done_s + in_step) / self.total_s, 0.99)

    def _draw(self):
        fraction, elapsed = self._fraction(), time.monotonic() - self.start
        left = elapsed * (1 - fraction) / fraction if elapsed > 20 else self.total_s - elapsed
        bar = "#" * round(fraction * 24)
        text = f"[{bar:<24}] {fraction:4.0%}, {span(max(left, 0))} left: {self.what}"
        with self.lock:
            sys.stderr.write(CLEAR + text[: shutil.get_terminal_size().columns - 1])
            sys.stderr.flush()

    def _draw_on(self):
        while not self.over.wait(0.5):
            self._draw()

    def clear(self):
        if self.terminal:
            with self.lock:
                sys.stderr.write(CLEAR)
                sys.stderr.flush()

    def end(self):
        self.over.set()
        if self.terminal:
            self.thread.join()
        self.clear()


def machine():
    """One line that says what the figures were measured on."""
    cpu = next((line.split(":")[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.machine())  # fmt: skip
    memory = int(pathlib.Path("/proc/meminfo").read_text().split()[1]) / 1024**2
    system = platform.freedesktop_os_release()["PRETTY_NAME"]
    version = subprocess.run(["psql", "-XAtc", "show server_version"], check=True, stdout=subprocess.PIPE, text=True).stdout
    return (f"{os.cpu_count()} × {cpu}, {memory:.0f} GiB, {system}, Linux {platform.release()}, "
            f"PostgreSQL {version.split()[0]}")  # fmt: skip


def today():
    return datetime.date.today().isoformat()


class Table:
    """Rows on stdout, as they come: aligned columns, or Markdown with the machine and the date."""

    def __init__(self, progress, markdown):
        self.progress, self.markdown = progress, markdown
        names = [name for name, _ in COLUMNS]
        if markdown:
            print(f"Measured on {today()}: {machine()}.\n")
            self._print(names)
            self._print(["---"] + ["---:"] * (len(names) - 1))
        else:
            self._print(names)

    def _print(self, cells):
        if self.markdown:
            line = "| " + " | ".join(cells) + " |"
        else:
            line = "  ".join(cell.ljust(width) if number == 0 else cell.rjust(width)
                             for number, (cell, (_, width)) in enumerate(zip(cells, COLUMNS))).rstrip()  # fmt: skip
        print(line, flush=True)

    def row(self, cells):
        self.progress.clear()
        self._print(cells)
