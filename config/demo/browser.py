"""Chromium without a window, for one page: what it shows, and a screenshot. It is controlled over pipes."""
import base64
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time


class Failed(Exception):
    """The browser does not start, does not answer, or an expression is wrong."""


def program():
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """Ends with close(), its files too. Every answer has to come within patience_s."""

    def __init__(self, patience_s):
        self.patience_s = patience_s
        self.directory = tempfile.mkdtemp(prefix="demo-browser.")
        self.number, self.received, self.session = 0, b"", None
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        self.reading, self.writing = ours_in, ours_out
        # It reads commands from descriptor 3 and writes answers to 4.
        command = ["bash", "-c", f"exec 3<&{theirs_in} 4>&{theirs_out}; exec \"$@\"", "browser", program(), "--headless=new",
                   *(["--no-sandbox"] if os.geteuid() == 0 else []), "--disable-gpu", "--no-first-run", "--disable-extensions",
                   "--disable-background-networking", "--disable-dev-shm-usage", "--mute-audio", "--remote-debugging-pipe",
                   f"--user-data-dir={self.directory}", "about:blank"]
        self.process = subprocess.Popen(command, pass_fds=(theirs_in, theirs_out), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        os.close(theirs_in)
        os.close(theirs_out)

    def close(self):
        """Its processes are in a session of their own."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        os.close(self.reading)
        os.close(self.writing)
        shutil.rmtree(self.directory, ignore_errors=True)

    def receive(self, until):
        while b"\0" not in self.received:
            if not select.select([self.reading], [], [], max(0, until - time.monotonic()))[0]:
                raise Failed(f"chromium did not answer within {self.patience_s} s")
            data = os.read(self.reading, 1 << 20)
            if not data:
                raise Failed("chromium ended")
            self.received += data
        message, self.received = self.received.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **parameters):
        """Its result; events that come before it are dropped."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.writing, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + self.patience_s
        while (answer := self.receive(until)).get("id") != self.number:
            pass
        if "error" in answer:
            raise Failed(f"chromium: {method}: {answer['error'].get('message')}")
        return answer["result"]

    def open(self, url, width, height):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Page.navigate", url=url)

    def evaluate(self, expression):
        """The value of an expression in JavaScript, on the page as it is now."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise Failed(f"chromium: {answer['exceptionDetails'].get('text')}: {expression}")
        return answer["result"].get("value")

    def screenshot(self, file):
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))
