"""What the runbook (docs/debugging.md) says of others: the resolvers of glibc and musl, conntrack, a node's own cache. Each test
has a network and an /etc/resolv.conf of its own, since resolvers ask at port 53 alone."""
import os
import re
import subprocess
from pathlib import Path

import pytest

from vigie_process import BINARY, ENVIRONMENT, PATIENCE, wait_for

LOOK_UP_C = r"""
#include <netdb.h>
#include <stdio.h>
#include <arpa/inet.h>
int main(int count, char **words)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = count > 2 ? AF_INET : AF_UNSPEC}, *found;
	char text[64];
	int status = getaddrinfo(words[1], NULL, &hints, &found);
	if (status) {
		puts(gai_strerror(status));
		return 1;
	}
	inet_ntop(found->ai_family, found->ai_family == AF_INET ? (void *)&((struct sockaddr_in *)found->ai_addr)->sin_addr
		  : (void *)&((struct sockaddr_in6 *)found->ai_addr)->sin6_addr, text, sizeof(text));
	puts(text);
}
"""


@pytest.fixture(scope="module")
def look_up(tmp_path_factory) -> dict[str, Path]:
    """One program, by each C library."""
    folder = tmp_path_factory.mktemp("look-up")
    (folder / "look_up.c").write_text(LOOK_UP_C)
    for library, compiler in (("glibc", ["cc"]), ("musl", ["musl-gcc", "-static"])):
        subprocess.run([*compiler, "-o", library, "look_up.c"], cwd=folder, check=True, capture_output=True)
    return {library: folder / library for library in ("glibc", "musl")}


class Node:
    """A network namespace with loopback addresses, vigies in it, and clients with this resolv.conf."""

    def __init__(self, folder: Path, resolv_conf: str, addresses: tuple[str, ...] = ()):
        self.folder = folder
        (folder / "resolv.conf").write_text(resolv_conf)
        script = "ip link set lo up; " + "".join(f"ip address add {each}/32 dev lo; " for each in addresses)
        script += f"mount --bind {folder}/resolv.conf /etc/resolv.conf; touch {folder}/ready; exec sleep infinity"
        self.holder = subprocess.Popen(["unshare", "--net", "--mount", "sh", "-euc", script])
        self.servers: list[subprocess.Popen] = []
        wait_for((folder / "ready").exists, "the namespace")

    def enter(self, *command) -> list:
        return ["nsenter", "--net", "--mount", "--target", str(self.holder.pid), *command]

    def serve(self, name: str, corefile: str) -> None:
        (self.folder / name).write_text(corefile)
        with (self.folder / f"{name}.log").open("wb") as output:
            self.servers.append(subprocess.Popen(self.enter(BINARY, "-conf", self.folder / name), stdout=output, stderr=subprocess.STDOUT,
                                                 env=ENVIRONMENT))
        address = re.search(r"bind (\S+)", corefile)[1]
        wait_for(lambda: "status:" in self.run("dig", f"@{address}", "+tries=1", "+time=1", "x.").stdout, f"an answer of {name}")

    def run(self, *command) -> subprocess.CompletedProcess:
        return subprocess.run(self.enter(*command), capture_output=True, text=True, timeout=2 * PATIENCE)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def end(self) -> list[int]:
        for server in self.servers:
            server.terminate()
        status = [server.wait(PATIENCE) for server in self.servers]
        self.holder.kill()
        self.holder.wait()
        return status


@pytest.fixture
def node(tmp_path):
    nodes: list[Node] = []

    def make(*arguments) -> Node:
        nodes.append(Node(tmp_path, *arguments))
        return nodes[-1]

    yield make
    for each in nodes:
        assert set(each.end()) <= {0}


SEARCH = "nameserver 127.0.0.1\nsearch a.test b.test\noptions ndots:5 timeout:2 attempts:1\n"
COREFILE = """.:53 {
    bind 127.0.0.1
    log . "{remote}:{port} {type} {name}"
    template IN ANY a.test {
        rcode RCODE
    }
    template IN A b.test {
        answer "{{ .Name }} 60 IN A 192.0.2.1"
    }
    template IN ANY . {
        rcode NXDOMAIN
    }
}
"""
PLAIN = COREFILE.replace("RCODE", "NXDOMAIN")


@pytest.mark.parametrize("rcode, musl", [("NXDOMAIN", "192.0.2.1"), ("NOERROR", None), ("SERVFAIL", None)])
def test_a_search_of_musl_ends_at_what_is_no_nxdomain(node, look_up, rcode, musl):
    """The second name of the search has an address; the first one is what it is. glibc goes on in any case."""
    here = node(SEARCH)
    here.serve("dns", COREFILE.replace("RCODE", rcode))
    assert here.run(look_up["glibc"], "www", "v4").stdout.strip() == "192.0.2.1"
    done = here.run(look_up["musl"], "www", "v4")
    assert (done.stdout.strip() if done.returncode == 0 else None) == musl, done.stdout
    # What the runbook has one do: the trace of each name of the search.
    trace = here.run("dig", "@127.0.0.1", "CH", "TXT", "trace.www.a.test.vigie", "+short", "+tcp").stdout
    assert f"result: {rcode}" in trace


def test_musl_asks_all_servers_at_once(node, look_up):
    """And takes the first answer, here of the one that knows the name: the other one is silent."""
    here = node("nameserver 127.0.0.1\nnameserver 127.0.0.2\noptions timeout:5 attempts:1\n")
    here.serve("dns", PLAIN)
    here.serve("second", PLAIN.replace("127.0.0.1", "127.0.0.2"))
    assert here.run(look_up["musl"], "www.b.test", "v4").stdout.strip() == "192.0.2.1"
    for name in ("dns", "second"):
        wait_for(lambda: "A www.b.test." in here.log(name), f"the question in the log of {name}")


@pytest.mark.parametrize("option, ports", [("", 1), ("options single-request-reopen\n", 2)])
def test_glibc_asks_for_both_families_from_one_port(node, look_up, option, ports):
    """What races in conntrack, and what keeps it from that."""
    here = node("nameserver 127.0.0.1\n" + option)
    here.serve("dns", PLAIN)
    seen = []
    for name in ("www1.b.test", "www2.b.test"):  # two sockets may have one port, one after the other, but not twice
        here.run(look_up["glibc"], name)

        def asked() -> dict[str, str]:
            return {rdtype: port for port, rdtype in re.findall(rf"127\.0\.0\.1:(\d+) (A|AAAA) {name}\.", here.log("dns"))}
        wait_for(lambda: len(asked()) == 2, "both questions")
        seen.append(len(set(asked().values())))
    assert max(seen) == ports, here.log("dns")


def test_conntrack_counts_what_it_could_not_insert(node):
    """`conntrack -S` and `-D` as they stand in the runbook. Where the kernel has no conntrack there is nothing to race in."""
    here = node("nameserver 127.0.0.1\n")
    counts = here.run("conntrack", "-S")
    if os.path.exists("/proc/sys/net/netfilter/nf_conntrack_count"):
        assert "insert_failed=" in counts.stdout, counts
    deleted = here.run("conntrack", "-D", "-p", "udp", "--dport", "53")
    assert "flow entries have been deleted" in deleted.stderr or "Operation failed" in deleted.stderr, deleted
    assert "Unknown" not in deleted.stderr and "Bad" not in deleted.stderr


LOCAL, CLUSTER = "169.254.20.10", "10.96.0.10"
NAME = "kubernetes.default.svc.cluster.local"


def test_a_node_has_its_own_cache(node):
    """The three lines of the runbook: nothing listens; the cluster's DNS cannot be reached; all is well."""
    here = node("nameserver 127.0.0.1\n", (LOCAL, CLUSTER))
    refused = here.run("dig", f"@{LOCAL}", NAME, "+tries=1", "+time=2")
    assert "connection refused" in refused.stdout

    here.serve("local", f"""cluster.local:53 .:53 {{
    bind {LOCAL}
    cache {{
        servfail 0
    }}
    forward . {CLUSTER}
}}
""")
    assert "status: SERVFAIL" in here.run("dig", f"@{LOCAL}", NAME, "+tries=1").stdout
    trace = here.run("dig", f"@{LOCAL}", "CH", "TXT", f"trace.{NAME}.vigie", "+short", "+tcp").stdout
    assert "forward answers SERVFAIL" in trace and re.search(rf"trouble: {CLUSTER}:53: ", trace), trace

    here.serve("cluster", f"""cluster.local:53 {{
    bind {CLUSTER}
    template IN A cluster.local {{
        answer "{{{{ .Name }}}} 60 IN A 10.96.0.1"
    }}
}}
""")
    wait_for(lambda: "10.96.0.1" in here.run("dig", f"@{LOCAL}", NAME, "+short", "+tries=1").stdout, "the node's cache to go on")


def test_the_host_says_who_holds_the_port_and_what_was_dropped(node):
    here = node("nameserver 127.0.0.1\n")
    here.serve("dns", PLAIN)
    assert re.search(r'127\.0\.0\.1:53 .*"vigie"', here.run("ss", "-lunp", "sport = 53").stdout)
    assert re.search(r"UdpRcvbufErrors\s+0\b", here.run("nstat", "-az", "UdpRcvbufErrors").stdout)
    (here.folder / "again").write_text(".:53 {\n    bind 127.0.0.1\n}\n")
    assert "cannot listen on 127.0.0.1:53 by UDP: Address already in use" in here.run(BINARY, "-conf", here.folder / "again").stderr
