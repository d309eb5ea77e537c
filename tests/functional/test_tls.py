"""DNS over TLS: the `tls` directive with each option, real clients, and limits that TCP and TLS share."""
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path

import dns.message
import dns.query
import pytest

from test_tcp import HUGE, WEB, frame, number_of
from vigie_process import PATIENCE, Vigie, free_port, read_frame, records, refused_configuration, wait_for


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def make_certificate(folder: Path, name: str, subject: str, ca: str) -> None:
    openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={subject}",
            "-keyout", f"{name}.key", "-out", f"{name}.csr")
    (folder / f"{name}.ext").write_text(f"subjectAltName=DNS:{subject},IP:127.0.0.1\n")
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-CAcreateserial",
            "-days", "10", "-extfile", f"{name}.ext", "-out", f"{name}.pem")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> Path:
    """ca, other (another CA), server and server2 for dns.example, client by ca, stranger by other."""
    folder = tmp_path_factory.mktemp("certificates")
    for ca in ("ca", "other"):
        openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
                "10", "-subj", f"/CN={ca}", "-keyout", f"{ca}.key", "-out", f"{ca}.pem")
    for name, subject, ca in (("server", "dns.example", "ca"), ("server2", "dns.example", "ca"),
                              ("client", "client.example", "ca"), ("stranger", "stranger.example", "other")):
        make_certificate(folder, name, subject, ca)
    return folder


class TlsVigie(Vigie):
    """A vigie that has TLS on its port, and plain DNS on another."""

    def answers(self) -> bool:
        assert self.process.poll() is None, f"exited with {self.process.returncode}\n{self.log()}"
        try:
            socket.create_connection((self.address, self.port), timeout=1).close()
            return True
        except OSError:
            return False


@pytest.fixture
def serve(tmp_path, snapshot, certificates):
    running = []

    def with_tls(tls: str = "tls server.pem server.key", more: str = "") -> TlsVigie:
        running.append(TlsVigie(tmp_path / f"vigie{len(running)}", f"""tls://.:PORT {{
	bind 127.0.0.1
	workers 1
	root {certificates}
	{tls}
	kubernetes cluster.local {{
		snapshot {snapshot}
	}}
	{more}
}}
"""))
        return running[-1].start()
    yield with_tls
    for vigie in running:
        print(f"== {vigie.log()[-20000:]}")
        vigie.stop()


def context(certificates: Path, client: str | None = None) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
    if client:
        made.load_cert_chain(certificates / f"{client}.pem", certificates / f"{client}.key")
    return made


def connect(vigie: Vigie, made: ssl.SSLContext) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", vigie.port), timeout=PATIENCE)
    return made.wrap_socket(plain, server_hostname="dns.example")


def ask(vigie: Vigie, made: ssl.SSLContext, name: str = WEB) -> dns.message.Message:
    return dns.query.tls(dns.message.make_query(name, "A"), "127.0.0.1", port=vigie.port, timeout=PATIENCE,
                         ssl_context=made, server_hostname="dns.example")


def is_refused(vigie: Vigie, made: ssl.SSLContext) -> bool:
    try:
        with connect(vigie, made) as connection:
            connection.sendall(frame())
            read_frame(connection)  # with TLS 1.3 the client hears of a refusal only here
    except (ssl.SSLError, ConnectionError, EOFError):
        return True
    return False


def test_answers(serve, certificates):
    vigie = serve()
    assert records(ask(vigie, context(certificates)).answer) == [f"{WEB} A 10.96.0.10"]
    # A long answer takes several records of TLS.
    with connect(vigie, context(certificates)) as connection:
        connection.sendall(frame(HUGE))
        assert len(dns.message.from_wire(read_frame(connection)).answer[0]) > 3000


def test_kdig(serve, certificates):
    vigie = serve()
    done = subprocess.run(["kdig", "+short", f"+tls-ca={certificates}/ca.pem", "+tls-hostname=dns.example",
                           "@127.0.0.1", "-p", str(vigie.port), WEB, "A"], capture_output=True, text=True,
                          timeout=PATIENCE)
    assert done.stdout == "10.96.0.10\n", done


def test_pipelining_and_fragments(serve, certificates):
    vigie = serve()
    with connect(vigie, context(certificates)) as connection:
        connection.sendall(b"".join(frame(number=number) for number in range(2000)))
        assert sorted(number_of(read_frame(connection)) for _ in range(2000)) == list(range(2000))
        for byte in frame(number=7):
            connection.sendall(bytes([byte]))
        assert number_of(read_frame(connection)) == 7


def test_versions(serve, certificates):
    vigie = serve()
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        made = context(certificates)
        made.minimum_version = made.maximum_version = version
        assert ask(vigie, made).answer
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{vigie.port}", "-tls1_1", "-cipher",
                           "ALL:@SECLEVEL=0"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode != 0 and "alert protocol version" in done.stderr, done.stderr


def test_alpn(serve, certificates):
    vigie = serve()
    made = context(certificates)
    made.set_alpn_protocols(["h2", "dot"])
    with connect(vigie, made) as connection:
        assert connection.selected_alpn_protocol() == "dot"
    made.set_alpn_protocols(["h2"])
    assert ask(vigie, made).answer


@pytest.mark.parametrize("policy, refused", [
    ("nocert", set()), ("request", set()), ("require", {None}), ("verify_if_given", {"stranger"}),
    ("require_and_verify", {None, "stranger"}),
])
def test_client_auth(serve, certificates, policy, refused):
    vigie = serve(f"tls server.pem server.key ca.pem {{\n\t\tclient_auth {policy}\n\t}}")
    for client in (None, "client", "stranger"):
        assert is_refused(vigie, context(certificates, client)) == (client in refused), client


def test_keylog(serve, certificates, tmp_path):
    vigie = serve(f"tls server.pem server.key {{\n\t\tkeylog {tmp_path}/keys\n\t}}")
    vigie.wait_for_log(r"\[WARNING\] plugin/tls: .*Corefile:5: 'keylog' lets whoever reads")
    assert ask(vigie, context(certificates)).answer
    wait_for(lambda: "CLIENT_TRAFFIC_SECRET_0" in (tmp_path / "keys").read_text(), "the secrets")


def replace(path: Path, source: Path) -> None:
    shutil.copy(source, path.with_suffix(".new"))
    os.replace(path.with_suffix(".new"), path)


def test_certificate_is_read_again(serve, certificates, tmp_path):
    for name in ("pem", "key"):
        shutil.copy(certificates / f"server.{name}", tmp_path / f"server.{name}")
    vigie = serve(f"tls {tmp_path}/server.pem {tmp_path}/server.key", "timeouts {\n\t\tread 1m\n\t\tidle 1m\n\t}")

    def shown() -> bytes:
        with connect(vigie, context(certificates)) as connection:
            return connection.getpeercert(binary_form=True)
    before = shown()
    with connect(vigie, context(certificates)) as old:
        replace(tmp_path / "server.pem", certificates / "server2.pem")  # it does not fit the key yet
        vigie.wait_for_log(r"\[ERROR\] plugin/tls: The certificate stays as it was: '.*server.key'")
        assert shown() == before
        replace(tmp_path / "server.key", certificates / "server2.key")
        vigie.wait_for_log(r"\[INFO\] plugin/tls: The certificate has changed and was read again")
        assert shown() != before
        old.sendall(frame())  # a connection goes on with what it has
        assert number_of(read_frame(old)) == 1


def test_a_connection_outlives_its_configuration(serve, certificates):
    vigie = serve()
    with connect(vigie, context(certificates)) as connection:
        connection.sendall(frame(number=1))
        assert number_of(read_frame(connection)) == 1
        vigie.corefile.write_text(vigie.corefile.read_text().replace("server.pem server.key", "server2.pem server2.key"))
        vigie.process.send_signal(signal.SIGUSR1)
        vigie.wait_for_log("Reloading complete")
        connection.sendall(frame(number=2))
        assert number_of(read_frame(connection)) == 2
        before = connection.getpeercert(binary_form=True)
    with connect(vigie, context(certificates)) as connection:
        assert connection.getpeercert(binary_form=True) != before


def test_rubbish_instead_of_a_handshake(serve, certificates):
    """Plain DNS, and whatever else: the connection ends, the server goes on."""
    vigie = serve()
    for rubbish in (frame(), b"\x16\x03\x01\xff\xff" + b"x" * 70000, b"GET / HTTP/1.1\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", vigie.port), timeout=PATIENCE) as connection:
            try:
                connection.sendall(rubbish)
                while connection.recv(4096):
                    pass
            except ConnectionError:
                pass
    assert ask(vigie, context(certificates)).answer


def test_broken_record(serve, certificates):
    """A record that was tampered with ends the connection."""
    vigie = serve()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context(certificates).wrap_bio(incoming, outgoing, server_hostname="dns.example")
    with socket.create_connection(("127.0.0.1", vigie.port), timeout=PATIENCE) as connection:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                connection.sendall(outgoing.read())
                incoming.write(connection.recv(65536))
        tls.write(frame())
        record = bytearray(outgoing.read())
        record[-1] ^= 1
        connection.sendall(record)
        while connection.recv(65536):
            pass


def test_timeouts(serve, certificates):
    """A handshake that never ends is a query that does not come; the idle timeout holds as for TCP."""
    vigie = serve(more="timeouts {\n\t\tread 1s\n\t\tidle 1s\n\t}")
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", vigie.port), timeout=PATIENCE) as silent:
        assert silent.recv(1) == b""
    with connect(vigie, context(certificates)) as idle:
        idle.sendall(frame())
        read_frame(idle)
        assert idle.recv(1) == b""  # a goodbye, not a broken connection
    assert time.monotonic() - began < 10


def test_maxtcpqueries(serve, certificates):
    vigie = serve(more="timeouts {\n\t\tmaxtcpqueries 2\n\t}")
    with connect(vigie, context(certificates)) as connection:
        connection.sendall(frame(HUGE, number=0) + frame(HUGE, number=1) + frame(number=2))
        assert [number_of(read_frame(connection)) for _ in range(2)] == [0, 1]
        assert connection.recv(1) == b""


def test_slow_reader(serve, certificates):
    vigie = serve(more="timeouts {\n\t\twrite 1s\n\t}")
    with connect(vigie, context(certificates)) as slow:
        slow.settimeout(PATIENCE)
        with pytest.raises((ConnectionError, ssl.SSLError)):
            for _ in range(10000):
                slow.sendall(frame(HUGE) * 100)


def test_tls_and_plain_side_by_side(start, snapshot, certificates):
    port = free_port()
    vigie = start(f""".:PORT tls://.:{port} {{
	bind 127.0.0.1
	tls {certificates}/server.pem {certificates}/server.key
	kubernetes cluster.local {{
		snapshot {snapshot}
	}}
}}
""")
    assert vigie.ask(WEB).answer and vigie.ask(WEB, tcp=True).answer
    reply = dns.query.tls(dns.message.make_query(WEB, "A"), "127.0.0.1", port=port, timeout=PATIENCE,
                          ssl_context=context(certificates), server_hostname="dns.example")
    assert reply.answer
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:  # TLS has no UDP beside it
        udp.bind(("127.0.0.1", port))


@pytest.mark.parametrize("lines, complaint", [
    ("errors", "Corefile:1: 'tls://.:PORT' needs a certificate: add 'tls CERT KEY' to its block"),
    ("tls server.pem", "Corefile:2: 'tls' needs at least 2 arguments, not 1"),
    ("tls a b c d", "Corefile:2: 'd' is one argument too many for 'tls'"),
    ("tls FOLDER/nothing.pem FOLDER/server.key", "Corefile:2: 'tls': 'FOLDER/nothing.pem': No such file"),
    ("tls FOLDER/server.pem FOLDER/nothing.key", "Corefile:2: 'tls': 'FOLDER/nothing.key': No such file"),
    ("tls FOLDER/server.key FOLDER/server.key", "Corefile:2: 'tls': 'FOLDER/server.key': "),
    ("tls FOLDER/server.pem FOLDER/client.key", "Corefile:2: 'tls': 'FOLDER/client.key': key values mismatch"),
    ("tls FOLDER/server.pem FOLDER/server.key FOLDER/nothing.pem", "Corefile:2: 'tls': 'FOLDER/nothing.pem': No such file"),
    ("tls FOLDER/server.pem FOLDER/server.key {\n client_auth maybe\n}", "Corefile:3: 'client_auth' takes nocert"),
    ("tls FOLDER/server.pem FOLDER/server.key {\n keylog\n}", "Corefile:3: 'keylog' needs 1 argument, not 0"),
    ("tls FOLDER/server.pem FOLDER/server.key {\n keylog /nowhere/keys\n}", "Corefile:2: 'tls': '/nowhere/keys': No such"),
    ("tls a b {\n acme dns.example\n}", "Corefile:2: 'a' is one argument too many for 'tls'"),
    ("tls a b {\n email x@dns.example\n}", "Corefile:3: 'email' goes with 'acme DOMAIN' alone"),
    ("tls {\n acme\n}", "Corefile:3: 'acme' needs at least 1 argument"),
    ("tls {\n acme dns.example 192.0.2.1\n}", "Corefile:3: 'acme' takes host names, not '192.0.2.1'"),
    ("tls {\n acme a.*.example\n}", r"Corefile:3: 'acme' takes host names, not 'a.\*.example'"),
    ("tls {\n acme dns.example\n ca ftp://ca.example\n}", "Corefile:4: 'ftp://ca.example' is no URL"),
    ("tls {\n acme dns.example\n resolver 192.0.2.1\n}", "Corefile:4: '192.0.2.1' is no HOST:"),
    ("tls {\n acme dns.example\n resolver ::1:53\n}", "Corefile:4: '::1:53' is no HOST:"),
    ("tls {\n acme dns.example\n ca_root FOLDER/server.key\n}", "Corefile:2: 'tls': 'FOLDER/server.key' holds no certificate"),
    ("tls {\n acme dns.example\n email a\n email b\n}", "Corefile:5: 'email' stands here already"),
    ("tls {\n acme dns.example\n keylog x\n}", "Corefile:4: unknown option 'keylog' of 'tls'"),
    ("tls FOLDER/server.pem FOLDER/server.key {\n wrong\n}", "Corefile:3: unknown option 'wrong' of 'tls'"),
])
def test_mistakes(tmp_path, certificates, lines, complaint):
    lines, complaint = (text.replace("FOLDER", str(certificates)) for text in (lines, complaint))
    log = refused_configuration(tmp_path, f"tls://.:PORT {{\n {lines}\n}}\n")
    assert re.search(complaint.replace("PORT", r"\d+"), log), log


def test_one_port_speaks_one_of_both(tmp_path, certificates):
    log = refused_configuration(tmp_path, f"tls://.:PORT .:PORT {{\n tls {certificates}/server.pem {certificates}/server.key\n}}\n")
    assert re.search(r"Corefile:1: '.:\d+': port \d+ is served both by DNS over TLS and by plain TCP", log), log
