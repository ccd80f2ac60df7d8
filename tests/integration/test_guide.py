"""The commands of the administrator's guide, run as they stand there, on a machine of their own (harness/machine.py)."""
import contextlib
import re

import pytest

from harness.machine import Machine
from harness.paths import ROOT

GUIDE = ROOT / "systemd" / "README.md"
BLOCK = re.compile(r"^```sh run(?: needs=(\S+))?\n(.*?)^```$", re.M | re.S)


def blocks():
    return [(needs.split(",") if needs else [], text) for needs, text in BLOCK.findall(GUIDE.read_text())]


def have(machine, need):
    if "." in need:
        return machine.sql("select count(*) from pg_proc p join pg_namespace n on n.oid = p.pronamespace "
                           f"where n.nspname || '.' || p.proname = '{need}'") != "0"
    return re.search(rf"^  {need} ", machine.must("mobeyectl", "--help"), re.M) is not None


def test_the_commands_of_the_guide_work():
    with contextlib.closing(Machine()) as machine:
        output, left_out = "", set()
        for needs, text in blocks():
            lacks = [need for need in needs if not have(machine, need)]
            left_out |= set(lacks)
            if not lacks:
                output += machine.must("bash", "-euo", "pipefail", "-c", text)
        assert len(blocks()) >= 8, "there are fewer commands to run than there were"
        assert "as expected: refused" in output
        assert "a drill alert, sent to" in output
        machine.must("systemctl", "stop")
    if left_out:
        pytest.skip(f"all but what is not there yet: {', '.join(sorted(left_out))}")
