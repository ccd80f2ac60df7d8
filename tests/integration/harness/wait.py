"""Waiting for a condition, never for a time."""
import threading
import time

TIMEOUT_S = 60


def wait_until(condition, what="", timeout=TIMEOUT_S, every=None):
    """Asks `condition` again and again until it is true, and returns what it said. Fails by name at the timeout. Without
    `every` it asks every 20 ms at first, and less often the longer it takes, up to 100 ms: to ask costs a processor more
    than to wait, where it takes a connection to the database."""
    start = time.monotonic()
    pause = threading.Event()
    while True:
        answer = condition()
        if answer:
            return answer
        waited = time.monotonic() - start
        if waited > timeout:
            raise AssertionError(f"not within {timeout} s: {(what() if callable(what) else what) or condition}")
        pause.wait(every or min(max(0.02, waited / 20), 0.1))
