"""Waiting for a condition, never for a time."""
import threading
import time

TIMEOUT_S = 60


def wait_until(condition, what="", timeout=TIMEOUT_S, every=0.02):
    """Asks `condition` again and again until it is true, and returns what it said. Fails by name at the timeout."""
    end = time.monotonic() + timeout
    pause = threading.Event()
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {(what() if callable(what) else what) or condition}")
        pause.wait(every)
