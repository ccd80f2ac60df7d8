"""mobeyed as a process: its file, its life, its log, its metrics and its notifications to the service manager."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import urllib.error
import urllib.request

from .paths import MOBEYECTL, MOBEYED, TSAN_SUPPRESSIONS, free_port
from .wait import wait_until

SANITIZER = re.compile(r"ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:|SUMMARY: \w+Sanitizer")
SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)(?: \d+)?$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Config:
    """The configuration file: what differs from this is given by name. An endpoint is a dict of its keys."""

    def __init__(self, directory, conninfo, **keys):
        self.directory = pathlib.Path(directory)
        self.instance = "test-1"
        self.conninfo = str(conninfo)
        self.batch_max = 5000
        self.batch_wait = "5ms"
        self.journal = self.directory / "journal"
        self.max_size = "64MiB"
        self.keep = "24h"
        self.endpoints = [self.endpoint("door")]
        self.port = free_port()
        self.more = ""  # further lines of the file
        self.set(**keys)

    def set(self, **keys):
        for name, value in keys.items():
            assert hasattr(self, name), name
            setattr(self, name, value)
        return self

    def endpoint(self, name, bind=None, connect=None, socket="router", **more):
        address = {"connect": connect} if connect else {"bind": bind or f"ipc://{self.directory}/{name}"}
        return {"name": name, **address, "socket": socket, "format": "cloudevents", **more}

    def address(self, name="door"):
        endpoint = next(e for e in self.endpoints if e["name"] == name)
        return endpoint.get("bind") or endpoint["connect"]

    def text(self):
        lines = [
            f"instance: {self.instance}",
            "database:",
            f"  conninfo: {json.dumps(self.conninfo)}",
            f"  batch_max: {self.batch_max}",
            f"  batch_wait: {self.batch_wait}",
            "journal:",
            f"  directory: {self.journal}",
            f"  max_size: {self.max_size}",
            f"  keep: {self.keep}",
            "http:",
            f'  listen: "127.0.0.1:{self.port}"',
            "endpoints:",
            *(f"  - {json.dumps(endpoint)}" for endpoint in self.endpoints),
        ]
        return "\n".join(lines) + "\n" + self.more


class Notices:
    """The service manager's end of NOTIFY_SOCKET. A thread reads it, since the daemon waits where nobody does."""

    def __init__(self, path):
        self.path = str(path)
        self.seen = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        while True:
            lines = self.socket.recv(8192).decode().splitlines()
            if not lines:
                return
            self.seen.extend(lines)

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.sendto(b"", self.path)
        self.reader.join(60)
        self.socket.close()

    def count(self, word):
        return self.seen.count(word)

    def wait(self, word, count=1, alive=lambda: True):
        """False if it ended before it said so."""
        wait_until(lambda: self.count(word) >= count or not alive(), f"{word} ({count}) to the service manager")
        return self.count(word) >= count


class Metrics(dict):
    """{(name, labels): value} of one scrape; checks the laws between metrics."""

    @classmethod
    def parse(cls, text):
        self = cls()
        for line in text.splitlines():
            if line and not line.startswith("#"):
                match = SAMPLE.match(line)
                assert match, f"not a Prometheus sample: {line!r}"
                labels = tuple(sorted(LABEL.findall(match[2] or "")))
                assert (match[1], labels) not in self, f"twice in one scrape: {line}"
                self[match[1], labels] = float(match[3])
        self.balance("received_total", "=", "rejected_total", "retry_total", "journaled_total", "in_flight")
        self.balance("journaled_total", "recovered_total", "=", "committed_total", "duplicate_total",
                     "quarantined_total", "journal_pending")
        return self

    def balance(self, *names):
        amounts = [name if name == "=" else self.total(name) for name in names]
        middle = names.index("=")
        book = list(zip(names, amounts))
        assert sum(amounts[:middle]) == sum(amounts[middle + 1:]), f"the books do not balance: {book}"

    def total(self, name, **labels):
        """The sum of all samples of mobeyed_NAME that have these labels."""
        return sum(value for (full, of), value in self.items()
                   if full == "mobeyed_" + name and set(labels.items()) <= set(of))


class Daemon:
    """One configuration and the processes that run it, one after another; the log is that of all of them."""

    def __init__(self, conninfo, **keys):
        # Short, since the path of a Unix socket has at most 107 bytes.
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="mobeye."))
        self.conf = Config(self.directory, conninfo, **keys)
        self.file = self.directory / "mobeyed.yaml"
        self.log_file = self.directory / "log"
        self.log_file.touch()
        self.notices = Notices(self.directory / "notify")
        self.process = None
        self.env = {}  # of all its processes
        self.wrapped = False

    # Its life.

    def write(self, **keys):
        self.file.write_text(self.conf.set(**keys).text())

    def launch(self, wrapper=(), env=None):
        """Starts the process and does not wait for it."""
        assert self.process is None
        self.write()
        self.wrapped = bool(wrapper)
        # Freed memory that a sanitizer keeps would pass for what hostile peers have piled up.
        env = {**os.environ, "ASAN_OPTIONS": "quarantine_size_mb=8:allocator_release_to_os_interval_ms=20",
               "TSAN_OPTIONS": f"suppressions={TSAN_SUPPRESSIONS}", "NOTIFY_SOCKET": self.notices.path,
               **self.env, **(env or {})}
        env.pop("JOURNAL_STREAM", None)
        with self.log_file.open("ab") as log:
            # However the tests end, the daemon does not outlive them.
            command = ["setpriv", "--pdeathsig", "KILL", *wrapper, MOBEYED, "-c", self.file]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
        return self

    def start(self, **how):
        """Starts the process and waits until it is ready."""
        ready = self.notices.count("READY=1")
        self.launch(**how)
        assert self.notices.wait("READY=1", ready + 1, self.running), f"it ended before it was ready:\n{self.log()}"
        return self

    def running(self):
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self):
        if not self.wrapped:
            return self.process.pid
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return int(children.read_text().split()[0])

    def signal(self, number):
        os.kill(self.pid, number)

    def wait_exit(self, timeout=60):
        status = self.process.wait(timeout)
        self.process = None
        return status

    def kill(self):
        """kill -9."""
        assert self.running(), "the daemon ended by itself"
        self.signal(signal.SIGKILL)
        self.wait_exit()

    def stop(self, within=10):
        """SIGTERM: it ends with 0 within 10 s."""
        assert self.running(), f"the daemon ended by itself, with {self.process and self.process.poll()}"
        self.signal(signal.SIGTERM)
        try:
            status = self.wait_exit(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"not stopped within {within} s of SIGTERM") from None
        assert status == 0, f"exit status {status} after SIGTERM"

    def restart(self):
        self.stop()
        return self.start()

    def reload(self, **keys):
        """SIGHUP with these keys changed; returns when the daemon says that it is done, whatever the result."""
        self.write(**keys)
        self.hang_up()

    def hang_up(self):
        reloading, ready = self.notices.count("RELOADING=1"), self.notices.count("READY=1")
        self.signal(signal.SIGHUP)
        assert self.notices.wait("RELOADING=1", reloading + 1, self.running)
        assert self.notices.wait("READY=1", ready + 1, self.running)

    def dispose(self):
        """Ends what is left; returns what was wrong with it, and its log."""
        wrong = []
        if self.process is not None and not self.running():
            wrong.append(f"the daemon ended by itself, with {self.process.returncode}")
        elif self.process is not None:
            try:
                if not self.wrapped:
                    self.metrics()
                self.stop()
            except (AssertionError, OSError) as failure:
                wrong.append(f"{failure!r}")
            if self.process is not None:
                self.signal(signal.SIGKILL)
                self.process.wait(60)
        self.notices.close()
        log = self.log()
        if SANITIZER.search(log):
            wrong.append("a sanitizer found something")
        shutil.rmtree(self.directory)
        return wrong, log

    # What it says.

    def log(self):
        return self.log_file.read_text(errors="replace")

    def lines(self, pattern):
        return [line for line in self.log().splitlines() if re.search(pattern, line)]

    def wait_log(self, pattern, count=1):
        return wait_until(lambda: len(self.lines(pattern)) >= count and self.lines(pattern), f"in the log: {pattern}")

    def get(self, path):
        """(status, body) of a GET."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.conf.port}{path}", timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metrics(self):
        status, text = self.get("/metrics")
        assert status == 200, (status, text)
        return Metrics.parse(text)

    def metric(self, name, **labels):
        return self.metrics().total(name, **labels)

    def wait_metric(self, name, condition, **labels):
        """Waits until condition(value) holds, or for the value itself."""
        holds = condition if callable(condition) else lambda value: value == condition
        wait_until(lambda: holds(self.metric(name, **labels)), f"mobeyed_{name}")

    def wait_drained(self):
        """Everything journaled is in the database or in quarantine. Waits as long as the rest keeps decreasing."""
        pending = self.metric("journal_pending")
        while pending > 0:
            before = pending
            self.wait_metric("journal_pending", lambda value: value < before)
            pending = self.metric("journal_pending")

    def rss_kib(self):
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1])

    def address(self, name="door"):
        return self.conf.address(name)

    def ctl(self, *args, **how):
        """mobeyectl with this daemon's file after the verb (and the sub-verb), as a finished process."""
        return mobeyectl(*args, "-c", self.file, **how)


def mobeyectl(*args, **how):
    return subprocess.run([MOBEYECTL, *args], capture_output=True, text=True, timeout=120, **how)
