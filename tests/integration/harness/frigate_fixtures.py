"""The fixtures of the tests of mobeye-frigate: a Frigate, its broker, a receiver in place of mobeyed, and bridges."""
import pytest

from .frigate import Bridge, Broker, FrigateServer, Receiver


@pytest.fixture
def frigate():
    made = FrigateServer()
    yield made
    made.stop()


@pytest.fixture
def broker():
    made = Broker()
    yield made
    made.close()


@pytest.fixture
def receiver(context, tmp_path_factory):
    made = Receiver(context, f"ipc://{tmp_path_factory.mktemp('r')}/door")
    yield made
    made.close()


@pytest.fixture
def bridges(frigate, broker, receiver):
    """bridges(**keys) makes a Bridge that follows them, which does not run yet."""
    made = []

    def make(to=None, broker=broker, **keys):
        made.append(Bridge(to or [receiver.address], frigate, broker, **keys))
        return made[-1]

    yield make
    wrong = [what for one in made for what in one.dispose()]
    assert not wrong


@pytest.fixture
def bridge(bridges):
    made = bridges().start()
    made.wait_following()
    return made
