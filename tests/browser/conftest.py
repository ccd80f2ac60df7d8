import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

from harness.board import Board  # noqa: E402
from harness.cluster import Cluster  # noqa: E402
from harness.fixtures import context, pytest_runtest_makereport, pytest_sessionstart  # noqa: E402,F401

import night  # noqa: E402
from screen import Chromium  # noqa: E402


@pytest.fixture(scope="session")
def chromium():
    """One browser for all tests; each screen is a window of it."""
    made = Chromium()
    yield made
    made.quit()


@pytest.fixture(scope="session")
def nights(chromium):
    """A cluster with two databases that each test copies: people and areas alone, and a busy night."""
    made = Nights(Cluster())
    yield made
    made.cluster.close()


@pytest.fixture
def scene(nights, chromium, tmp_path):
    """A quiet night: scene.incident() makes something happen, scene.screen("jansen") is what that person sees."""
    yield from shown(Scene(nights.cluster, nights.quiet, chromium, tmp_path))


@pytest.fixture
def full(nights, chromium, tmp_path):
    """A busy night, and its most urgent incident."""
    made = Scene(nights.cluster, nights.busy, chromium, tmp_path)
    made.urgent = nights.urgent
    yield from shown(made)


def shown(made):
    yield made
    try:
        for screen in made.screens:
            screen.check_log()
    finally:
        made.close()


class Nights:
    def __init__(self, cluster):
        self.cluster = cluster
        self.quiet = cluster.database()
        night.register(self.quiet)
        self.busy = cluster.database(self.quiet.name)
        self.urgent = night.busy(self.busy)


class Scene:
    def __init__(self, cluster, template, chromium, directory):
        self.cluster, self.chromium, self.screens = cluster, chromium, []
        self.database = cluster.database(template.name)
        self.board = Board(self.database, directory).start()

    def incident(self, **what):
        return night.add_incident(self.database, **what)

    def screen(self, person, path="/", **options):
        self.screens.append(self.chromium.screen(self.board, person, path, **options))
        return self.screens[-1]

    def close(self):
        self.chromium.close_all()
        self.board.stop()
        self.cluster.recover()
        self.database.drop()
