"""The package, for all tests of this folder. MOBEYE_DEB names a directory that has it already."""
import os
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MADE = os.environ.get("MOBEYE_DEB")


def run(*command, **options):
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="session")
def packages(tmp_path_factory):
    """The directory of the .debs of this checkout; building them fails if lintian finds something wrong."""
    directory = pathlib.Path(MADE) if MADE else tmp_path_factory.mktemp("deb")
    if not MADE:
        for tool in "dpkg-buildpackage", "dh", "lintian":
            if not shutil.which(tool):
                pytest.skip(f"{tool} is not installed")
        run(ROOT / "config/debian/build", directory, env={**os.environ, "MOBEYE_JOBS": "2", "DEB_BUILD_OPTIONS": "noautodbgsym"})
    return directory


@pytest.fixture(scope="session")
def package(packages):
    (deb,) = packages.glob("mobeyed_*.deb")
    return deb


@pytest.fixture(scope="session")
def frigate_package(packages):
    (deb,) = packages.glob("mobeyed-frigate_*.deb")
    return deb


@pytest.fixture(scope="session")
def board_package(packages):
    (deb,) = packages.glob("mobeyed-board_*.deb")
    return deb
