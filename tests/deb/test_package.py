"""The Debian package: installed, upgraded, removed and purged in a separate Debian; requires root, mmdebstrap and a
mirror."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest

from conftest import ROOT, run

FILE = "etc/mobeyed/mobeyed.yaml"


@pytest.fixture(scope="module")
def older(package, tmp_path_factory):
    """The same as an older version, with another sample configuration."""
    directory = tmp_path_factory.mktemp("older")
    run("dpkg-deb", "-R", package, directory / "tree")
    control = directory / "tree/DEBIAN/control"
    control.write_text(re.sub(r"^Version: .*$", "Version: 0.0.1", control.read_text(), flags=re.M))
    sample = directory / "tree" / FILE
    sample.write_text(sample.read_text() + "# of an older version\n")
    run("dpkg-deb", "--root-owner-group", "-b", directory / "tree", directory / "mobeyed_0.0.1.deb")
    return directory / "mobeyed_0.0.1.deb"


class Debian:
    """A minimal Debian in a directory, without services."""

    def __init__(self, root):
        self.root = root

    def run(self, *command):
        # Maintainer scripts want a PATH and /proc, and nobody wants to be asked.
        return run("unshare", "--mount", "--pid", "--fork", "--kill-child", f"--root={self.root}", "--mount-proc", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8",
                   "DEBIAN_FRONTEND=noninteractive", *command)

    def install(self, deb):
        shutil.copy(deb, self.root / "tmp" / deb.name)
        return self.run("dpkg", "--force-unsafe-io", "--force-confdef", "--force-confold", "-i", f"/tmp/{deb.name}")

    def stat(self, path):
        return self.run("stat", "-c", "%a %U:%G", f"/{path}").strip()

    def has(self, path):
        return (self.root / path).is_symlink() or (self.root / path).exists()


@pytest.fixture(scope="module")
def template(package):
    if os.geteuid() != 0 or not shutil.which("mmdebstrap"):
        pytest.skip("a Debian of its own takes root and mmdebstrap")
    depends = run("dpkg-deb", "-f", package, "Depends")
    names = [re.split(r"[ (|]", one.strip())[0] for one in depends.split(",")]
    suite = re.search(r"^VERSION_CODENAME=(\w+)", pathlib.Path("/etc/os-release").read_text(), re.M)[1]
    sources = [path for path in ("/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list") if os.path.exists(path)]
    directory = pathlib.Path(tempfile.mkdtemp(prefix="mobeyed-debian.", dir="/var/tmp"))
    try:
        done = subprocess.run(["mmdebstrap", "--quiet", "--mode=root", "--variant=apt",
                               "--dpkgopt=force-unsafe-io", "--include=" + ",".join(names), suite,
                               directory / "root", *sources[:1]], text=True, capture_output=True)
        if done.returncode != 0 and re.search(r"Could not (resolve|connect)|Temporary failure", done.stderr):
            pytest.skip("no mirror of Debian can be reached")
        assert done.returncode == 0, done.stderr
        yield directory
    finally:
        subprocess.run(["rm", "-rf", "--one-file-system", directory], check=True)


@pytest.fixture
def debian(template):
    """Used by one test after another; each finds nothing of the package but its users."""
    made = Debian(template / "root")
    yield made
    made.run("dpkg", "-P", "mobeyed")
    for path in "etc/mobeyed", "var/lib/mobeyed":
        shutil.rmtree(made.root / path, ignore_errors=True)


def test_it_is_built_with_what_run_installs():
    packages = re.search(r"^base_packages=\((.*?)^\)", (ROOT / "run").read_text(), re.M | re.S)[1].split()
    control = (ROOT / "config/debian/control").read_text()
    wanted = {name for name in packages if name.endswith("-dev")}
    listed = set(re.findall(r"\b(lib[a-z0-9.+-]+-dev)\b", control))
    assert wanted == listed


def test_everything_is_in_it(package):
    listed = run("dpkg-deb", "-c", package)
    paths = {line.split(None, 5)[5].removeprefix("./") for line in listed.splitlines()}
    wanted = {"usr/sbin/mobeyed", "usr/bin/mobeyectl", FILE, "lib/systemd/system/mobeyed.service",
              "lib/systemd/system/mobeyed@.service", "lib/systemd/system/mobeyectl-watch@.service",
              "usr/lib/sysusers.d/mobeyed.conf", "usr/lib/tmpfiles.d/mobeyed.conf",
              "usr/share/mobeyed/prometheus/mobeyed.rules.yml", "usr/share/doc/mobeyed/copyright",
              "usr/share/doc/mobeyed/changelog.gz", "usr/share/bash-completion/completions/mobeyectl",
              "usr/share/bash-completion/completions/mobeyed"}
    wanted |= {f"usr/share/doc/mobeyed/{name}.md.gz" for name in ("GUIDE", "config", "sql", "metrics")}
    wanted |= {f"usr/share/man/man{page.suffix[1:]}/{page.name}.gz" for page in (ROOT / "config/man").iterdir()
               if page.stem in ("mobeyed", "mobeyectl", "mobeyed.yaml")}
    wanted |= {f"usr/share/doc/mobeyed/examples/scenarios/{file.name}"
               for pattern in ("*.scn", "*.yaml") for file in (ROOT / "tests/scenario").glob(pattern)}
    wanted |= {f"usr/share/doc/mobeyed/examples/registry/{name}"
               for name in ("people.csv", "teams.csv", "wijken.geojson", "beats.geojson", "hotspots.geojson")}
    wanted |= {f"usr/share/mobeyed/qgis/{name}" for name in ("patrol.qgz", "registry.qgz", "pg_service.conf")}
    wanted |= {"usr/share/doc/mobeyed/examples/qgis/generate", "usr/share/doc/mobeyed/examples/camera-bridge.py",
               "usr/share/doc/mobeyed/producer.py",
               "usr/share/mobeyed/watch/ntfy.template", "usr/share/mobeyed/grafana/mobeyed.json"}
    assert wanted - paths == set()
    assert not [path for path in paths if path.startswith(("usr/include", "usr/local", "usr/lib/x86"))]


def files(deb):
    return {line.split(None, 5)[5].removeprefix("./") for line in run("dpkg-deb", "-c", deb).splitlines()}


def test_what_belongs_to_frigate_is_in_a_package_of_its_own(package, frigate_package):
    wanted = {"usr/sbin/mobeye-frigate", "etc/mobeye-frigate/mobeye-frigate.yaml", "lib/systemd/system/mobeye-frigate.service",
              "usr/lib/sysusers.d/mobeye-frigate.conf", "usr/share/man/man8/mobeye-frigate.8.gz",
              "usr/share/bash-completion/completions/mobeye-frigate", "usr/share/doc/mobeyed-frigate/copyright"}
    assert wanted - files(frigate_package) == set()
    assert not [path for path in files(package) if "mobeye-frigate" in path]
    assert "mobeyed" not in run("dpkg-deb", "-f", frigate_package, "Depends")  # it may run on a machine without it


def test_what_belongs_to_the_board_is_in_a_package_of_its_own(package, board_package):
    wanted = {"usr/sbin/mobeye-board", "etc/mobeye-board/mobeye-board.yaml", "lib/systemd/system/mobeye-board.service",
              "usr/lib/sysusers.d/mobeye-board.conf", "usr/share/man/man8/mobeye-board.8.gz",
              "usr/share/bash-completion/completions/mobeye-board", "usr/share/doc/mobeyed-board/copyright",
              "usr/share/doc/mobeyed-board/nginx.conf", "usr/share/doc/mobeyed-board/apache.conf"}
    assert wanted - files(board_package) == set()
    assert not [path for path in files(package) if "mobeye-board" in path]
    assert not re.search(r"\bmobeyed\b", run("dpkg-deb", "-f", board_package, "Depends"))


def test_the_board_is_installed_without_a_start(debian, board_package):
    """Its libraries are among those of the daemon. Without its login and a proxy it would only fail."""
    debian.install(board_package)
    try:
        assert debian.run("id", "-un", "mobeye-board").strip() == "mobeye-board"
        assert debian.stat("etc/mobeye-board") == "750 root:mobeye-board"
        assert debian.stat("etc/mobeye-board/mobeye-board.yaml") == "640 root:mobeye-board"
        assert not debian.has("etc/systemd/system/multi-user.target.wants/mobeye-board.service")
        debian.run("runuser", "-u", "mobeye-board", "--", "/usr/sbin/mobeye-board", "--check")
        (debian.root / "etc/mobeye-board/pgpass").write_text("secret")
    finally:
        said = debian.run("dpkg", "-P", "mobeyed-board")
    assert "/etc/mobeye-board was not removed" in said and not debian.has("etc/mobeye-board/mobeye-board.yaml")
    shutil.rmtree(debian.root / "etc/mobeye-board")


def test_a_fresh_install_is_ready_to_run(debian, package):
    debian.install(package)
    assert debian.run("id", "-un", "mobeyed").strip() == "mobeyed"
    assert debian.stat("etc/mobeyed") == "750 root:mobeyed"
    assert debian.stat(FILE) == debian.stat("etc/mobeyed/clients.yaml") == "640 root:mobeyed"
    assert debian.stat("var/lib/mobeyed") == "750 mobeyed:mobeyed"
    assert debian.has("etc/systemd/system/multi-user.target.wants/mobeyed.service")
    # As the daemon's user, that is: it reads its own file.
    debian.run("runuser", "-u", "mobeyed", "--", "/usr/sbin/mobeyed", "--check")
    assert debian.run("mobeyectl", "--version").startswith("mobeyectl ")
    assert "libzmq" in debian.run("mobeyed", "--version")
    # Not for others.
    refused = subprocess.run(["chroot", debian.root, "runuser", "-u", "nobody", "--", "cat", f"/{FILE}"],
                             capture_output=True)
    assert refused.returncode != 0


def test_an_upgrade_keeps_what_was_set(debian, older, package):
    debian.install(older)
    file = debian.root / FILE
    file.write_text(file.read_text().replace("amersfoort-1", "leusden-1"))
    debian.run("chmod", "0600", f"/{FILE}")
    debian.run("chown", "mobeyed:mobeyed", f"/{FILE}")
    segment = debian.root / "var/lib/mobeyed/journal/segment"
    segment.parent.mkdir()
    segment.write_text("alerts")
    debian.install(package)
    assert "leusden-1" in file.read_text() and "# of an older version" in file.read_text()
    assert debian.has(f"{FILE}.dpkg-dist")
    assert debian.stat(FILE) == "600 mobeyed:mobeyed"
    assert segment.read_text() == "alerts"
    assert debian.has("etc/systemd/system/multi-user.target.wants/mobeyed.service")


def test_an_untouched_file_is_brought_up_to_date(debian, older, package):
    debian.install(older)
    debian.install(package)
    assert "# of an older version" not in (debian.root / FILE).read_text()
    assert debian.stat(FILE) == "640 root:mobeyed"


def test_remove_leaves_the_settings_and_purge_leaves_alerts(debian, package):
    debian.install(package)
    segment = debian.root / "var/lib/mobeyed/journal/segment"
    segment.parent.mkdir()
    segment.write_text("alerts that no database has")
    (debian.root / "etc/mobeyed/server.key").write_text("secret")
    debian.run("dpkg", "-r", "mobeyed")
    assert debian.has(FILE) and not debian.has("usr/sbin/mobeyed") and not debian.has("lib/systemd/system/mobeyed.service")
    said = debian.run("dpkg", "-P", "mobeyed")
    assert not debian.has(FILE) and segment.exists() and debian.has("etc/mobeyed/server.key")
    assert "/var/lib/mobeyed was not removed" in said and "/etc/mobeyed was not removed" in said
    assert not debian.has("etc/systemd/system/multi-user.target.wants/mobeyed.service")
    # And it comes back on top of it.
    debian.install(package)
    assert debian.stat(FILE) == "640 root:mobeyed" and segment.exists()


def test_a_purge_of_nothing_leaves_nothing(debian, package):
    debian.install(package)
    debian.run("dpkg", "-P", "mobeyed")
    for path in "etc/mobeyed", "var/lib/mobeyed", "usr/share/mobeyed", "usr/share/doc/mobeyed":
        assert not debian.has(path), path
