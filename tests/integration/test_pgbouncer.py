"""What front ends may count on behind PgBouncer in transaction pooling, where two clients share a server connection."""
import pathlib
import shutil
import subprocess
import tempfile

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from harness.alerts import alert
from harness.paths import free_port
from harness.peers import Dealer
from harness.standby import AS_SERVER
from harness.wait import wait_until

PGBOUNCER = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin")
RULES = """
rules:
  - name: all
    incident: {category: alarm, priority: 2, group_by: [device], gap: 4h30m}
"""


@pytest.fixture
def pooled(database):
    """connect() makes a client; all of them share one server connection. The login is a front end's."""
    if PGBOUNCER is None:
        pytest.skip("no pgbouncer")
    login = "desk_" + database.name
    database.execute(f"create role {login} login in role mobeye_patrol")
    database.execute("insert into mobeye.proxy_login (login) values (%s)", login)
    database.execute("insert into mobeye.person (login, name, all_teams) values ('anna', 'Anna', true), ('bram', 'Bram', true)")
    directory = pathlib.Path(tempfile.mkdtemp(prefix="pgbouncer."))
    server, port = conninfo_to_dict(database.conninfo), free_port()
    (directory / "users").write_text(f'"{login}" ""\n')
    (directory / "ini").write_text(f"""[databases]
{database.name} = host={server["host"]} port={server["port"]}
[pgbouncer]
pool_mode = transaction
default_pool_size = 1
auth_type = trust
auth_file = {directory}/users
unix_socket_dir = {directory}
listen_port = {port}
""")
    directory.chmod(0o777)
    process = subprocess.Popen([*AS_SERVER, PGBOUNCER, "-q", directory / "ini"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until((directory / f".s.PGSQL.{port}").exists, "pgbouncer")
    clients = []

    def connect():
        conninfo = make_conninfo(database.conninfo, host=directory, port=port, user=login)
        clients.append(psycopg.connect(conninfo, autocommit=True, prepare_threshold=None))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()
    process.terminate()
    process.wait(60)
    shutil.rmtree(directory)
    database.disconnect_all()
    database.execute(f"drop owned by {login}")
    database.execute(f"drop role {login}")


def note(client, incident, who):
    with client.transaction():
        client.execute(f"set local mobeye.acting_as = '{who}'")
        client.execute("select patrol.note(%s, 'seen')", [incident])


def test_a_person_is_named_within_the_transaction(database, daemons, context, pooled):
    daemon = daemons(database.ingest, more=RULES).start()
    Dealer(context, daemon.address()).ask(alert("one"))
    database.wait_stored(1)
    one, other = pooled(), pooled()
    with one.transaction():
        one.execute("set local mobeye.acting_as = 'anna'")
        ((incident,),) = one.execute("select incident_id from patrol.queue").fetchall()
    assert one.execute("select count(*) from patrol.queue").fetchone() == (0,), "for nobody there is nothing"
    for client, who in ((one, "anna"), (other, "bram"), (one, "bram")):
        note(client, incident, who)
    assert database.rows("select actor from mobeye.incident_history where action = 'note' order by entry") == [
        ("anna",), ("bram",), ("bram",)]
    assert not one.execute("select current_setting('mobeye.acting_as', true)").fetchone()[0], "nothing stays behind"


def test_what_belongs_to_a_session_is_somebody_elses(pooled):
    one, other = pooled(), pooled()
    one.execute("set mobeye.acting_as = 'anna'")
    assert other.execute("select current_setting('mobeye.acting_as')").fetchone() == ("anna",)
    one.execute("listen mobeye_incident")
    assert other.execute("select pg_listening_channels()").fetchone() == ("mobeye_incident",)
    assert one.execute("select pg_try_advisory_lock(1)").fetchone() == (True,)
    assert other.execute("select pg_try_advisory_lock(1)").fetchone() == (True,)
