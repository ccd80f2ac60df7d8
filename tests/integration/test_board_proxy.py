"""The board behind a real nginx with client certificates, with the shipped configuration; the secret of a proxy."""
import json
import os
import pathlib
import re
import shutil
import ssl
import subprocess

import pytest

from harness.board import PEOPLE, Board, make_incident, read_answer
from harness.paths import BOARD, ROOT, free_port
from harness.wait import wait_until

SHIPPED = ROOT / "config/board/nginx.conf"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin")


def openssl(directory, *arguments):
    subprocess.run(["openssl", *map(str, arguments)], cwd=directory, check=True, capture_output=True)


def certificates(directory):
    """An authority, the server's certificate, and those of jansen and of a stranger whom the authority does not know."""
    for ca in "people-ca", "other-ca":
        openssl(directory, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={ca}",
                "-keyout", f"{ca}.key", "-out", f"{ca}.crt")
    for name, ca in ("server", "people-ca"), ("jansen", "people-ca"), ("stranger", "other-ca"):
        openssl(directory, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/O=Politie/CN={name}", "-keyout", f"{name}.key",
                "-out", f"{name}.csr")
        openssl(directory, "x509", "-req", "-days", "2", "-in", f"{name}.csr", "-CA", f"{ca}.crt", "-CAkey", f"{ca}.key",
                "-CAcreateserial", "-out", f"{name}.crt")


@pytest.fixture
def proxied(database, tmp_path):
    """(board, port of nginx, folder of the certificates)"""
    if not NGINX:
        pytest.skip("nginx is not installed")
    database.execute(PEOPLE)
    certificates(tmp_path)
    board = Board(database, tmp_path, unix=True, user="root" if os.geteuid() == 0 else os.environ["USER"]).start()
    port = free_port()
    site = SHIPPED.read_text().replace("/etc/ssl/board", str(tmp_path)).replace("/run/mobeye-board/http.sock", board.path)
    site = site.replace("    listen [::]:443 ssl http2;\n", "").replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
    (tmp_path / "site.conf").write_text(site)
    user = "user root;\n" if os.geteuid() == 0 else ""
    temporary = "".join(f"    {kind}_temp_path {tmp_path}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (tmp_path / "nginx.conf").write_text(f"{user}daemon off;\npid {tmp_path}/nginx.pid;\nerror_log {tmp_path}/error.log;\n"
                                         f"events {{}}\nhttp {{\n{temporary}    include {tmp_path}/site.conf;\n}}\n")
    command = [NGINX, "-c", tmp_path / "nginx.conf", "-e", tmp_path / "error.log"]
    tested = subprocess.run([*command, "-t"], capture_output=True, text=True)
    assert tested.returncode == 0, tested.stderr
    nginx = subprocess.Popen(command)
    wait_until(lambda: (tmp_path / "nginx.pid").exists() and (tmp_path / "nginx.pid").read_text(), "nginx runs")
    yield board, port, tmp_path
    nginx.terminate()
    nginx.wait(30)
    board.stop()


def over_tls(proxied, person):
    _, port, directory = proxied
    import socket
    context = ssl._create_unverified_context()
    if person:
        context.load_cert_chain(directory / f"{person}.crt", directory / f"{person}.key")
    peer = context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=60), server_hostname="board.example.nl")
    return peer


def ask(proxied, person, path="/api/queue", method="GET", headers=(), body=b""):
    lines = [f"{method} {path} HTTP/1.1", "Host: board.example.nl", f"Content-Length: {len(body)}", "Connection: close", *headers]
    with over_tls(proxied, person) as peer:
        peer.sendall(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
        return read_answer(peer)


def test_the_certificate_says_who_the_person_is(database, proxied):
    number = make_incident(database)
    status, _, body = ask(proxied, "jansen")
    assert status == 200 and [i["incident_id"] for i in json.loads(body)["incidents"]] == [number]
    # Neither the header, nor its twin with _, gets past the proxy.
    for header in ("X-Remote-User: zuider", "X_Remote_User: zuider", "x-remote-user: zuider"):
        assert json.loads(ask(proxied, "jansen", "/api/me", headers=[header])[2])["login"] == "jansen"
    for nobody in (None, "stranger"):
        assert ask(proxied, nobody)[0] == 400
    status, _, body = ask(proxied, "jansen", f"/api/incident/{number}/claim", "POST", ["Origin: https://board.example.nl"], b"{}")
    assert (status, json.loads(body)["incident"]["assigned_to"]) == (200, "jansen")
    assert ask(proxied, "jansen", "/api/next", "POST", ["Origin: https://elsewhere.nl"], b"{}")[0] == 403


def test_events_pass_through_the_proxy_as_they_come(database, proxied):
    with over_tls(proxied, "jansen") as peer:
        peer.sendall(b"GET /api/changes HTTP/1.1\r\nHost: board.example.nl\r\n\r\n")
        text = b""
        while b"event: heartbeat" not in text:
            text += peer.recv(65536)
        number = make_incident(database)
        while b'"incident_id": %d' % number not in text:
            text += peer.recv(65536)


PROVIDER = """    OIDCProviderIssuer https://login.example.nl
    OIDCProviderAuthorizationEndpoint https://login.example.nl/auth
    OIDCProviderJwksUri https://login.example.nl/jwks"""


@pytest.fixture
def apache(tmp_path):
    """(None, its port, folder): Apache by the configuration that is shipped, with what the provider would tell of itself."""
    program = shutil.which("apache2", path="/usr/sbin:/usr/bin")
    if not program or not pathlib.Path("/usr/lib/apache2/modules/mod_auth_openidc.so").exists():
        pytest.skip("apache2 with libapache2-mod-auth-openidc is not installed")
    certificates(tmp_path)
    port = free_port()
    modules = "mpm_event authn_core authz_core authz_user ssl proxy proxy_http headers auth_openidc"
    text = "".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n" for name in modules.split())
    text += f"ServerRoot {tmp_path}\nPidFile {tmp_path}/pid\nErrorLog {tmp_path}/error.log\nServerName x\nMutex file:{tmp_path}\n"
    if os.geteuid() == 0:
        text += "User www-data\nGroup www-data\n"
    shipped = (ROOT / "config/board/apache.conf").read_text().replace("/etc/ssl/board", str(tmp_path))
    file = tmp_path / "apache.conf"
    file.write_text(text + shipped)
    done = subprocess.run([program, "-t", "-f", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    shipped = re.sub("^ *OIDCProviderMetadataURL.*$", PROVIDER, shipped, flags=re.M).replace("*:443", f"127.0.0.1:{port}")
    file.write_text(text + f"Listen 127.0.0.1:{port}\n" + shipped)
    running = subprocess.Popen([program, "-f", file, "-DFOREGROUND"])
    wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), "apache runs")
    yield None, port, tmp_path
    running.terminate()
    running.wait(30)


def test_apache_sends_a_page_to_sign_in_and_tells_401_to_its_requests(apache):
    """A request that nobody has signed in for, whatever it says of itself: the page shows "sign in again"."""
    for header, status in (("Sec-Fetch-Mode: navigate", 302), ("Sec-Fetch-Mode: cors", 401), ("Accept: */*", 401)):
        assert ask(apache, None, headers=[header, "X-Remote-User: jansen"])[0] == status, header


@pytest.mark.parametrize("secret, status, said", [("sesam\n", 0, "can be guessed (expected at least 16"), ("een-lang-geheim-hier\n", 0, ""),
                                                  ("\n", 2, "the first line is empty"), ("open sesam\n", 2, "is not a secret")])
def test_a_secret_is_the_first_line_of_its_file_and_a_short_one_is_warned_of(tmp_path, secret, status, said):
    (tmp_path / "secret").write_text(secret)
    (tmp_path / "secret").chmod(0o600)
    file = tmp_path / "b.yaml"
    file.write_text('listen: "127.0.0.1:8080"\ndatabase: {conninfo: "user=x"}\n'
                    f"identity: {{header: X-User, secret: {{header: X-Secret, file: {tmp_path / 'secret'}}}}}\n")
    done = subprocess.run([BOARD, "-c", file, "--check"], capture_output=True, text=True)
    assert done.returncode == status and said in done.stderr and bool(said) == bool(done.stderr), done.stderr
    assert "sesam" not in done.stderr
