"""The administrator's guide, executed on a booted Debian, and what happens to a machine afterwards (in-debian)."""
import re
import subprocess

import pytest

from conftest import ROOT

HERE = ROOT / "tests/deb"
HEADING_OR_BLOCK = re.compile(r"^## ([^\n]*)$|^```sh run\n(.*?)^```$", re.M | re.S)


def commands():
    """The blocks marked run, each after its heading."""
    heading = ""
    for title, block in HEADING_OR_BLOCK.findall((ROOT / "systemd/GUIDE.md").read_text()):
        if block:
            yield f"echo {repr('--- guide: ' + heading)}\n{block}"
        else:
            heading = title


def test_the_guide_works_on_a_debian_that_boots(package, frigate_package, board_package, tmp_path):
    blocks = list(commands())
    assert len(blocks) >= 30, "the guide has fewer blocks to run than before"
    guide = tmp_path / "guide.sh"
    guide.write_text("\n".join(blocks))
    done = subprocess.run([HERE / "boot", "--limit", "900", package, HERE / "in-debian", guide, frigate_package,
                           board_package], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode == 77:
        pytest.skip(re.search(r"^skipped: (.*)", done.stdout, re.M)[1])
    assert done.returncode == 0, done.stdout
    assert done.stdout.endswith("--- done\n")
    assert done.stdout.count("as expected: refused") == 2  # the guide's reload of a bad file, each time
    for chapter in "The half-yearly report in ten minutes", "Hotspots and cards":
        assert done.stdout.count(f"--- guide: {chapter}\n") >= 2
