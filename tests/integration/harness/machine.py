"""A Debian machine on which the package and PostgreSQL have just been installed, in namespaces of its own.

/etc, /var/lib, /run and /tmp are copies or empty, the network is a loopback of its own, so that users, paths and ports are
those of an administrator; the cluster lets in whom Debian's lets in. systemctl and journalctl are stand-ins that run what
the unit says. It takes root."""
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from .paths import BOARD, BUILD, MOBEYECTL, MOBEYED, ROOT, WITH_POSTGRES
from .standby import program

SYSTEMCTL = r"""#!/bin/bash
# What of systemctl the guide and mobeyectl need, by what the unit says.
set -euo pipefail
pid() { pgrep -u mobeyed -x mobeyed; }
# Until the daemon says so, in a line of the log after the first $1. grep ends first: what tail says of its pipe would come
# between the lines of the caller.
says() { timeout 60 grep -q "$2" < <(tail -n +$(($1 + 1)) -f --pid=$$ "$HOME/log" 2> /dev/null); }
environment() { cat "$HOME/$1.environment" 2> /dev/null || true; }
files() { environment EnvironmentFiles | sed 's/ (.*//' | xargs -r cat; }
lines() { touch "$HOME/log" && wc -l < "$HOME/log"; }
# LoadCredential= of the unit: there while it runs.
credential() { [[ ! -e $HOME/pgpass.credential ]] || install -D -o mobeyed -m 0400 "$HOME/pgpass.credential" /run/credentials/mobeyed.service/pgpass; }
start() {
    local before
    credential
    before=$(lines)
    # What the process itself sets, the unit does not know.
    # shellcheck disable=SC2046 # its words
    setsid runuser -u mobeyed -- env HOME=/var/lib/mobeyed $(environment mobeyed.service) $(files) $(environment process) mobeyed 2>> "$HOME/log" < /dev/null > /dev/null &
    says "$before" 'mobeyed: .* is ready' || { tail "$HOME/log" >&2 && return 1; }
}
# By default tail looks once a second whether the process has ended.
end_process() {
    kill "$1"
    timeout 60 tail -s 0.02 --pid="$1" -f /dev/null
}
stop() {
    local running
    running=$(pid) || return 0
    end_process "$running"
    rm -rf /run/credentials
}
# The board's unit: enabled by a file, its start by the clock that systemd shows.
board() {
    local running
    running=$(pgrep -u mobeye-board -x mobeye-board) || running=
    case $1 in
    enable) touch "$HOME/board.enabled" ;;
    is-enabled) [[ -e $HOME/board.enabled ]] ;;
    is-active) [[ -n $running ]] ;;
    show)
        case " $* " in
        *' Environment '*) environment mobeye-board.service ;;
        *' EnvironmentFiles '*) environment board.files ;;
        *' UnitFileState '*) [[ -e $HOME/board.enabled ]] && echo enabled || echo disabled ;;
        *' ActiveState '*) [[ -n $running ]] && echo active || echo inactive ;;
        *) cat "$HOME/board.started" 2> /dev/null || echo 0 ;;
        esac
        ;;
    stop) [[ -z $running ]] || end_process "$running" ;;
    restart)
        board stop
        install -d -o mobeye-board /run/mobeye-board
        /usr/bin/python3 -c 'import time; print(time.monotonic_ns() // 1000)' > "$HOME/board.started"
        : > "$HOME/board.log"
        setsid runuser -u mobeye-board -- mobeye-board 2>> "$HOME/board.log" < /dev/null > /dev/null &
        timeout 60 grep -q 'is ready on' < <(tail -n +1 -f --pid=$$ "$HOME/board.log" 2> /dev/null) || { cat "$HOME/board.log" >&2 && return 1; }
        ;;
    *) return 1 ;;
    esac
}
[[ " $* " != *" mobeye-board.service "* ]] || { board "$@" && exit; exit 1; }
[[ " $* " != *" Environment "* ]] || { environment "${!#}" && exit; }
[[ " $* " != *" EnvironmentFiles "* ]] || { environment EnvironmentFiles && exit; }
case $1 in
start) start ;;
stop) stop ;;
restart) stop; start ;;
status) pid ;;
is-active) [[ "$*" != *@* ]] && pid > /dev/null ;;
# An instance is enabled and never runs.
show)
    case " $* " in
    *' UnitFileState '*) [[ -e $HOME/disabled ]] && echo disabled || echo enabled ;;
    *' ActiveState '*) [[ "$*" != *@* ]] && pid > /dev/null && echo active || echo inactive ;;
    *' ProtectHome '*) cat "$HOME/ProtectHome" 2> /dev/null || echo yes ;;
    *' IPAddressDeny '*) [[ -e $HOME/IPAddressAllow ]] && echo '::/0 0.0.0.0/0' || echo ;;
    *' IPAddressAllow '*) cat "$HOME/IPAddressAllow" 2> /dev/null || echo ;;
    *' MainPID '*) [[ "$*" != *@* ]] && pid || echo 0 ;;
    esac
    ;;
reload)
    MAINPID=$(pid)
    export MAINPID PATH
    before=$(lines)
    sed -n 's/^ExecReload=//p' "$HOME/mobeyed.service" | sed 's|^/usr/sbin/||' | while read -r line; do bash -euc "$line"; done
    says "$before" 'reload: .* applied'
    ;;
*) exit 1 ;;
esac
"""

JOURNALCTL = """#!/bin/bash
set -euo pipefail
tail -n 20 "$HOME/log"
"""

# Around the cluster, which has to know the same users: $1 is the private directory, the rest the command.
OUTSIDE = r"""
set -euo pipefail
home=$1
ip link set lo up
mount --make-rprivate /
cp -a /etc "$home/etc"
mount --bind "$home/etc" /etc
systemd-sysusers "$home/mobeyed.sysusers" "$home/mobeye-board.sysusers" > /dev/null 2>&1
exec "${@:2}"
"""

# Beside it; it stays until nobody holds its stdin. The sources, $2, stay where they are, below /tmp too.
INSIDE = r"""
set -euo pipefail
home=$1 root=$2
mount --make-rprivate /
mkdir "$home/root"
mount --bind "$root" "$home/root"
mkdir -p "$home/varlib/mobeyed"
mount --bind "$home/varlib" /var/lib
sockets=${MOBEYE_PG_DATA%/data}
chmod 755 "$sockets"
mkdir "$home/sockets"
mount --bind "$sockets" "$home/sockets"
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/postgresql /run/systemd/system
mount --move "$home/sockets" /run/postgresql
mount -t tmpfs -o mode=1777 tmpfs /tmp
[[ -d $root ]] || { mkdir -p "$root" && mount --bind "$home/root" "$root"; }
umount "$home/root"
rmdir "$home/root"
chown mobeyed: /var/lib/mobeyed
cd /
readlink /proc/self/ns/mnt
read -r _ || true
"""

FORGET = r"""
systemctl stop
systemctl stop mobeye-board.service
runuser -u postgres -- psql -qX -v ON_ERROR_STOP=1 << 'END'
select format('alter role %I password null', rolname) from pg_roles where rolname in ('mobeye_ingest', 'mobeye_board') \gexec
END
rm -rf /etc/mobeyed /etc/mobeye-board /var/lib/mobeyed/{*,.pg_service.conf} "$HOME"/board.* "$HOME"/*.environment "$HOME"/*.credential "$HOME"/disabled /etc/default/mobeyed
install -d -m 0750 -g mobeye-board /etc/mobeye-board
install -m 0640 -g mobeye-board "$1/mobeye-board.yaml" /etc/mobeye-board
install -d -m 0750 -g mobeyed /etc/mobeyed
install -m 0640 -g mobeyed "$1/mobeyed.yaml" "$1/clients.yaml" /etc/mobeyed
"""


class Machine:
    def __init__(self):
        if os.geteuid() != 0:
            pytest.skip("a machine of its own takes root")
        # Where the daemon's user finds the programs; its path has no directory that is root's alone.
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="machine.", dir="/var/tmp"))
        self.home.chmod(0o755)
        (self.home / "bin").mkdir()
        for file in MOBEYED, MOBEYECTL, BOARD:
            shutil.copy(file, self.home / "bin")
        (self.home / "bin/systemctl").write_text(SYSTEMCTL)
        (self.home / "bin/journalctl").write_text(JOURNALCTL)
        for file in (self.home / "bin").iterdir():
            file.chmod(0o755)
        # Debian's psql is a Perl script that looks for the cluster; there is one.
        (self.home / "bin/psql").symlink_to(program("psql"))
        for file in "systemd/mobeyed.service", "systemd/mobeyed.sysusers", "systemd/mobeye-board.sysusers":
            shutil.copy(ROOT / file, self.home)
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "MOBEYE_"))}
        self.environment = {**clean, "HOME": str(self.home), "LC_ALL": "C.UTF-8",
                            "PATH": f"{self.home}/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        self.process = subprocess.Popen(
            ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c",
             OUTSIDE, "machine", self.home, WITH_POSTGRES, "unshare", "--mount", "bash", "-c", INSIDE, "machine", self.home,
             ROOT],
            env={**clean, "MOBEYE_BUILD": str(BUILD), "MOBEYE_PG_AUTH": "debian", "MOBEYE_PG_TCP": "5432",
                 "MOBEYE_PG_FSYNC": "on", "MOBEYE_PG_MEMORY": os.environ.get("MOBEYE_PG_MEMORY", "")},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        namespace = self.process.stdout.readline().strip()
        assert namespace, "the machine did not start"
        self.pid = next(process.name for process in pathlib.Path("/proc").iterdir()
                        if process.name.isdigit() and self._namespace(process) == namespace)
        self.install()

    @staticmethod
    def _namespace(process):
        try:
            return os.readlink(process / "ns/mnt")
        except OSError:  # it has ended meanwhile
            return None

    def close(self):
        self.process.stdin.close()
        self.process.wait(120)
        shutil.rmtree(self.home)

    @property
    def etc(self):
        """/etc/mobeyed."""
        return self.home / "etc/mobeyed"

    def log(self):
        return (self.home / "log").read_text() if (self.home / "log").exists() else ""

    def start(self, *command, user="root", env=None):
        """A process there, with its output in one pipe."""
        # The machine's own runuser gives the user its groups.
        as_user = [] if user == "root" else ["runuser", "-u", user, "--"]
        return subprocess.Popen(["nsenter", "-t", self.pid, "-m", "-n", "-p", *as_user, *command],
                                env={**self.environment, **(env or {})}, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(self, *command, **how):
        """The finished process; its stdout has stderr in it."""
        process = self.start(*command, **how)
        output, _ = process.communicate(timeout=300)
        return subprocess.CompletedProcess(command, process.returncode, output)

    def must(self, *command, **how):
        """The output of a command that has to succeed."""
        done = self.run(*command, **how)
        assert done.returncode == 0, f"{command}: status {done.returncode}\n{done.stdout}\n--- log\n{self.log()[-5000:]}"
        return done.stdout

    def sql(self, statement, database="mobeye"):
        return self.must("psql", "-qAt", "-d", database, "-c", statement, user="postgres").strip()

    def install(self):
        """What the package puts into /etc/mobeyed, and nothing else; no database, no daemon."""
        self.forget()
        self.sql("drop database if exists mobeye with (force)", "postgres")

    def create_schema(self):
        """The database with an empty schema, as setup leaves it to the daemon; migrated once, then copied."""
        if self.sql("select count(*) from pg_database where datname = 'migrated'", "postgres") == "0":
            self.sql("create database migrated encoding 'UTF8' template template0", "postgres")
            self.must("mobeyectl", "migrate", "--db", "host=/run/postgresql dbname=migrated user=postgres")
        self.sql("create database mobeye template migrated", "postgres")

    def forget(self):
        """The same, but with the database of before."""
        self.must("bash", "-euc", FORGET, "forget", ROOT / "config")
