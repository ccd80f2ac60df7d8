"""The Grafana dashboard: a real Prometheus that has scraped a daemon answers the queries of each panel with numbers."""
import json
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import pytest

from harness.alerts import alert, alerts
from harness.paths import ROOT, free_port
from harness.wait import wait_until

RULES = "rules: [{name: all, incident: {category: alarm, priority: 2, group_by: [device], gap: 4h}}]\n"


def expressions():
    """{title: [expression]}, with Grafana's variables as it fills them in."""
    found = {}
    for panel in json.loads((ROOT / "config/grafana/mobeyed.json").read_text())["panels"]:
        for target in panel.get("targets", []):
            text = target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*")
            assert "$" not in text
            found.setdefault(panel["title"], []).append(text)
    assert found
    return found


@pytest.fixture
def prometheus(daemon, tmp_path):
    """query(expression): the values of its series."""
    if not shutil.which("prometheus"):
        pytest.skip("prometheus is not installed (Debian package prometheus)")
    port = free_port()
    (tmp_path / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s}\nscrape_configs:\n"
        f"  - {{job_name: mobeyed, static_configs: [{{targets: ['127.0.0.1:{daemon.conf.port}']}}]}}\n")
    with open(tmp_path / "log", "w") as log:
        process = subprocess.Popen(["prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data",
                                    f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)

    def query(expression):
        url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                return [float(series["value"][1]) for series in json.load(answer)["data"]["result"]]
        except urllib.error.URLError:
            assert process.poll() is None, (tmp_path / "log").read_text()
            return []  # it does not listen yet
    yield query
    process.terminate()
    process.wait(60)


def test_each_panel_has_numbers(daemon, database, dealer, prometheus):
    daemon.conf.more = RULES
    daemon.restart()
    dealer.deliver(alerts(5))
    dealer.ask(b"{}")
    wait_until(lambda: prometheus("mobeyed_committed_total") == [5.0], "Prometheus has seen them stored")
    dealer.deliver([alert("more")])
    empty = expressions()

    def all_answered():
        for title in list(empty):
            empty[title] = [text for text in empty[title] if not prometheus(text)]
            if not empty[title]:
                del empty[title]
        return not empty
    wait_until(all_answered, lambda: f"numbers for {empty}")
