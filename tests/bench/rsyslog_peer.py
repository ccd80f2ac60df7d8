"""rsyslog with imczmq and ompgsql, to be compared with: it takes each message and stores its text, no more.

Its packages are unpacked in the build's folder peers/ and not installed: as a package, rsyslog is a service that would take over
the machine's log, and rsyslog-pgsql makes a database."""
import contextlib
import pathlib
import subprocess
import sys
import tempfile

import databases
from daemons import POLL

PEERS = databases.BUILD / "peers"
PACKAGES = ("rsyslog", "rsyslog-czmq", "rsyslog-pgsql")
CONFIG = """
global(workDirectory="{directory}" maxMessageSize="64k")
module(load="imczmq")
module(load="ompgsql")
template(name="row" type="string" option.stdsql="on"
         string="insert into alert (received_at, payload) values ('%timegenerated:::date-pgsql%', '%rawmsg%')")
input(type="imczmq" endpoints="@{endpoint}" socktype="PULL" ruleset="store")
ruleset(name="store" queue.type="LinkedList" queue.size="{count}") {{
    action(type="ompgsql" server="{host}" port="{port}" user="postgres" pass="" db="{database}" template="row")
}}
"""


class Unavailable(Exception):
    """Why the peer cannot be measured here."""


def run(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options).stdout


def find(pattern):
    """A file of the packages, unpacked or installed."""
    for root in (PEERS, pathlib.Path("/")):
        found = sorted(root.glob(pattern))
        if found:
            return found[0]
    return None


def programs():
    """rsyslogd and the folders of its modules, or None."""
    daemon, zmq, core = find("usr/sbin/rsyslogd"), find("usr/lib/*/rsyslog/imczmq.so"), find("usr/lib/*/rsyslog/lmnet.so")
    postgresql = find("usr/lib/*/rsyslog/ompgsql.so")
    if not (daemon and zmq and core and postgresql):
        return None
    return daemon, sorted({str(module.parent) for module in (zmq, core, postgresql)})


def unpack():
    """Fetches the packages that this machine lacks, in the open; needs no root."""
    if programs():
        return
    print(f"bench: fetching {', '.join(PACKAGES)} and their libraries into {PEERS}", file=sys.stderr)
    try:
        plan = run("apt-get", "install", "--simulate", "--no-install-recommends", *PACKAGES)
        wanted = [line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")]
        with tempfile.TemporaryDirectory(dir=databases.BUILD, prefix="bench.debs.") as debs:
            run("apt-get", "-o", "APT::Sandbox::User=root", "download", *wanted, cwd=debs)
            PEERS.mkdir(exist_ok=True)
            for deb in pathlib.Path(debs).glob("*.deb"):
                run("dpkg-deb", "--extract", deb, PEERS)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        raise Unavailable(f"its packages could not be fetched: {reason[-1] if reason else error}") from error
    if not programs():
        raise Unavailable(f"the packages of this Debian have no imczmq or no ompgsql ({' '.join(wanted)})")


@contextlib.contextmanager
def rsyslog(directory, endpoint, database, count):
    """Receives on the endpoint by PULL and stores in table alert of the database; a full queue would lose messages."""
    daemon, modules = programs()
    directory = pathlib.Path(directory)
    config, log = directory / "rsyslog.conf", open(directory / "rsyslog.log", "w+")
    _, host, port = (part.split("=")[-1] for part in ("", *databases.conninfo(database).split()[:2]))
    config.write_text(CONFIG.format(directory=directory, endpoint=endpoint, host=host, port=port, database=database,
                                    count=count))
    libraries = ":".join(str(path) for path in PEERS.glob("usr/lib/*") if path.is_dir())
    process = subprocess.Popen(
        [daemon, "-n", "-f", config, "-i", directory / "pid", "-M", ":".join(modules)],
        stdout=log, stderr=log, env={"LD_LIBRARY_PATH": libraries, "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    try:
        socket = pathlib.Path(endpoint.removeprefix("ipc://"))
        while not socket.exists():
            if process.poll() is not None:
                raise Unavailable(f"rsyslogd ended with {process.returncode}: {pathlib.Path(log.name).read_text()[-400:]}")
            POLL.wait(0.02)
        yield process
    finally:
        process.kill()
        process.wait()
        log.close()
