"""mobeyectl people and teams, from outside: lists of them, and those who leave."""
import concurrent.futures
import os
import signal

import psycopg
import pytest

from harness.wait import wait_until


def test_people_and_teams(registry, database):
    people = "login,name,team\njan,Jan,noord\nien,Ien,*\nkim,Kim,\n"
    database.execute("create role ien login in role mobeye_patrol")
    complaints = registry.refused("people", "import", "-", stdin=people)
    assert '-:2: team: "noord" does not exist (mobeyectl teams import creates teams)' in complaints
    registry.add_team("noord")
    slips = people.replace("noord", "Noord").replace("kim,Kim,", "kim,Kim,nord")
    assert '-:2: team: "Noord" does not exist (did you mean noord?)' in registry.refused("people", "import", "-", stdin=slips)
    assert '-:4: team: "nord" does not exist (did you mean noord?)' in registry.refused("people", "import", "-", stdin=slips)
    assert '-:2: team: team "Noord" does not exist (did you mean noord?)' in registry.refused(
        "devices", "import", "-", stdin="device_id,placed_from,team,lon,lat\nNL-7,2026-11-01,Noord,5.38421,52.19634\n")
    _, complaints = registry.done("teams", "import", "-", "--dry-run", stdin="team\nNoord\nnoord\nzuid\n")
    assert [line for line in complaints.splitlines() if "team:" in line] == [
        '-:2: warning: team: "Noord" is new (did you mean noord?)']
    counts, complaints = registry.done("people", "import", "-", stdin=people)
    assert counts == [{"people": 3, "stored": 3}]
    assert registry.query("select login, team, all_teams from mobeye.person order by 1") == [
        ("ien", None, True), ("jan", "noord", False), ("kim", None, False)]
    assert '-:4: warning: team: is empty, so "kim" sees no incidents (use * to see those of all teams)' in complaints
    assert '-:2: warning: login: database login "jan" does not exist' in complaints
    assert "-:3" not in complaints
    database.execute("create role jan nologin")  # as remove leaves one that has objects
    _, complaints = registry.done("people", "import", "-", "--dry-run", stdin=people)
    assert '-:2: warning: login: role "jan" may not log in (alter role jan login; grant mobeye_patrol to jan)' in complaints
    database.execute("drop role jan")
    assert registry.done("people", "import", "-", stdin=people)[0] == [{"people": 3, "stored": 0}]
    counts, complaints = registry.done("teams", "import", "-", stdin="team,layer,code\nnoord,wijk,A\nzuid,,\n")
    assert counts == [{"teams": 2, "created": 1, "areas_added": 1, "areas_removed": 0}]
    assert "-:2: warning: code: area A does not exist in layer wijk yet" in complaints
    counts, _ = registry.done("teams", "import", "-", stdin="team,layer,code\nnoord,wijk,B\n")
    assert counts == [{"teams": 1, "created": 0, "areas_added": 1, "areas_removed": 1}]
    assert registry.query("select count(*) from pg_roles where rolname = 'jan'") == [(0,)]
    database.execute("drop role ien")


def test_logins_of_programs_are_no_people(registry, database):
    """Removed as a person, the daemon's login would be dropped."""
    for statement in ("create role daemons in role mobeye_ingest", "create role ingest_a login in role daemons", "create role commander login superuser"):
        database.execute(statement)
    complaints = registry.refused("people", "import", "-", stdin="login,name,team\npublic,P,*\npg_read,R,*\ningest_a,A,*\n"
                                                                 "mobeye_board,B,*\ncommander,C,*\n")
    assert complaints[:5] == [
        '-:2: login: "public" is reserved by PostgreSQL (expected another name)',
        '-:3: login: "pg_read" is reserved by PostgreSQL (expected another name)',
        '-:4: login: "ingest_a" is the login of a program (expected that of a person)',
        '-:5: login: "mobeye_board" is the login of a program (expected that of a person)',
        '-:6: warning: login: "commander" is a superuser, who sees and may do everything, whatever the team']
    for login in "ingest_a", "mobeye_board":
        ran = registry.run("people", "remove", login)
        assert ran.returncode == 1 and f'login "{login}" is that of a program, not of a person' in ran.stderr
    database.execute("insert into mobeye.person (login, name) values ('ingest_a', 'A')")
    assert registry.run("people", "remove", "ingest_a").stdout == (
        "ingest_a: person removed; the database login is that of a program and was kept\n")
    assert registry.query("select rolcanlogin from pg_roles where rolname = 'ingest_a'") == [(True,)]
    database.execute("drop role ingest_a, daemons, commander")


def test_a_leaver_is_taken_away_with_login_and_sessions(registry, database):
    registry.add_team("noord")
    registry.done("people", "import", "-", stdin="login,name,team\njan,Jan,noord\npiet,Piet,noord\nkim,Kim,noord\n")
    for statement in ("create role jan login in role mobeye_patrol", "create role piet login password 'old' in role mobeye_patrol",
                      "create table public.of_piet ()", "alter table public.of_piet owner to piet", "create role els login"):
        database.execute(statement)
    with psycopg.connect(database.conninfo, user="jan", autocommit=True) as jan:
        assert jan.execute("select count(*) from patrol.queue").fetchone() == (0,)
        ran = registry.run("people", "remove", "jan")
        assert (ran.returncode, ran.stdout) == (0, "jan: person removed; login dropped; 1 session ended\n")
        with pytest.raises(psycopg.OperationalError):
            jan.execute("select 1")
    ran = registry.run("people", "remove", "piet")
    assert "login disabled (it has privileges or objects of its own, so it was not dropped)" in ran.stdout
    assert registry.query("select rolpassword from pg_authid where rolname = 'piet'") == [(None,)]
    with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
        psycopg.connect(database.conninfo, user="piet")
    assert registry.run("people", "remove", "kim").stdout == "kim: person removed; there was no database login\n"
    assert registry.query("select count(*) from mobeye.person") == [(0,)]
    for nobody in "els", "nobody":
        ran = registry.run("people", "remove", nobody)
        assert ran.returncode == 1 and f'person "{nobody}" does not exist' in ran.stderr
    assert registry.query("select rolcanlogin from pg_roles where rolname = 'els'") == [(True,)]
    database.execute("drop table public.of_piet; drop role els, piet")


def test_what_a_leaver_may_still_do_is_said(registry, database):
    logins = {"reader": "in role pg_read_all_data", "commander": "superuser", "granted": "", "member": "", "stranger": "",
              "server": "in role pg_execute_server_program"}
    registry.done("people", "import", "-", stdin="login,name,team\n" + "".join(f"{login},Name,*\n" for login in logins))
    for login, rights in logins.items():
        database.execute(f"create role {login} login {rights}")
    for statement in ("grant select on mobeye.device to granted", "create role gis", "grant select on mobeye.device to gis", "grant gis to member"):
        database.execute(statement)
    kept = {"commander": "is a superuser, who still sees everything, and was kept (alter role commander nologin)",
            **{login: "has privileges or objects in this database, by itself or by a role that it belongs to, and was kept"
                      f" (alter role {login} nologin)" for login in ("granted", "member")},
            "stranger": "has no rights in this database and was kept"}
    for login, said in kept.items():
        assert registry.run("people", "remove", login).stdout == f"{login}: person removed; the database login {said}\n"
    with psycopg.connect(database.conninfo, user="reader", autocommit=True) as reader:
        assert registry.run("people", "remove", "reader").stdout == "reader: person removed; login dropped; 1 session ended\n"
        with pytest.raises(psycopg.OperationalError):
            reader.execute("select 1")
    assert registry.run("people", "remove", "server").stdout == "server: person removed; login dropped; 0 sessions ended\n"
    # A role for backups is nobody who leaves.
    database.execute("create role backup login in role pg_read_server_files")
    ran = registry.run("people", "remove", "backup")
    assert ran.returncode == 1 and 'person "backup" does not exist' in ran.stderr, ran.stdout + ran.stderr
    assert registry.query("select rolcanlogin from pg_roles where rolname = 'backup'") == [(True,)]
    database.execute("drop role backup")
    database.execute("revoke select on mobeye.device from granted, gis; drop role commander, granted, member, gis, stranger")


def test_a_leaver_with_rights_by_a_group_of_the_town_is_out_too(registry, database):
    registry.done("people", "import", "-", stdin="login,name,team\nanna,Anna,*\n")
    for statement in ("create role police in role mobeye_patrol, mobeye_auditor", "create role colleagues in role police",
                      "create role anna login in role colleagues"):
        database.execute(statement)
    with psycopg.connect(database.conninfo, user="anna", autocommit=True) as anna:
        ran = registry.run("people", "remove", "anna")
        assert (ran.returncode, ran.stdout) == (0, "anna: person removed; login dropped; 1 session ended\n")
        with pytest.raises(psycopg.OperationalError):
            anna.execute("select 1")
    assert registry.query("select count(*) from pg_roles where rolname in ('police', 'colleagues')") == [(2,)]
    database.execute("drop role police, colleagues")


def test_a_session_that_ends_slowly_is_counted_once(registry, database):
    registry.done("people", "import", "-", stdin="login,name,team\nslow,Slow,*\n")
    database.execute("create role slow login in role mobeye_patrol")
    with concurrent.futures.ThreadPoolExecutor() as pool, psycopg.connect(database.conninfo, user="slow", autocommit=True) as slow:
        backend = slow.info.backend_pid
        os.kill(backend, signal.SIGSTOP)
        try:
            removal = pool.submit(registry.run, "people", "remove", "slow")
            waits = "select count(*) from pg_stat_activity where wait_event = 'BackendTermination'"
            wait_until(lambda: removal.done() or database.value(waits), "the removal waits for the session")
        finally:
            os.kill(backend, signal.SIGCONT)
        assert removal.result().stdout == "slow: person removed; login dropped; 1 session ended\n"


def test_a_leaver_who_connects_meanwhile_is_out_too(registry, database):
    """Until the removal is committed the server lets the login in."""
    registry.done("people", "import", "-", stdin="login,name,team\nlate,Late,*\n")
    database.execute("create role late login in role mobeye_patrol")
    with concurrent.futures.ThreadPoolExecutor() as pool, psycopg.connect(database.conninfo) as holder:
        holder.execute("create table public.of_late (); alter table public.of_late owner to late")  # the drop waits
        removal = pool.submit(registry.run, "people", "remove", "late")
        wait_until(lambda: database.value("select count(*) from pg_locks where not granted"), "the removal waits")
        with psycopg.connect(database.conninfo, user="late", autocommit=True) as late:
            holder.rollback()
            assert removal.result().stdout.splitlines()[1:] == ["late: 1 more session ended"]
            with pytest.raises(psycopg.OperationalError):
                late.execute("select 1")


def test_bad_people_and_teams_are_named_by_line(registry):
    complaints = registry.refused("people", "import", "-", stdin="login,name,team\njan,,\njan,Jan,\njan,Jan,\n")
    assert [line for line in complaints if line.startswith("-:2: name: is empty")]
    assert [line for line in complaints if line.startswith('-:4: login: duplicate "jan", first used on line 3')]
    complaints = registry.refused("teams", "import", "-", stdin="team,layer,code\nnoord,wijk,\n,wijk,A\n")
    assert [line for line in complaints if line.startswith("-:2: code: is empty")]
    assert [line for line in complaints if line.startswith("-:3: team: is empty")]
