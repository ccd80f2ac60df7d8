"""The pages in systemd/devices: what they show is true."""
import re

import pytest

from harness.daemon import mobeyectl
from harness.paths import ROOT

PAGES = sorted((ROOT / "systemd/devices").glob("*.md"))


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.M | re.S)


def test_there_is_a_page_each():
    assert [page.stem for page in PAGES] == ["battery", "positions", "trailer"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_its_scenarios_hold(page, tmp_path):
    found = blocks(page, "scn")
    assert found
    for i, block in enumerate(found):
        file = tmp_path / f"{page.stem}-{i}.scn"
        file.write_text(f"rules {ROOT}/tests/scenario/rules.yaml\n" + block)
        done = mobeyectl("test-rules", file)
        assert done.returncode == 0, done.stdout + done.stderr


def test_its_message_is_one(tmp_path):
    for page in PAGES:
        for block in blocks(page, "json"):
            done = mobeyectl("send", "--dry-run", "-", input=block)
            assert done.returncode == 0, done.stderr


def test_its_devices_can_be_imported(database, tmp_path):
    n = 0
    for page in PAGES:
        for block in blocks(page, "csv"):
            file = tmp_path / "devices.csv"
            file.write_text(block)
            done = mobeyectl("devices", "import", file, "--db", database.conninfo)
            assert done.returncode == 0, done.stderr
            n += 1
    assert n == 2 and database.value("select extract(epoch from heartbeat) from mobeye.device where device_id = 'CAM-7'") == 3600
