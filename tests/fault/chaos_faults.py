"""What may happen in test_chaos.py. A fault is a function of the stage and returns what ends it, if it does not end by
itself; None also if it cannot be applied."""
import os
import signal

from crowd import DEVICES
from database_proxy import TO_DAEMON, TO_SERVER
from harness.daemon import mobeyectl
from harness.wait import wait_until

HOME = "NL-home"
HOUR, DAY = 3600, 86400
OLD_ALERT = """
select mobeye.make_partitions('alarm', now() - interval '400 days', now() - interval '399 days');
insert into mobeye.alert (class, kind, phase, location_source, occurred_at, received_at, journal_seq, origin, flags, drill,
                          source, event_id, device_id, payload)
    values (0, 2, 0, 0, now() - interval '400 days', now() - interval '400 days', 1, 1, 0, false, '/test/old', 'old', 'NL-00', '{}')
"""
END_PERIOD = "select mobeye.turn_identity_period(0)"
REWIND = "select mobeye.journal_rewind(journal, 0, 0) from mobeye.journal_position"


def kill_daemon(stage):
    daemon = stage.present()
    if daemon:
        daemon.kill()
        daemon.start()


def kill_daemon_for_a_while(stage):
    daemon = stage.present()
    if daemon is None:
        return None
    daemon.kill()
    stage.away.add(daemon)

    def start():
        daemon.start()
        stage.away.remove(daemon)
    return start


def freeze_daemon(stage):
    daemon = stage.present()
    if daemon is None:
        return None
    daemon.signal(signal.SIGSTOP)
    stage.away.add(daemon)

    def thaw():
        daemon.signal(signal.SIGCONT)
        stage.away.remove(daemon)
    return thaw


def reload_good_file(stage):
    daemon = stage.present()
    if daemon:
        daemon.reload(batch_max=stage.chance.choice((100, 1000, 5000)), batch_wait=stage.chance.choice(("1ms", "20ms")))
        assert daemon.metric("config_last_reload_successful") == 1


def reload_bad_file(stage):
    daemon = stage.present()
    if daemon:
        daemon.file.write_text(daemon.conf.text() + stage.chance.choice(("flavour: vanilla\n", "instance: again\n", "rules: [\n")))
        daemon.hang_up()
        assert daemon.metric("config_last_reload_successful") == 0
        daemon.reload()
        assert daemon.metric("config_last_reload_successful") == 1


def revoke_key(stage):
    """The client with CURVE is refused on its live connection until it is listed again."""
    if stage.site.daemon in stage.away:
        return
    accepted = stage.keyed.accepted
    wait_until(lambda: stage.keyed.accepted > accepted, "the client is served")
    rejected = len(stage.keyed.ledger.rejected)
    stage.site.reload()
    wait_until(lambda: len(stage.keyed.ledger.rejected) > rejected, "the client is refused")
    stage.site.reload(chaos=(stage.key, ["*"]))


def set_clock(stage):
    """As by hand or by NTP: it stays so until it is set again."""
    if stage.clocks:
        clock = stage.chance.choice(stage.clocks)
        clock.set(stage.chance.choice([ahead_s for ahead_s in (0, HOUR, -HOUR, DAY, -DAY) if ahead_s != clock.ahead_s]))


def kill_bridge(stage):
    if not stage.bridge_away:
        stage.bridge.kill()
        stage.bridge.start()


def freeze_bridge(stage):
    if stage.bridge_away:
        return None
    stage.bridge_away = True
    stage.bridge.process.send_signal(signal.SIGSTOP)

    def thaw():
        stage.bridge.process.send_signal(signal.SIGCONT)
        stage.bridge_away = False
    return thaw


def kill_bridge_that_waits(stage):
    """It has stored its position while no daemon is running to accept what it has."""
    if stage.bridge_away:
        return
    killed = [daemon for daemon in stage.daemons if daemon not in stage.away]
    for daemon in killed:
        daemon.kill()
    stage.bridge.wait_metric("waiting", lambda count: count > 0)
    stage.bridge.wait_saved()
    kill_bridge(stage)
    for daemon in killed:
        daemon.start()


def stop_frigate(stage):
    if stage.frigate_away:
        return None
    stage.frigate_away = True
    stage.frigate.stop()

    def start():
        stage.frigate.start()
        stage.frigate_away = False
    return start


def restart_broker(stage):
    stage.broker.stop()
    stage.broker.start()


def take_database(stage, take, give_back):
    if stage.database_away:
        return None
    stage.database_away = True
    take()

    def back():
        give_back()
        stage.database_away = False
    return back


def kill_database(stage):
    return take_database(stage, stage.pair.primary.kill, stage.pair.primary.start)


def freeze_database(stage):
    return take_database(stage, stage.pair.primary.freeze, stage.pair.primary.thaw)


def restart_database(stage):
    if not stage.database_away:
        stage.pair.primary.restart()


def fail_over(stage):
    """The primary is gone permanently; its standby takes its place, and gets a new standby."""
    def kill():
        stage.pair.wait_caught_up()
        stage.pair.primary.kill()

    def promote():
        stage.pair.promote()
        stage.pair.follow()
    return take_database(stage, kill, promote)


def end_backends(stage):
    stage.sql("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
              " and random() < 0.7")


def cut_connection(stage):
    direction, most = stage.chance.choice(((TO_SERVER, 20000), (TO_DAEMON, 2000)))
    stage.proxies[stage.pair.primary].cut_after(direction, stage.chance.randrange(1, most))


def stall_connections(stage):
    for proxy in stage.proxies.values():
        proxy.stall()

    def resume():
        for proxy in stage.proxies.values():
            proxy.resume()
    return resume


def kill_board(stage):
    if stage.board_away:
        return None
    stage.board_away = True
    stage.board.stop(signal.SIGKILL)

    def start():
        stage.board.start(ready=False)
        stage.board_away = False
    return start


def freeze_board(stage):
    if stage.board_away:
        return None
    stage.board_away = True
    os.kill(stage.board.process.pid, signal.SIGSTOP)

    def thaw():
        os.kill(stage.board.process.pid, signal.SIGCONT)
        stage.board_away = False
    return thaw


def move_device(stage):
    stage.place(stage.chance.choice(DEVICES), stage.chance.uniform(5.3, 5.5), 52.15)


def retrieve_device(stage):
    stage.sql("select mobeye.device_retrieve(device_id) from mobeye.device where device_id = %s and state = 'placed'",
              stage.chance.choice(DEVICES))


def redraw_area(stage):
    stage.sql("update mobeye.area set geom = st_translate(geom, %s, 0) where code = %s", stage.chance.choice((0.01, -0.01)),
              stage.chance.choice(("WK1", "WK2")))


def erase(conninfo):
    return mobeyectl("subject", "erase", "--yes", "--device", HOME, "--from", "2000-01-01T00:00:00Z", "--until", "2100-01-01T00:00:00Z",
                     "--db", conninfo)


def erase_home(stage):
    if not stage.database_away:
        erase(stage.conninfo())


def apply_retention(stage):
    if stage.sql(OLD_ALERT):
        mobeyectl("retention", "-c", stage.daemons[0].file, "--db", stage.conninfo())


def rewind_journals(stage):
    stage.sql(REWIND)


def end_identity_period(stage):
    """With a filter at once, or with the next turn of maintenance."""
    if stage.sql(END_PERIOD) and stage.chance.random() < 0.5:
        stage.sql("select mobeye.make_identity_filters()")


FAULTS = [kill_daemon, kill_daemon_for_a_while, freeze_daemon, reload_good_file, reload_bad_file, revoke_key, set_clock,
          kill_bridge, kill_bridge_that_waits, freeze_bridge, stop_frigate, restart_broker, kill_database, freeze_database,
          restart_database, fail_over, end_backends, cut_connection, stall_connections, kill_board, freeze_board, move_device,
          retrieve_device, redraw_area, erase_home, apply_retention, rewind_journals, end_identity_period]


def faults(chance):
    """Without end, in any order, all before one comes again."""
    while True:
        yield from chance.sample(FAULTS, len(FAULTS))
