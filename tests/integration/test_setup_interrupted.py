"""mobeyectl setup is killed before each of its steps, and completed by the next run. In the build without sanitizers, which
do not support a library that is preloaded."""
import pytest

from harness.machine_fixtures import *  # noqa: F401,F403
from harness.machine_fixtures import BOARD_FILE, check
from harness.paths import BUILD, ROOT, sanitized

INTERRUPT = BUILD / "tests" / "interrupt.so"
pytestmark = pytest.mark.skipif(sanitized(), reason=f"{INTERRUPT.name} is preloaded, which AddressSanitizer does not support")


def interrupted(machine, step, *more):
    """Whether setup was killed before that step; it ends well otherwise."""
    assert INTERRUPT.exists(), f"{INTERRUPT} is missing: build it"
    done = machine.run("env", f"LD_PRELOAD={INTERRUPT}", f"MOBEYE_INTERRUPT={step}", "mobeyectl", "setup", "--yes",
                       "--no-drill", *more)
    assert (done.returncode == 0) != ("interrupt: before step" in done.stdout), done.stdout
    return done.returncode != 0


def test_it_is_completed_after_every_interruption(ready):
    """After the schema, which migrations make one by one: the password, keys, files, the daemon."""
    step = 0
    while True:
        step += 1
        ready.forget()
        if not interrupted(ready, step, "--curve"):
            break
        check(ready, ready.must("mobeyectl", "setup", "--yes", "--curve"), "server.key", "drill.key")
    assert step > 40


def test_a_file_that_is_replaced_survives_every_interruption(ready):
    file = ready.etc / "mobeyed.yaml"
    mine = file.read_text().replace("#batch_max: 20000", "batch_max: 400")
    step, more = 0, True
    while more:
        step += 1
        for path in ready.etc.glob("mobeyed.yaml.*"):
            path.unlink()
        file.write_text(mine)
        more = interrupted(ready, step, "--replace", "--instance", "soest-1")
        ready.must("mobeyectl", "setup", "--yes", "--replace", "--instance", "soest-1")
        assert 'instance: "soest-1"' in file.read_text() and "\n  batch_max: 400" in file.read_text()
        assert [path.name for path in ready.etc.glob("mobeyed.yaml.*")] == ["mobeyed.yaml.before-setup"], step
        assert (ready.etc / "mobeyed.yaml.before-setup").read_text() == mine
    assert step > 15


def test_it_gets_there_though_each_run_is_interrupted(machine):
    """From nothing; each gets one step further than the previous one, and leaves behind what it created."""
    step = 1
    while interrupted(machine, step):
        step += 1
    assert step > 20
    check(machine, machine.must("mobeyectl", "setup", "--yes"))


def test_setup_of_the_board_is_completed_after_every_interruption(ready):
    step, more = 0, True
    while more:
        step += 1
        ready.must("bash", "-c", "systemctl stop mobeye-board.service; rm -rf /etc/mobeye-board/pgpass* /etc/mobeye-board/*.setup")
        ready.must("install", "-m", "0640", "-g", "mobeye-board", ROOT / "config/mobeye-board.yaml", "/etc/mobeye-board")
        ready.sql("alter role mobeye_board password null")
        more = interrupted(ready, step, "--board")
        ready.must("mobeyectl", "setup", "--yes", "--no-drill", "--board")
        assert "passfile=/etc/mobeye-board/pgpass" in ready.must("cat", BOARD_FILE)
        assert ready.must("ls", "/etc/mobeye-board").split() == ["mobeye-board.yaml", "pgpass"]
        assert ready.run("systemctl", "is-active", "mobeye-board.service").returncode == 0
    assert step > 10
