"""The fixtures of every test; a conftest.py imports them."""
import shutil
import subprocess

import pytest
import zmq

from .board import PEOPLE, Board
from .cluster import Cluster
from .daemon import Daemon
from .paths import CLIENT, MOBEYECTL, MOBEYED, ROOT
from .peers import Dealer
from .registry import Registry


@pytest.fixture(scope="session")
def shared_cluster():
    """One for all tests that leave it running."""
    cluster = Cluster()
    yield cluster
    cluster.close()


@pytest.fixture(scope="module")
def cluster_of_module():
    cluster = Cluster()
    yield cluster
    cluster.close()


@pytest.fixture
def cluster(cluster_of_module):
    """One that the test may stop, kill and freeze; it runs again afterwards."""
    yield cluster_of_module
    cluster_of_module.recover()


@pytest.fixture
def database(request):
    """A migrated database of this test alone, in the cluster that the test has to itself where it asks for one."""
    name = "cluster" if "cluster" in request.fixturenames else "shared_cluster"
    made = request.getfixturevalue(name).database()
    yield made
    if name == "cluster":
        made.cluster.recover()
    made.drop()


@pytest.fixture
def registry(database, tmp_path):
    return Registry(database, tmp_path)


@pytest.fixture
def daemons(request, database):
    """daemons(conninfo, **keys) makes a Daemon, which does not run yet. In the end each must stop as it should."""
    made = []

    def make(conninfo, **keys):
        made.append(Daemon(conninfo, **keys))
        return made[-1]

    yield make
    failed = request.node.stash.get(FAILED, False)
    wrong = []
    for number, daemon in enumerate(made):
        what, log = daemon.dispose()
        wrong += what
        if failed or what:
            print(f"--- log of daemon {number} ---\n{log[-20000:]}")
    assert not wrong or failed, wrong


@pytest.fixture
def daemon(database, daemons):
    """One daemon on one database, running, with a router endpoint `door`."""
    return daemons(database.ingest).start()


@pytest.fixture
def context():
    made = zmq.Context()
    made.set(zmq.MAX_SOCKETS, 4096)
    yield made
    made.destroy(linger=0)


@pytest.fixture
def dealer(context, daemon):
    return Dealer(context, daemon.address())


@pytest.fixture(scope="session")
def client(tmp_path_factory):
    """The plain libzmq client in C."""
    if CLIENT.exists():
        return CLIENT
    if shutil.which("cc") is None:
        pytest.skip(f"no {CLIENT} and no C compiler to build it")
    made = tmp_path_factory.mktemp("client") / "integration_client"
    source = ROOT / "tests" / "integration" / "client.c"
    subprocess.run(["cc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-o", made, source, "-lzmq"], check=True)
    return made


FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    report = (yield).get_result()
    if report.failed:
        item.stash[FAILED] = True


def pytest_sessionstart():
    for program in (MOBEYED, MOBEYECTL):
        if not program.exists():
            pytest.exit(f"{program} is missing: build it, or set MOBEYE_BUILD", 2)


@pytest.fixture
def board(database, tmp_path):
    """mobeye-board on a database in which the people of harness/board.py are registered."""
    database.execute(PEOPLE)
    running = Board(database, tmp_path).start()
    yield running
    running.stop()
