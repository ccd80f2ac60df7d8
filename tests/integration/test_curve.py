"""CURVE: who is admitted, who is not, and what a client may report for; on real connections, through reloads."""
import datetime
import stat
import subprocess

import pytest
import zmq
from harness import portal
from harness.alerts import alert, alerts, encode
from harness.curve import Key, Site
from harness.daemon import mobeyectl
from harness.images import jpeg
from harness.paths import MOBEYED
from harness.peers import Dealer
from harness.wait import wait_until

ALL = ["*"]
FRAME_MAX = 8 * 1024 * 1024


@pytest.fixture
def site(database, daemons):
    return Site(daemons(database.ingest))


def binds(socket, port):
    try:
        socket.bind(f"tcp://127.0.0.1:{port}")
    except zmq.ZMQError as e:
        assert e.errno == zmq.EADDRINUSE
        return False
    return True


def stays_unheard(peer, daemon):
    """What was sent is not there, though others are served meanwhile. Asked of the counters, not of the clock."""
    assert not peer.socket.poll(0)
    assert daemon.metric("received_total") == daemon.metric("journaled_total") + daemon.metric("rejected_total")


def test_a_client_on_the_list_gets_in(context, site, database):
    gateway = site.client()
    site.start(gateway=(gateway, ALL))
    dealer = Dealer(context, site.daemon.address(), curve=gateway)
    dealer.deliver(alerts(200))
    site.daemon.wait_drained()
    assert database.stored() == 200
    assert Dealer(context, site.daemon.address(), delimiter=True, curve=gateway).ask(alert("req")).word == b"ACK"


def test_a_key_that_is_not_on_the_list_gets_nothing_in(context, site):
    good, stranger = site.client(), site.client()
    site.start(good=(good, ALL))
    outside = Dealer(context, site.daemon.address(), curve=stranger)
    outside.send(alert("never"))
    site.refused(endpoint="door", reason="unknown")
    assert Dealer(context, site.daemon.address(), curve=good).ask(alert("good")).word == b"ACK"
    stays_unheard(outside, site.daemon)
    assert site.daemon.metric("received_total") == 1
    assert site.daemon.wait_log("denied a peer from .*127.0.0.1: its key is not on the client list")


def test_neither_plain_peers_nor_another_server_key_get_in(context, site):
    good, misled = site.client(), Key(Key())
    site.start(good=(good, ALL), misled=(misled, ALL))
    plain, wrong = Dealer(context, site.daemon.address()), Dealer(context, site.daemon.address(), curve=misled)
    for peer in (plain, wrong):
        peer.send(alert("never"))
    dealer = Dealer(context, site.daemon.address(), curve=good)
    dealer.deliver(alerts(100))
    assert site.daemon.metric("received_total") == 100
    assert not plain.socket.poll(0) and not wrong.socket.poll(0)


@pytest.mark.parametrize("stale", [False, True])
def test_a_sender_that_cannot_connect_is_counted_and_named(context, site, stale):
    """After CURVE or another server key was introduced, this applies to all senders. One without CURVE tries once."""
    site.start()
    peer = Dealer(context, site.daemon.address(), curve=Key(Key()) if stale else None)
    peer.send(alert("never"))
    site.refused(count=3 if stale else 1, endpoint="door", reason="curve")
    site.daemon.wait_log("endpoint door: denied a peer from .*: it uses no CURVE, or not the present public key of this daemon")
    if stale:
        site.daemon.wait_log(r"endpoint door: denied a peer from \S*127\.0\.0\.1\S*: it uses no CURVE")
    # Between two attempts from its address there may be one whose address was not read in time.
    said = [line.split(" ", 1)[1] for line in site.daemon.lines("denied a peer")]
    assert all(one != following for one, following in zip(said, said[1:])), "an attempt like the one before is only counted"


def test_a_client_that_is_refused_comes_in_by_itself_once_it_is_listed(context, site):
    good, late = site.client(), site.client()
    site.start(good=(good, ALL))
    dealer = Dealer(context, site.daemon.address(), curve=late)
    dealer.send(alert("held"))
    site.refused(reason="unknown")
    site.reload(good=(good, ALL), late=(late, ALL))
    assert dealer.reply().word == b"ACK"


def test_a_key_that_is_revoked_is_refused_on_its_live_connection(context, site, database):
    kept, revoked = site.client(), site.client()
    site.start(kept=(kept, ALL), revoked=(revoked, ALL))
    stays, goes = (Dealer(context, site.daemon.address(), curve=key) for key in (kept, revoked))
    assert stays.ask(alert("one")).word == b"ACK" and goes.ask(alert("two")).word == b"ACK"
    site.reload(kept=(kept, ALL))
    reply = goes.ask(alert("three"))
    assert reply == (b"REJECT", b"three", b"forbidden: client: the key of revoked is not on the client list")
    assert goes.ask(b"nonsense").word == b"REJECT"
    assert stays.ask(alert("four")).word == b"ACK"
    assert site.daemon.metric("rejected_total", code="forbidden") == 2
    site.daemon.wait_drained()
    assert database.stored() == 3
    site.reload(kept=(kept, ALL), revoked=(revoked, ALL))
    assert goes.ask(alert("five")).word == b"ACK"


def test_another_key_for_the_same_name_revokes_the_old_one(context, site):
    old, new = site.client(), site.client()
    site.start(gateway=(old, ALL))
    before = Dealer(context, site.daemon.address(), curve=old)
    assert before.ask(alert("one")).word == b"ACK"
    site.reload(gateway=(new, ALL))
    assert before.ask(alert("two")).detail.startswith(b"forbidden: client: ")
    assert Dealer(context, site.daemon.address(), curve=new).ask(alert("three")).word == b"ACK"


def utc_now():
    """By the timezone of the site."""
    return datetime.datetime.now(datetime.timezone.utc)


def test_a_key_holds_until_the_end_of_its_last_day(context, site):
    wait_until(lambda: utc_now().hour < 23 or utc_now().minute < 58, "a new day, if this one is about to end", timeout=180)
    today = utc_now().date()
    yesterday = today - datetime.timedelta(days=1)
    over, last, live = site.client(), site.client(), site.client()
    site.start(over=(over, ALL, yesterday), last=(last, ALL, today), live=(live, ALL, today))
    connected = Dealer(context, site.daemon.address(), curve=live)
    assert Dealer(context, site.daemon.address(), curve=last).ask(alert("last")).word == b"ACK"
    assert connected.ask(alert("live")).word == b"ACK"
    late = Dealer(context, site.daemon.address(), curve=over)
    late.send(alert("over"))
    site.refused(reason="expired")
    assert site.daemon.wait_log("denied client over from .*: its key has expired")
    site.reload(last=(last, ALL, today), live=(live, ALL, yesterday))
    reply = connected.ask(alert("late"))
    assert reply == (b"REJECT", b"late", b"forbidden: client: the key of live has expired")


def test_a_client_reports_for_its_own_devices_only(context, site, database):
    gateway = site.client()
    site.start(gateway=(gateway, ["NL-0307-*", "NL-9999-0000[12]"]))
    dealer = Dealer(context, site.daemon.address(), curve=gateway)
    for device, word in (("NL-0307-00042", b"ACK"), ("NL-9999-00002", b"ACK"), ("NL-9999-00003", b"REJECT"),
                         ("NL-0308-00042", b"REJECT"), ("XNL-0307-1", b"REJECT")):
        reply = dealer.ask(alert(device, device=device))
        assert (reply.word, reply.id) == (word, device.encode())
        assert word == b"ACK" or reply.detail == b"forbidden: device: gateway may not report for this device"
    site.reload(gateway=(gateway, ["NL-0308-*"]))
    assert dealer.ask(alert("moved", device="NL-0308-00042")).word == b"ACK"
    assert dealer.ask(alert("gone", device="NL-0307-00042")).word == b"REJECT"
    site.daemon.wait_drained()
    assert database.stored() == 3


def test_a_client_uses_its_own_sources_only(context, site, database):
    gateway = site.client()
    site.clients.sources["gateway"] = ["/gw-7/*", "/gw-8"]
    site.start(gateway=(gateway, ALL))
    dealer = Dealer(context, site.daemon.address(), curve=gateway)
    for source, word in (("/gw-7/1", b"ACK"), ("/gw-8", b"ACK"), ("/gw-9", b"REJECT"), ("/gw-8/1", b"REJECT"),
                         ("dc09:1234", b"REJECT")):
        reply = dealer.ask(alert(source, source=source))
        assert (reply.word, reply.id) == (word, source.encode())
        assert word == b"ACK" or reply.detail.startswith(b"forbidden: source: ")
    site.clients.sources["gateway"] = ["/gw-9"]
    site.reload(gateway=(gateway, ALL))
    assert dealer.ask(alert("now", source="/gw-9")).word == b"ACK"
    assert dealer.ask(alert("gone", source="/gw-8")).detail == b"forbidden: source: gateway may not use this source"
    site.daemon.wait_drained()
    assert database.stored() == 3


def test_check_warns_of_a_client_that_may_use_any_source(site):
    gateway = site.client()
    site.daemon.write()
    site.clients.file.write_text(f'clients: [{{name: gw, key: "{gateway.public}", devices: ["NL-*"]}}]\n')
    done = subprocess.run([MOBEYED, "--check", "-c", site.daemon.file], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert f"{site.clients.file}:1:11: warning: clients.gw.sources: is not set" in done.stdout + done.stderr


def test_what_is_malformed_is_told_as_such(context, site):
    gateway = site.client()
    site.start(gateway=(gateway, ["NL-0307-*"]))
    reply = Dealer(context, site.daemon.address(), curve=gateway).ask(b"{")
    assert reply.word == b"REJECT" and reply.detail.startswith(b"malformed: ")


def frame_of(body):
    return portal.wrap(portal.build(body + portal.stamp()))


def test_a_frame_of_8_mib_is_answered_and_a_larger_one_cuts_the_connection(context, site, database):
    gateway = site.client()
    site.start(gateway=(gateway, ALL))
    dealer = Dealer(context, site.daemon.address(), curve=gateway)
    assert dealer.ask(alert("image"), jpeg(FRAME_MAX)).word == b"ACK"
    assert dealer.ask(bytes(FRAME_MAX)).word == b"REJECT"
    database.wait_stored(1)
    assert database.rows("select flags from patrol.alerts") == [(["bad_image"],)]
    monitor = dealer.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    dealer.send(bytes(FRAME_MAX + 1))
    assert monitor.poll(60000), "the connection is cut"
    dealer.socket.disable_monitor()


def test_dc09_frames_are_for_accounts_and_inputs(context, site, database):
    panels = site.client()
    site.daemon.conf.set(endpoints=[site.endpoint(format="sia-dc09")])
    site.start(panels=(panels, ["dc09:1234", "dc09:1234/[12]"]))
    dealer = Dealer(context, site.daemon.address(), curve=panels)
    assert dealer.ask(frame_of('"SIA-DCS"0001L0#1234[#1234|Nri1/BA001]')).word == b"ACK"
    assert dealer.ask(frame_of('"NULL"0002L0#1234[]')).word == b"ACK"
    for body in ('"SIA-DCS"0003L0#1234[#1234|Nri1/BA003]', '"SIA-DCS"0003L0#9999[#9999|Nri1/BA001]',
                 '"SIA-DCS"0003L0#1234[#1234|Nri1/BA001/BA003]'):
        reply = dealer.ask(frame_of(body))
        assert reply == (b"REJECT", b"0003", b"forbidden: device: panels may not report for this device"), body
    site.reload()
    assert dealer.ask(frame_of('"NULL"0004L0#1234[]'))[:2] == (b"REJECT", b"0004")
    site.daemon.wait_drained()
    assert database.stored() == 2


def test_push_and_pub_are_judged_too(context, site, database):
    gateway, revoked = site.client(), site.client()
    site.daemon.conf.set(endpoints=[site.endpoint("push", socket="pull"), site.endpoint("pub", socket="sub")])
    site.start(gateway=(gateway, ["NL-0307-*"]), revoked=(revoked, ALL))
    push, later, pub = context.socket(zmq.PUSH), context.socket(zmq.PUSH), context.socket(zmq.PUB)
    for socket, key, name in ((push, gateway, "push"), (later, revoked, "push"), (pub, gateway, "pub")):
        key.open(socket)
        socket.connect(site.daemon.address(name))
    push.send(encode(alert("good")))
    push.send(encode(alert("other", device="NL-9999-1")))
    later.send(encode(alert("before")))
    site.daemon.wait_metric("rejected_total", 1, endpoint="push", code="forbidden")
    site.daemon.wait_metric("received_total", 3, endpoint="push")
    site.reload(gateway=(gateway, ["NL-0307-*"]))
    later.send(encode(alert("after")))
    site.daemon.wait_metric("rejected_total", 2, endpoint="push", code="forbidden")

    def published():
        pub.send_multipart([b"topic", encode(alert("published"))])
        return site.daemon.metric("journaled_total") > 2
    wait_until(published, "a published alert is taken")
    site.daemon.wait_drained()
    assert {row[0] for row in database.rows("select event_id from patrol.alerts")} == {"good", "before", "published"}


def test_where_the_daemon_connects_it_is_a_client_and_judges_by_the_list(context, site, database):
    hub, pub = Key(), context.socket(zmq.PUB)
    hub.serve(pub)
    port = pub.bind_to_random_port("tcp://127.0.0.1")
    out = site.endpoint("hub", connect=f"tcp://127.0.0.1:{port}", socket="sub", server_key=hub.public)
    site.daemon.conf.set(endpoints=[out])
    site.start(hub=(hub, ["NL-0307-*"]))

    def published(event_id, device, name, **labels):
        pub.send_multipart([b"t", encode(alert(event_id, device=device))])
        return site.daemon.metric(name, **labels) > 0
    wait_until(lambda: published("good", "NL-0307-1", "journaled_total"), "what the hub may publish is taken")
    wait_until(lambda: published("bad", "NL-9999-1", "rejected_total", code="forbidden"), "and nothing else")
    before = site.daemon.metric("rejected_total")
    site.reload()
    assert site.daemon.lines("warning: endpoints.hub: its messages will not be accepted")
    wait_until(lambda: published("gone", "NL-0307-1", "received_total") and
               site.daemon.metric("rejected_total") > before + 1, "nothing of it once it is off the list")
    site.daemon.wait_drained()
    assert {row[0] for row in database.rows("select event_id from patrol.alerts")} == {"good"}


def test_another_hub_at_that_address_is_not_heard(context, site):
    pub = context.socket(zmq.PUB)
    Key().serve(pub)
    port = pub.bind_to_random_port("tcp://127.0.0.1")
    gateway, hub = site.client(), Key()
    out = site.endpoint("hub", connect=f"tcp://127.0.0.1:{port}", socket="sub", server_key=hub.public)
    site.daemon.conf.set(endpoints=[site.endpoint(), out])
    site.start(hub=(hub, ALL), gateway=(gateway, ALL))
    dealer = Dealer(context, site.daemon.address(), curve=gateway)
    for n in range(50):
        pub.send_multipart([b"t", encode(alert(f"never-{n}"))])
        assert dealer.ask(alert(str(n))).word == b"ACK"
    assert site.daemon.metric("received_total", endpoint="hub") == 0


@pytest.mark.parametrize("daemon_is_secured", [False, True])
def test_where_the_daemon_connects_it_comes_back_once_both_sides_agree(context, site, database, daemon_is_secured):
    """libzmq makes no other attempt after a handshake in which the mechanisms differ."""
    hub = Key()

    def serves(secured, port=None):
        pub = context.socket(zmq.PUB)
        pub.linger = 0
        if secured:
            hub.serve(pub)
        if port is None:
            return pub, pub.bind_to_random_port("tcp://127.0.0.1")
        wait_until(lambda: binds(pub, port), "the port is free again")
        return pub, port
    pub, port = serves(not daemon_is_secured)
    where = {"connect": f"tcp://127.0.0.1:{port}", "socket": "sub"}
    out = site.endpoint("hub", **where, **({"server_key": hub.public} if daemon_is_secured else {"plaintext": "allow"}))
    site.daemon.conf.set(endpoints=[site.endpoint(), out])
    site.start(hub=(hub, ALL))
    assert site.daemon.wait_log("endpoint hub: denied a peer")
    pub.close()
    pub, _ = serves(daemon_is_secured, port)

    def heard():
        pub.send_multipart([b"t", encode(alert("again"))])
        return site.daemon.metric("journaled_total") > 0
    wait_until(heard, "the daemon connects again")
    site.daemon.wait_drained()
    assert {row[0] for row in database.rows("select event_id from patrol.alerts")} == {"again"}


def test_a_plain_endpoint_beside_one_that_speaks_curve(context, site):
    gateway = site.client()
    site.daemon.conf.set(endpoints=[site.endpoint(), site.endpoint("plain", plaintext="allow"),
                                    site.endpoint("local", bind=f"ipc://{site.daemon.directory}/local")])
    site.start(gateway=(gateway, ["NL-0307-*"]))
    elsewhere = {"device": "NL-9999-1"}
    assert Dealer(context, site.daemon.address("plain")).ask(alert("plain", **elsewhere)).word == b"ACK"
    assert Dealer(context, site.daemon.address("local")).ask(alert("local", **elsewhere)).word == b"ACK"
    assert Dealer(context, site.daemon.address(), curve=gateway).ask(alert("a", **elsewhere)).word == b"REJECT"


@pytest.mark.parametrize("secured", [False, True])
def test_allow_from_limits_zeromq_too(context, site, secured):
    gateway = site.client()
    curve = gateway if secured else None
    limits = {} if secured else {"plaintext": "allow"}
    here, elsewhere = (site.endpoint(name, allow_from=networks, **limits)
                       for name, networks in (("here", ["10.0.0.0/8", "127.0.0.0/8"]), ("elsewhere", "10.0.0.0/8")))
    site.daemon.conf.set(endpoints=[here, elsewhere])
    site.start(gateway=(gateway, ALL))
    outside = Dealer(context, site.daemon.address("elsewhere"), curve=curve)
    outside.send(alert("never"))
    site.refused(endpoint="elsewhere", reason="address")
    inside = Dealer(context, site.daemon.address("here"), curve=curve)
    assert inside.ask(alert("good")).word == b"ACK"
    stays_unheard(outside, site.daemon)
    site.daemon.reload(endpoints=[{**here, "allow_from": ["10.0.0.0/8"]}, elsewhere])
    assert site.reloaded()
    assert inside.ask(alert("late")) == (b"REJECT", b"late", b"forbidden: address: not in allow_from")
    site.daemon.reload(endpoints=[here, {**elsewhere, "allow_from": ["127.0.0.1"]}])
    assert outside.reply().word == b"ACK"


def test_a_key_of_the_server_that_is_replaced_counts_from_the_reload_on(context, site):
    gateway = site.client()
    site.start(gateway=(gateway, ALL))
    old = Dealer(context, site.daemon.address(), curve=gateway)
    assert old.ask(alert("old")).word == b"ACK"
    site.server = Key()
    site.server.write(site.key_file)
    site.daemon.hang_up()
    assert site.reloaded()
    old.send(alert("unheard"))
    gateway.server = site.server
    assert Dealer(context, site.daemon.address(), curve=gateway).ask(alert("new")).word == b"ACK"
    assert not old.socket.poll(0)


@pytest.mark.parametrize("what", ["list", "key", "mode", "gone", "address"])
def test_what_is_bad_at_a_reload_changes_nothing(context, site, what):
    gateway, other = site.client(), site.client()
    site.start(gateway=(gateway, ALL))
    dealer = Dealer(context, site.daemon.address(), curve=gateway)
    assert dealer.ask(alert("one")).word == b"ACK"
    good = site.clients.file.read_text()
    site.clients.write(other=(other, ALL))
    if what == "list":
        site.clients.file.write_text(site.clients.file.read_text() + "  - {name: other, flavour: vanilla}\n")
    elif what == "key":
        site.key_file.write_text("")
    elif what == "mode":
        site.key_file.chmod(0o640)
    elif what == "gone":
        site.clients.file.unlink()
    else:
        Key().write(site.key_file)
        nowhere = site.endpoint("nowhere", bind="ipc:///nowhere/at/all")
        site.daemon.write(endpoints=[*site.daemon.conf.endpoints, nowhere])
    site.daemon.hang_up()
    assert not site.reloaded()
    again = dealer.ask(alert("two")) if what != "address" else None
    assert again is None or again.word == b"ACK"
    assert Dealer(context, site.daemon.address(), curve=gateway).ask(alert("three")).word == b"ACK"
    place = {"list": rf"{site.clients.file}:3:\d+: clients.other.flavour: ", "address": "nowhere"}
    assert site.daemon.lines(place.get(what, r"mobeyed.yaml:\d+:\d+: security\.\w+: "))
    assert good.count(gateway.public) == 1 and gateway.public not in site.daemon.log()


def test_no_key_is_told_anywhere(context, site):
    gateway, stranger, wrong = site.client(), site.client(), Key()
    site.start(gateway=(gateway, ["NL-0307-*"]))
    dealer = Dealer(context, site.daemon.address(), curve=gateway)
    told = [dealer.ask(alert("other", device="NL-9999-1")).detail.decode()]
    outside = Dealer(context, site.daemon.address(), curve=stranger)
    outside.send(alert("never"))
    site.refused(reason="unknown")
    site.reload()
    told.append(dealer.ask(alert("revoked")).detail.decode())
    told += [site.daemon.ctl("status").stdout, site.daemon.get("/metrics")[1]]
    # A key in the place of its file, and one of a character too many on the list.
    site.clients.file.write_text(f'clients: [{{name: a, key: "{gateway.public}x", devices: "*"}}]\n')
    site.daemon.hang_up()
    more = site.daemon.conf.more.replace(str(site.key_file), f'"{wrong.secret}"')
    site.daemon.reload(more=more)
    told.append(site.daemon.log())
    assert "clients.a.key: has 41 characters" in told[-1] and "security.server_key: " in told[-1]
    for key in (gateway, stranger, site.server, wrong):
        for secret in (key.public, key.secret):
            assert not any(secret[:12] in text for text in told)
    site.daemon.reload(more=more.replace(f'"{wrong.secret}"', str(site.key_file)))


def test_send_over_curve(context, site, database, tmp_path):
    ours, strangers = tmp_path / "client.key", tmp_path / "stranger.key"
    public = mobeyectl("keygen", ours).stdout.strip()
    mobeyectl("keygen", strangers)
    key = Key()
    key.public = public
    site.start(gateway=(key, ALL))
    lines = b"".join(encode(message) + b"\n" for message in alerts(50)).decode()
    to = ["--to", site.daemon.address(), "--server-key", site.server.public]
    done = mobeyectl("send", *to, "--client-key", ours, input=lines)
    assert done.returncode == 0, done.stderr
    database.wait_stored(50)
    done = mobeyectl("send", *to, "--client-key", strangers, "--timeout", "6", input=lines)
    assert done.returncode == 1 and "does not admit this client" in done.stderr
    done = mobeyectl("send", "--to", site.daemon.address(), "--timeout", "1", input=lines)
    assert done.returncode == 1 and "--server-key and --client-key" in done.stderr
    assert mobeyectl("send", *to, input=lines).returncode == 2
    ours.chmod(0o644)
    done = mobeyectl("send", *to, "--client-key", ours, input=lines)
    assert done.returncode == 1 and "0644" in done.stderr
    assert database.stored() == 50


def test_keygen_makes_a_file_for_its_owner_and_never_writes_over_one(tmp_path):
    file = tmp_path / "new.key"
    made = mobeyectl("keygen", file)
    assert made.returncode == 0 and stat.S_IMODE(file.stat().st_mode) == 0o600
    public, secret = made.stdout.strip(), file.read_text().strip()
    assert zmq.curve_public(secret.encode()).decode() == public and len(public) == 40
    assert mobeyectl("keygen", "--public", file).stdout.strip() == public
    again = mobeyectl("keygen", file)
    assert again.returncode == 1 and not again.stdout and str(file) in again.stderr
    assert file.read_text().strip() == secret
    both = mobeyectl("keygen").stdout.split()
    assert zmq.curve_public(both[1].encode()).decode() == both[0]
    assert mobeyectl("keygen", tmp_path / "none" / "key").returncode == 1


def test_a_credential_of_the_service_manager_holds_the_key(context, site):
    credentials = site.daemon.directory / "credentials"
    credentials.mkdir()
    site.server.write(credentials / "server.key", 0o440)
    site.daemon.conf.set(more=site.daemon.conf.more.replace(str(site.key_file), "credential:server.key"))
    gateway = site.client()
    site.clients.write(gateway=(gateway, ALL))
    # What looks at the file from outside the service cannot see it, and says so; a start cannot do without.
    site.daemon.write()
    looked = subprocess.run([MOBEYED, "--check", "-c", site.daemon.file], capture_output=True, text=True, timeout=60)
    assert looked.returncode == 0 and "warning: security.server_key: credential:server.key" in looked.stderr
    started = subprocess.run([MOBEYED, "-c", site.daemon.file], capture_output=True, text=True, timeout=60)
    assert started.returncode == 1 and "endpoint door: " in started.stderr
    site.daemon.start(env={"CREDENTIALS_DIRECTORY": str(credentials)})
    dealer = Dealer(context, site.daemon.address(), curve=gateway)
    assert dealer.ask(alert("one")).word == b"ACK"
    (credentials / "server.key").unlink()
    site.daemon.hang_up()
    assert not site.reloaded() and dealer.ask(alert("two")).word == b"ACK"
