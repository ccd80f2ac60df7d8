"""A small file system for one test, whose power can be cut. The mounts are in a namespace of the test process: they end
with it, however it ends, and so do their loop devices."""
import ctypes
import errno
import fcntl
import functools
import os
import shutil
import struct
import subprocess

import pytest

CLONE_NEWNS = 0x00020000
FS_IOC_SHUTDOWN = 0x8004587D
SHUTDOWN_NOLOGFLUSH = 2
# The least that mkfs.xfs makes.
SIZE_MIB = {"tmpfs": 64, "ext4": 64, "xfs": 304}


@functools.cache
def why_no_mounts():
    """Moves this process to its own mount namespace; says why it cannot."""
    if os.geteuid() != 0:
        return "needs root, to mount a file system"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        return f"cannot have mounts of its own here: {os.strerror(ctypes.get_errno())}"
    made = subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True, text=True)
    return made.stderr.strip() if made.returncode != 0 else None


class Disk:
    def __init__(self, kind, directory):
        why = why_no_mounts()
        if why is None and kind != "tmpfs" and shutil.which("mkfs." + kind) is None:
            why = f"mkfs.{kind} is not installed"
        if why:
            pytest.skip(f"a disk with {kind}: {why}")
        self.kind = kind
        self.path = directory / "disk"
        self.path.mkdir()
        self.image = directory / "image"
        self.filler = self.path / "filler"
        if kind != "tmpfs":
            with self.image.open("wb") as image:
                image.truncate(SIZE_MIB[kind] << 20)
            subprocess.run(["mkfs." + kind, "-q", self.image], check=True, capture_output=True, timeout=60)
        self.mounted = False
        made = self._mount()
        if made.returncode != 0:
            pytest.skip(f"a disk with {kind} cannot be mounted here: {made.stderr.strip()}")

    def _mount(self):
        source = ["-o", f"size={SIZE_MIB['tmpfs']}m", "tmpfs"] if self.kind == "tmpfs" else ["-o", "loop", self.image]
        made = subprocess.run(["mount", "-t", self.kind, *source, self.path], capture_output=True, text=True, timeout=60)
        self.mounted = made.returncode == 0
        return made

    def cut_power(self):
        """Nothing reaches the disk any more; what was not flushed to it is lost."""
        fd = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, FS_IOC_SHUTDOWN, struct.pack("I", SHUTDOWN_NOLOGFLUSH))
        finally:
            os.close(fd)

    def power_on(self):
        self.unmount()
        self._mount()
        assert self.mounted, "what the cut left cannot be mounted"

    def unmount(self):
        if self.mounted:
            subprocess.run(["umount", self.path], check=True, timeout=60)
            self.mounted = False

    def fill(self):
        """Uses up all remaining space."""
        with self.filler.open("wb") as filler:
            taken = 0
            for step in (1 << 20, 1 << 12):
                try:
                    while True:
                        os.posix_fallocate(filler.fileno(), taken, step)
                        taken += step
                except OSError as error:
                    assert error.errno == errno.ENOSPC, error
        assert taken > 0

    def free(self):
        self.filler.unlink()

    def close(self):
        # A daemon that a failed test left behind may hold it; it goes when that one does.
        if self.mounted:
            subprocess.run(["umount", "--lazy", self.path], check=True, timeout=60)
            self.mounted = False


@pytest.fixture
def disk(request, tmp_path):
    """A disk of the kind that the test is parametrized with. To be named before `daemons`, which end first then."""
    made = Disk(request.param, tmp_path)
    yield made
    made.close()
    shutil.rmtree(tmp_path)
