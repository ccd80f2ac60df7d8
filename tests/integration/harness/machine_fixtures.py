"""A Debian machine for the tests of a module, and what setup leaves on it."""
import contextlib

import pytest

from .machine import Machine

BOARD_FILE = "/etc/mobeye-board/mobeye-board.yaml"


@pytest.fixture(scope="module")
def machine_of_module():
    with contextlib.closing(Machine()) as machine:
        yield machine


@pytest.fixture
def machine(machine_of_module):
    machine_of_module.install()
    yield machine_of_module
    machine_of_module.must("systemctl", "stop")


@pytest.fixture
def ready(machine):
    """After setup. That setup creates the schema too is for the tests of `machine`."""
    machine.create_schema()
    machine.must("mobeyectl", "setup", "--yes")
    return machine


def stat(machine, *names):
    """Mode and owner of each."""
    return machine.must("stat", "-c", "%a %U:%G", *(f"/etc/mobeyed/{name}" for name in names)).splitlines()


def check(machine, output, *more):
    """All is as setup should leave it."""
    assert "send a drill alert to" in output
    assert machine.sql("select count(*) > 0 from patrol.alerts where drill and device_id = 'drill'") == "t"
    assert {file.name for file in machine.etc.iterdir()} == {"mobeyed.yaml", "clients.yaml", "pgpass", *more}
    modes = ["640 root:mobeyed", "640 root:mobeyed", "600 mobeyed:mobeyed", "600 mobeyed:mobeyed", "600 root:root"]
    assert stat(machine, "mobeyed.yaml", "clients.yaml", "pgpass", *more) == modes[:3 + len(more)]
