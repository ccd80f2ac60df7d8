"""The commands of the administrator's guide, run as they stand there.

In namespaces of its own, as root: /etc, /var/lib and /run are copies or empty, the network is a loopback of its own, so that
paths and ports are those of the guide. systemctl and journalctl are stand-ins that run what the unit says."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import psycopg
import pytest

from harness.paths import MOBEYECTL, MOBEYED, ROOT

GUIDE = ROOT / "systemd" / "README.md"
BLOCK = re.compile(r"^```sh run(?: needs=(\S+))?\n(.*?)^```$", re.M | re.S)

SYSTEMCTL = r"""#!/bin/bash
# What of systemctl the guide needs, by what the unit says.
set -euo pipefail
pid() { pgrep -u mobeyed -x mobeyed; }
# Until the daemon says so, in a line of the log behind the first $1.
says() { timeout 60 grep -q "$2" < <(tail -n +$(($1 + 1)) -f --pid=$$ "$HOME/log"); }
lines() { touch "$HOME/log" && wc -l < "$HOME/log"; }
start() {
    local before
    before=$(lines)
    setsid runuser -u mobeyed -- mobeyed 2>> "$HOME/log" < /dev/null &
    says "$before" 'mobeyed: .* is ready' || { tail "$HOME/log" >&2 && return 1; }
}
stop() {
    local running
    running=$(pid) || return 0
    kill "$running"
    timeout 60 tail --pid="$running" -f /dev/null
}
case $1 in
start) start ;;
stop) stop ;;
restart) stop; start ;;
status) pid ;;
reload)
    MAINPID=$(pid)
    export MAINPID PATH
    before=$(lines)
    sed -n 's/^ExecReload=//p' "$HOME/mobeyed.service" | sed 's|^/usr/sbin/||' | while read -r line; do bash -euc "$line"; done
    says "$before" 'reload: .* is in force'
    ;;
*) exit 1 ;;
esac
"""

# Runs inside: $1 is the private directory, the rest are the blocks in their order.
DRIVER = r"""
set -euo pipefail
home=$1; shift
ip link set lo up
mount --make-rprivate /
cp -a /etc "$home/etc"
mkdir -p "$home/etc/mobeyed" "$home/varlib/mobeyed"
mount --bind "$home/etc" /etc
mount --bind "$home/varlib" /var/lib
mount -t tmpfs tmpfs /run
mkdir /run/postgresql
mount --bind "$SOCKETS" /run/postgresql
mount -t tmpfs tmpfs /tmp
systemd-sysusers "$home/mobeyed.sysusers" > /dev/null 2>&1
chown mobeyed: /var/lib/mobeyed
install -m 640 -g mobeyed "$home/mobeyed.yaml" /etc/mobeyed/mobeyed.yaml
cd /
export HOME=$home PATH=$home/bin:$PATH LC_ALL=C.UTF-8
for block; do
    echo "--- $block"
    bash -euo pipefail "$block"
done
systemctl stop
"""


def blocks():
    return [(needs.split(",") if needs else [], text) for needs, text in BLOCK.findall(GUIDE.read_text())]


def have(database, need):
    if "." in need:
        return database.value("select count(*) from pg_proc p join pg_namespace n on n.oid = p.pronamespace "
                              "where n.nspname || '.' || p.proname = %s", need) > 0
    listed = subprocess.run([MOBEYECTL, "--help"], capture_output=True, text=True).stdout
    return re.search(rf"^  {need} ", listed, re.M) is not None


@pytest.fixture
def home():
    """Where the daemon's user finds the programs; its path has no directory that is root's alone."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="guide.", dir="/var/tmp"))
    directory.chmod(0o755)
    (directory / "bin").mkdir()
    for program in MOBEYED, MOBEYECTL:
        shutil.copy(program, directory / "bin")
    (directory / "bin/systemctl").write_text(SYSTEMCTL)
    (directory / "bin/journalctl").write_text("#!/bin/bash\nset -euo pipefail\ntail -n 20 \"$HOME/log\"\n")
    for program in (directory / "bin").iterdir():
        program.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


def test_the_commands_of_the_guide_work(cluster, database, home):
    if os.geteuid() != 0:
        pytest.skip("the guide is for root")
    files, left_out = [], set()
    for number, (needs, text) in enumerate(blocks()):
        lacks = [need for need in needs if not have(database, need)]
        left_out |= set(lacks)
        if not lacks:
            files.append(home / f"{number}.sh")
            files[-1].write_text(text)
    assert len(files) >= 8, "there are fewer commands to run than there were"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "MOBEYE_"))}
    environment["SOCKETS"] = str(cluster.data.parent)
    cluster.data.parent.chmod(0o755)  # the daemon's user connects there
    for file in "systemd/mobeyed.service", "systemd/mobeyed.sysusers", "config/mobeyed.yaml":
        shutil.copy(ROOT / file, home)
    # The guide makes it; no other test is in this cluster.
    with psycopg.connect(cluster.conninfo, dbname="postgres", autocommit=True) as connection:
        connection.execute("drop database mobeye with (force)")
    done = subprocess.run(["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c", DRIVER,
                           "guide", home, *files], env=environment, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=300)
    log = (home / "log").read_text() if (home / "log").exists() else ""
    assert done.returncode == 0, f"{done.stdout}\n--- log\n{log}"
    assert "as expected: refused" in done.stdout
    if left_out:
        pytest.skip(f"all but what is not there yet: {', '.join(sorted(left_out))}")
