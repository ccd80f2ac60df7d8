"""The patrol board of the demo: mobeye-board on a free port of this machine, as one officer, and what a browser shows of it."""
import json
import re
import subprocess
import time
import urllib.error
import urllib.request

import browser

PATIENCE_S = 60
# What the page says: whether it follows the changes, and the incidents of the queue in their order.
SHOWN = """JSON.stringify({
    state: (document.querySelector('#connection') || {dataset: {}}).dataset.state || null,
    rows: [...document.querySelectorAll('#queue [data-incident]')].map(row => row.dataset.incident)})"""


class Failed(Exception):
    """The board is not running, or shows something other than the queue; the text says what."""


class Board:
    """Runs until stop()."""

    def __init__(self, directory, program, conninfo, port, officer):
        self.program, self.officer = program, officer
        self.address = f"http://127.0.0.1:{port}/"
        self.file, self.log = directory / "mobeye-board.yaml", directory / "board.log"
        conninfo = re.sub(r"user=\S+", "user=mobeye_board", conninfo)
        self.file.write_text(f"listen: \"127.0.0.1:{port}\"\ndatabase: {{conninfo: {json.dumps(conninfo)}, connections: 2}}\n"
                             f"identity: {{fixed: {officer}}}\n", encoding="utf-8")
        self.process = None

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([self.program, "-c", self.file], stderr=log)
        until = time.monotonic() + PATIENCE_S
        while not self.answers():
            if self.process.poll() is not None:
                raise Failed(f"mobeye-board exited with status {self.process.returncode}:\n{self.log.read_text()}")
            if time.monotonic() > until:
                raise Failed(f"mobeye-board did not answer within {PATIENCE_S} s:\n{self.log.read_text()}")
            time.sleep(0.05)

    def answers(self):
        try:
            with urllib.request.urlopen(f"{self.address}api/queue", timeout=10) as response:
                return response.status == 200
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def check(self, queue, screenshot):
        """Waits until the page shows these incidents, in this order, and follows the changes; then takes its picture."""
        page = browser.Browser(PATIENCE_S)
        try:
            page.open(self.address, 1280, 900)
            until = time.monotonic() + PATIENCE_S
            while (shown := json.loads(page.evaluate(SHOWN))) != {"state": "live", "rows": queue}:
                if time.monotonic() > until:
                    raise Failed(f"the board shows {shown['rows']}, connection {shown['state']} (expected {queue}, live)")
                time.sleep(0.1)
            page.screenshot(screenshot)
        except browser.Failed as failure:
            raise Failed(str(failure)) from failure
        finally:
            page.close()
