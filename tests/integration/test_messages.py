"""The table of messages over the wire: each gets the reply it says, and is in the database with its flags."""
import importlib.util

from harness.paths import MESSAGES
from harness.peers import Dealer


def table():
    spec = importlib.util.spec_from_file_location("messages", MESSAGES / "messages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.load()


def wrong_replies(messages, replies):
    for message, reply in zip(messages, replies):
        if message.accept:
            if (reply.word, reply.id) != (b"ACK", message.id):
                yield f"{message.name}: ACK {message.id} expected, got {reply}"
            continue
        code, field, reason = (reply.detail.decode().split(": ", 2) + ["", ""])[:3]
        if (reply.word, code) != (b"REJECT", message.code) or not reason:
            yield f"{message.name}: REJECT {message.code} expected, got {reply}"
        elif message.field and field != message.field:
            yield f"{message.name}: field {message.field} expected, got {reply}"
        elif reply.id != message.id:
            yield f"{message.name}: id {message.id} expected, got {reply}"


def test_every_message_of_the_table_is_answered_and_stored_as_it_says(context, database, daemons):
    daemon = daemons(database.ingest, more="bounds: [3.2, 50.7, 7.3, 53.6]\n").start()
    messages = table()
    assert len(messages) >= 150
    dealer = Dealer(context, daemon.address(), delimiter=True)  # so that an empty payload is one
    replies = [dealer.ask(message.bytes) for message in messages]
    assert list(wrong_replies(messages, replies)) == []

    daemon.wait_drained()
    rows = database.rows("select journal_seq, event_id, flags from patrol.alerts")
    stored = {seq: (event, set(flags)) for seq, event, flags in rows}
    accepted = {message.id: (message, reply.seq) for message, reply in reversed(list(zip(messages, replies)))
                if message.accept}  # of equal ids the first
    assert set(stored) == {seq for _, seq in accepted.values()}
    off = [f"{message.name}: {sorted(message.flags)} expected, {stored[seq]} stored"
           for message, seq in accepted.values() if stored[seq] != (message.id.decode(), message.flags)]
    assert off == []
    metrics = daemon.metrics()
    assert metrics.total("quarantined_total") == 0
    for code in ("malformed", "invalid", "too_large"):
        assert metrics.total("rejected_total", code=code) == sum(message.code == code for message in messages), code
