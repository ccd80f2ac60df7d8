"""Where the programs under test and the sources are."""
import os
import pathlib
import socket
import random

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("MOBEYE_BUILD", ROOT / "build")).resolve()
MOBEYED = BUILD / "mobeyed"
MOBEYECTL = BUILD / "mobeyectl"
BRIDGE = BUILD / "mobeye-frigate"
BOARD = BUILD / "mobeye-board"
CLIENT = BUILD / "tests" / "integration_client"
WITH_POSTGRES = ROOT / "tests" / "with-postgres"
MESSAGES = ROOT / "tests" / "messages"
TSAN_SUPPRESSIONS = ROOT / "tests" / "tsan.supp"


def sanitized():
    """Whether the daemon is built with AddressSanitizer: then its memory figures are meaningless."""
    return b"__asan_init" in MOBEYED.read_bytes()


def free_port():
    """A TCP port below the range that the kernel gives to connections, so that none takes it in between."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
