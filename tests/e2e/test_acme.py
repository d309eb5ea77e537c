"""`tls { acme }` against Pebble, an ACME server that checks as Let's Encrypt does: it refuses nonces at random, and asks vigie
itself for the records of the challenge."""
import json
import os
import re
import socket
import ssl
import struct
import subprocess
import urllib.request
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rcode
import pytest

from processes import Process, free_ports, takes_connections, wait_for
from servers import VIGIE

DOMAIN = "dns.example.test"


@pytest.fixture(scope="module")
def pebble_program(request) -> Path:
    script = Path(__file__).parent / "controlplane" / "build.sh"
    folder = subprocess.run([script, "pebble"], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[-1]
    return Path(folder) / "pebble"


@pytest.fixture(scope="module")
def web(tmp_path_factory) -> Path:
    """The certificate of Pebble's own server, for localhost and ca.test."""
    folder = tmp_path_factory.mktemp("web")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days",
                    "2", "-subj", "/CN=ca", "-addext", "subjectAltName=DNS:localhost,DNS:ca.test,IP:127.0.0.1"],
                   cwd=folder, check=True, capture_output=True)
    return folder


class Pebble:
    def __init__(self, program: Path, web: Path, folder: Path, resolver: int, validity: int = 86400,
                 nonces_refused: int = 30):
        folder.mkdir()
        self.port, self.management = free_ports(2)
        self.web = web
        (folder / "config.json").write_text(json.dumps({"pebble": {
            "listenAddress": f"127.0.0.1:{self.port}", "managementListenAddress": f"127.0.0.1:{self.management}",
            "certificate": str(web / "cert.pem"), "privateKey": str(web / "key.pem"), "httpPort": 1, "tlsPort": 1,
            "domainBlocklist": ["blocked.test"], "retryAfter": {"authz": 1, "order": 1}, "keyAlgorithm": "ecdsa",
            "profiles": {"default": {"description": "", "validityPeriod": validity}}}}))
        self.process = Process("pebble", [program, "-config", folder / "config.json", "-strict", "-dnsserver",
                                          f"127.0.0.1:{resolver}"], folder,
                               environment={"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": str(nonces_refused),
                                            "PEBBLE_AUTHZREUSE": "0"})

    def get(self, path: str) -> bytes:
        context = ssl.create_default_context(cafile=self.web / "cert.pem")
        return urllib.request.urlopen(f"https://127.0.0.1:{self.management}{path}", context=context, timeout=20).read()

    def start(self) -> "Pebble":
        self.process.start()
        for port in (self.port, self.management):
            wait_for(lambda: self.process.check() or takes_connections(port), "Pebble")
        return self

    def roots(self) -> str:
        return self.get("/roots/0").decode()


class Vigie:
    def __init__(self, folder: Path, port: int, tls_port: int, ca: str, web: Path, options: str = "", domains: str = DOMAIN,
                 more: str = "whoami"):
        folder.mkdir(exist_ok=True)
        self.folder, self.port, self.tls_port = folder, port, tls_port
        self.corefile = folder / "Corefile"
        self.corefile.write_text(f""".:{port} {{
    bind 127.0.0.1
    {more}
}}
tls://.:{tls_port} {{
    bind 127.0.0.1
    root {folder}
    tls {{
        acme {domains}
        ca {ca}
        ca_root {web}/cert.pem
        {options}
    }}
    whoami
    reload 2s 1s
}}
""")
        self.process = Process("vigie", [VIGIE, "-conf", self.corefile], folder)

    def start(self) -> "Vigie":
        self.process.start()
        wait_for(self.answers, "an answer")
        return self

    def answers(self) -> bool:
        try:
            return bool(self.ask("x.test", "A"))
        except (OSError, dns.exception.Timeout):
            return False

    def ask(self, name: str, rdtype: str) -> dns.message.Message:
        return dns.query.udp(dns.message.make_query(name, rdtype), "127.0.0.1", port=self.port, timeout=2)

    def wait_for_log(self, pattern: str, patience: float = 40) -> None:
        wait_for(lambda: re.search(pattern, self.process.log()), pattern, patience)

    def shake_hands(self, roots: str, name: str = DOMAIN) -> dict | None:
        """What the certificate says that a client verifies which trusts `roots`; None: there is none."""
        context = ssl.create_default_context(cadata=roots)
        try:
            with (socket.create_connection(("127.0.0.1", self.tls_port), timeout=5) as plain,
                  context.wrap_socket(plain, server_hostname=name) as secure):
                query = dns.message.make_query("x.test", "A").to_wire()
                secure.sendall(struct.pack("!H", len(query)) + query)
                assert struct.unpack("!H", secure.recv(2))[0] > 12
                return secure.getpeercert()
        except ssl.SSLError:
            return None


@pytest.fixture
def processes():
    running: list = []
    yield running
    for each in reversed(running):
        each.process.stop()
        print(f"== {each.process.name}\n{each.process.log()[-8000:]}")


@pytest.fixture
def setting(tmp_path, pebble_program, web, processes):
    """A function that makes Pebble and a vigie that it asks; neither runs yet."""
    def make(validity: int = 86400, ca_host: str = "127.0.0.1", resolver: int | None = None, nonces_refused: int = 30,
             **options):
        port, tls_port = free_ports(2)
        pebble = Pebble(pebble_program, web, tmp_path / "pebble", resolver or port, validity, nonces_refused)
        vigie = Vigie(tmp_path / "vigie", port, tls_port, f"https://{ca_host}:{pebble.port}/dir", web, **options)
        processes.extend([pebble, vigie])
        return pebble, vigie
    return make


def test_a_certificate_comes(setting):
    """Without one there are no sessions, and DNS is served. It is kept: the next start needs no CA."""
    pebble, vigie = setting(domains=f"{DOMAIN} *.Wild.test.", options="email hostmaster@example.test")
    vigie.start()
    vigie.wait_for_log(rf"\[ERROR\] plugin/tls: No certificate for {DOMAIN}: https://127.0.0.1:{pebble.port}/dir: .*; next try in 60 s")
    pebble.start()
    assert vigie.shake_hands(pebble.roots()) is None
    vigie.process.stop()
    vigie.start()
    vigie.wait_for_log(rf"\[INFO\] plugin/tls: The certificate for {DOMAIN} is in {vigie.folder}/.coredns/acme/{DOMAIN}-\w+.pem")
    roots = pebble.roots()
    wait_for(lambda: vigie.shake_hands(roots), "a session", 20)
    names = {name for _, name in vigie.shake_hands(roots)["subjectAltName"]}
    assert names == {DOMAIN, "*.wild.test"}
    assert vigie.shake_hands(roots, "any.wild.test")
    assert not vigie.ask(f"_acme-challenge.{DOMAIN}", "TXT").answer  # it is taken away again
    files = sorted((vigie.folder / ".coredns" / "acme").iterdir())
    assert [re.sub(r"-\w{8}\.", "-X.", file.name) for file in files] == ["account-X.pem", f"{DOMAIN}-X.pem"]
    assert {os.stat(file).st_mode & 0o777 for file in files} == {0o600}

    vigie.process.stop()
    pebble.process.stop()
    vigie.start()
    assert vigie.shake_hands(roots)
    assert vigie.process.log().count("Obtaining a certificate") <= 2


def test_it_is_renewed(setting):
    """With a third of its life left, without a restart; a reload of the Corefile does not disturb it."""
    pebble, vigie = setting(validity=45)
    pebble.start()
    vigie.start()
    roots = pebble.roots()
    first = wait_for(lambda: vigie.shake_hands(roots), "a session", 30)["serialNumber"]
    vigie.corefile.write_text(vigie.corefile.read_text().replace("whoami", "whoami\n    nsid", 1))
    vigie.wait_for_log("Reloading complete")
    assert vigie.process.log().count("Obtaining a certificate") == 1
    seen: list[dict | None] = []

    def is_another() -> bool:
        seen.append(vigie.shake_hands(roots))
        return seen[-1] is None or seen[-1]["serialNumber"] != first
    wait_for(is_another, "another certificate", 90)
    assert None not in seen  # before the first one is out of date


@pytest.mark.parametrize("domains, resolver, complaint", [
    ("blocked.test", None, "the CA refuses the order .*rejectedIdentifier"),
    (DOMAIN, 1, f"the CA does not validate {DOMAIN}: "),
])
def test_the_ca_refuses(setting, domains, resolver, complaint):
    pebble, vigie = setting(domains=domains, resolver=resolver)
    pebble.start()
    vigie.start()
    vigie.wait_for_log(rf"\[ERROR\] plugin/tls: No certificate for {domains}: {complaint}")
    assert vigie.ask("x.test", "A").rcode() == dns.rcode.NOERROR
    assert not vigie.ask(f"_acme-challenge.{domains}", "TXT").answer


def test_nonces_are_refused(setting):
    """One in three is, in the other tests. All of them: vigie gives up, after many."""
    pebble, vigie = setting(nonces_refused=100)
    pebble.start()
    vigie.start()
    vigie.wait_for_log(rf"\[ERROR\] plugin/tls: No certificate for {DOMAIN}: the CA takes no nonce; next try in 60 s")
    assert pebble.process.log().count("POST /sign-me-up") == 20


def test_the_resolver_that_is_named_is_asked(setting):
    """The CA's server has a name that this vigie alone knows."""
    pebble, vigie = setting(ca_host="ca.test", more="hosts {\n 127.0.0.1 ca.test\n}\nwhoami", options="resolver 127.0.0.1:RESOLVER")
    vigie.corefile.write_text(vigie.corefile.read_text().replace("RESOLVER", str(vigie.port)))
    pebble.start()
    vigie.start()
    vigie.wait_for_log(rf"The certificate for {DOMAIN} is in")


def test_one_certificate_for_several_blocks(setting):
    """Blocks with the same options share what obtains it."""
    pebble, vigie = setting()
    second = free_ports(1)[0]
    text = vigie.corefile.read_text()
    vigie.corefile.write_text(text + text[text.index("tls://"):].replace(str(vigie.tls_port), str(second)).replace("reload 2s 1s", ""))
    pebble.start()
    vigie.start()
    roots = pebble.roots()
    wait_for(lambda: vigie.shake_hands(roots), "a session", 30)
    vigie.tls_port = second
    wait_for(lambda: vigie.shake_hands(roots), "a session at the other port", 20)
    assert vigie.process.log().count("Obtaining a certificate") == 1


def test_it_ends_while_the_ca_is_silent(setting):
    pebble, vigie = setting()
    with socket.create_server(("127.0.0.1", pebble.port)):
        vigie.start()
        vigie.wait_for_log("Obtaining a certificate")
        assert vigie.process.stop(patience=5) == 0
