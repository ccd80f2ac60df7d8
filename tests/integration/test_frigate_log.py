"""What mobeye-frigate says in its log, its metrics and in doctor when something is wrong, and when all is well."""
import re
import shutil
import time

import pytest

from harness.curve import Key
from harness.frigate import Receiver, event
from harness.frigate_fixtures import *  # noqa: F401,F403
from harness.paths import free_port
from harness.wait import wait_until

pytestmark = pytest.mark.skipif(not shutil.which("mosquitto"), reason="mosquitto is not installed")


def wait_log(bridge, pattern):
    """The line of the log that matches, once there is one."""
    found = wait_until(lambda: re.search(f".*(?:{pattern}).*", bridge.log()), lambda: f"{pattern!r} in {bridge.log()[-3000:]}")
    return found[0]


# mobeyed.

def test_a_mobeyed_that_does_not_answer_is_named_with_what_to_check(bridges, frigate, receiver, context, tmp_path):
    """Nothing listens, an HTTP server listens, the key is another's, nothing is answered: all at once, for the 10 s."""
    server, port = Key(), free_port()
    closed, other = Receiver(context, "tcp://127.0.0.1:*", server), f"tcp://127.0.0.1:{port}"
    receiver.word = None
    frigate.know(event(1, start=time.time() - 60, end=time.time() - 50))
    try:
        nobody = bridges(broker=None, to=[other]).start()
        http = bridges(broker=None, to=[f"tcp://127.0.0.1:{frigate.port}"]).start()
        key = bridges(broker=None, to=[closed.address], server_key=Key().public,
                      client_key=str(Key().write(tmp_path / "client.key"))).start()
        silent = bridges(broker=None).start()
        both = bridges(broker=None, to=[other, f"tcp://127.0.0.1:{frigate.port}"]).start()
        line = wait_log(nobody, "does not answer; ")
        assert f"warning mobeyed: {other} does not answer; 2 alerts wait (is mobeyed running, is this the address" in line
        assert "does it require CURVE (server_key, client_key)?" in wait_log(http, "does not answer; ")
        assert "is server_key that of mobeyed, is the client key on its client list" in wait_log(key, "does not answer; ")
        assert "it is connected: is this a router endpoint" in wait_log(silent, "does not answer; ")
        assert f"neither {other} nor tcp://127.0.0.1:{frigate.port} answers; 2 alerts wait" in wait_log(both, "neither")
        assert nobody.metric("mobeyed_silent_seconds") >= 10 and nobody.metric("mobeyed_connected") == 0
        late = Receiver(context, other)
        try:
            assert f"info    mobeyed: connected to {other}" in wait_log(nobody, "mobeyed: connected to")
            nobody.wait_metric("waiting", 0)
            nobody.wait_metric("mobeyed_silent_seconds", 0)
        finally:
            late.close()
    finally:
        closed.close()
