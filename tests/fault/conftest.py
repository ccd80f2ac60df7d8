import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

from harness.figures import note_figures  # noqa: E402
from harness.fixtures import *  # noqa: E402,F401,F403 (the fixtures and hooks of every test)
from harness.fixtures import pytest_runtest_makereport, pytest_sessionstart  # noqa: E402,F401


def pytest_runtest_logreport(report):
    if report.skipped:
        note_figures(skipped=report.longrepr[2].removeprefix("Skipped: "))
