"""Corefiles and questions for test_directives.py: what the examples of CoreDNS' manual pages are about."""
import dataclasses

ALL = ("A", "AAAA", "TXT", "MX", "SRV", "ANY", "SOA", "NS", "CNAME", "PTR")


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    corefile: str  # PORT, SECOND: of the server; UPSTREAM, UPSTREAM2, UPSTREAM3: of upstreams; FOLDER: with FILES in it
    questions: tuple[str, ...]


def case(name: str, body: str, *questions: str, key: str = ".:PORT") -> Case:
    """One server block on 127.0.0.1."""
    return Case(name, f"{key} {{\n    bind 127.0.0.1\n{body}\n}}\n", questions)


def every(*names: str, types: tuple[str, ...] = ALL) -> tuple[str, ...]:
    return tuple(f"{name} {rdtype}" for name in names for rdtype in types)


_SOA = "$ORIGIN .\n$TTL 300\n@ SOA ns.world. hostmaster.world. 1 7200 1800 86400 60\n@ NS ns.world.\n"
_BIG = "".join(f"big.example.org. A 192.0.2.{number}\n" for number in range(1, 101))

WORLD = {
    "UPSTREAM": _SOA + """
example.org. A 192.0.2.1
example.org. AAAA 2001:db8::1
example.org. MX 10 mail.example.org.
www.example.org. A 192.0.2.2
www.example.org. TXT "one" "two"
mail.example.org. A 192.0.2.3
v4.example.org. A 192.0.2.4
v6.example.org. AAAA 2001:db8::6
alias.example.org. CNAME v4.example.org.
short.example.org. 3 A 192.0.2.5
long.example.org. 86400 A 192.0.2.6
_sip._tcp.example.org. SRV 1 2 5060 sip.service.us-west-1.consul.
sip.service.us-west-1.consul. A 192.0.2.7
ftp.service.us-west-1.consul. A 10.10.10.10
ftp.service.us-west-1.consul. A 10.20.20.20
30.30.30.10.in-addr.arpa. PTR ftp-us-west-1.service.consul.
google.com. A 192.0.2.8
www.google.com. A 192.0.2.9
my-app.com. CNAME my-app.example.
my-app.example. CNAME my-app.com.cdn.example.net.
my-app.com.cdn.example.net. A 20.2.0.1
my-app.com.other.cdn.com. A 30.3.1.2
test. A 192.0.2.10
abc.x.example.com. A 192.0.2.11
name.lab.example.local. A 192.0.2.12
name.example.local. A 192.0.2.13
""" + _BIG,
    "UPSTREAM2": _SOA + """
example.org. A 198.51.100.1
abc.x.example.com. A 198.51.100.11
name.lab.example.local. A 198.51.100.12
name.example.local. A 198.51.100.13
""",
    "UPSTREAM3": _SOA + """
example.org. A 203.0.113.1
name.lab.example.local. A 203.0.113.12
name.example.local. A 203.0.113.13
""",
}

FILES = {
    "example.hosts": """# comment
192.0.2.20 host.example.org host
192.0.2.21 host.example.org # twice
2001:db8::20 host.example.org
192.0.2.22 www.example.net
192.168.1.10 *.example.com
192.168.1.11 www.example.com
not-an-address nothing.example.org
""",
    "db.example.org": """$ORIGIN example.org.
$TTL 3600
@ IN SOA sns.dns.icann.org. noc.dns.icann.org. 2017042745 7200 3600 1209600 3600
  IN NS a.iana-servers.net.
  IN NS b.example.org.
b IN A 192.0.2.30
www IN A 192.0.2.31
    IN AAAA 2001:db8::31
alias IN CNAME www
far IN CNAME www.example.net.
*.wild IN A 192.0.2.32
deep.er.empty IN TXT "x"
sub IN NS ns.sub
ns.sub IN A 192.0.2.33
mail IN MX 10 www
srv IN SRV 1 2 80 www
""",
}

_FORWARD = "    forward . 127.0.0.1:UPSTREAM"
_CHAOS = ("version.bind TXT CH", "version.server TXT CH", "authors.bind TXT CH", "hostname.bind A CH", "version.bind TXT",
          "version.bind A CH", "other.bind TXT CH", "example.org A")

CASES = [
    case("forward", _FORWARD, *every("example.org", "www.example.org", "alias.example.org", "missing.example.org"),
         "example.org A tcp", "example.org A norec", "example.org A do", "example.org A noedns",
         "big.example.org A size=4096", "big.example.org A tcp", "EXAMPLE.org A"),
    case("forward several", "    forward lab.example.local 127.0.0.1:UPSTREAM2\n    forward example.local "
         "127.0.0.1:UPSTREAM3\n" + _FORWARD, *every("name.lab.example.local", "name.example.local", "example.org",
                                                   types=("A", "AAAA"))),
    case("forward except", "    forward . 127.0.0.1:UPSTREAM {\n        except example.org\n    }\n    whoami",
         "google.com A", "www.example.org A", "example.org AAAA"),

    case("whoami", "    whoami", *every("example.org", "www.example.org", types=("A", "AAAA")), "example.org A tcp",
         "example.org A noedns", "example.org A do", "example.net A", key="example.org:PORT"),
    case("any", "    whoami\n    any", "example.org ANY", "www.example.org ANY", "example.org ANY tcp", "example.org A",
         key="example.org:PORT"),
    case("chaos", "    chaos CoreDNS-001 info@coredns.io", *_CHAOS),
    case("chaos zones", "    chaos CoreDNS-001 info@coredns.io", *_CHAOS,
         key="version.bind:PORT version.server:PORT authors.bind:PORT hostname.bind:PORT id.server:PORT"),
    case("nsid", "    whoami\n    nsid Use The Force", "whoami.example.org A nsid", "whoami.example.org A",
         "whoami.example.org A noedns", key="example.org:PORT"),
    case("minimal", _FORWARD + "\n    minimal", *every("example.org", "alias.example.org", "missing.example.org",
                                                      "_sip._tcp.example.org")),
    case("bufsize", "    bufsize 600\n" + _FORWARD, "big.example.org A size=4096", "www.example.org A size=4096",
         "www.example.org A noedns"),
    case("bufsize file", "    bufsize 600\n    file FOLDER/db.example.org example.org", "www.example.org A",
         "example.org NS"),

    case("acl block", "    acl {\n        block type A net 127.0.0.2/32\n    }\n" + _FORWARD,
         "example.org A", "example.org A from=127.0.0.2", "example.org AAAA from=127.0.0.2"),
    case("acl filter", "    acl {\n        filter type A net 127.0.0.2/32\n    }\n" + _FORWARD,
         "example.org A", "example.org A from=127.0.0.2", "example.org AAAA from=127.0.0.2"),
    case("acl drop", "    acl {\n        drop net 127.0.0.2/32\n    }\n" + _FORWARD,
         "example.org A", "example.org A dropped from=127.0.0.2"),
    case("acl except", "    acl {\n        allow net 127.0.1.0/24\n        block net 127.0.0.0/16\n    }\n" + _FORWARD,
         "example.org A from=127.0.1.7", "example.org A from=127.0.2.7", "example.org A from=127.1.0.1"),
    case("acl only", "    acl {\n        allow net 127.0.0.1 127.0.1.0/24\n        block\n    }\n" + _FORWARD,
         "example.org A", "example.org A from=127.0.1.7", "example.org A from=127.0.2.7"),
    case("acl zone", "    acl www.example.org {\n        block net 127.0.0.0/8\n    }\n" + _FORWARD,
         "www.example.org A", "x.www.example.org A", "example.org A"),

    case("header response", "    header {\n        response set ra aa\n        response clear rd\n    }\n" + _FORWARD,
         "example.org A", "missing.example.org A", "example.org A norec"),
    case("header query", "    header {\n        query set rd\n    }\n" + _FORWARD, "example.org A norec"),

    case("hosts file", "    hosts FOLDER/example.hosts", *every("host.example.org", "www.example.net", "host"),
         *every("missing.example.org", "nothing.example.org", types=("A", "AAAA", "TXT")),
         "20.2.0.192.in-addr.arpa PTR", "22.2.0.192.in-addr.arpa PTR", "99.2.0.192.in-addr.arpa PTR",
         "0.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR", "HOST.example.ORG A"),
    case("hosts zones", "    hosts FOLDER/example.hosts example.org example.net {\n        fallthrough\n    }\n" + _FORWARD,
         *every("host.example.org", "www.example.org", "www.example.com", "google.com", types=("A", "AAAA", "MX"))),
    case("hosts inline", "    hosts {\n        10.0.0.1 example.org\n        fallthrough\n    }\n    whoami",
         *every("example.org", "www.example.org", types=("A", "AAAA", "TXT")), key="example.hosts:PORT example.org:PORT"),
    case("hosts wildcard", "    hosts FOLDER/example.hosts example.com {\n        fallthrough example.com\n    }\n"
         + _FORWARD, *every("a.example.com", "www.example.com", "a.b.example.com", "example.com", types=("A", "AAAA")),
         "abc.x.example.com A"),
    case("hosts options", "    hosts FOLDER/example.hosts {\n        ttl 60\n        no_reverse\n    }",
         "host.example.org A", "20.2.0.192.in-addr.arpa PTR"),

    case("dns64", "    dns64 {\n        allow_ipv4\n    }\n" + _FORWARD,
         *every("v4.example.org", "v6.example.org", "alias.example.org", "missing.example.org", types=("A", "AAAA")),
         "v4.example.org AAAA do"),
    case("dns64 prefix", "    dns64 {\n        prefix 64:1337::/96\n        allow_ipv4\n    }\n" + _FORWARD,
         "v4.example.org AAAA"),
    case("dns64 all", "    dns64 {\n        translate_all\n        allow_ipv4\n    }\n" + _FORWARD,
         "example.org AAAA", "v6.example.org AAAA"),
    case("dns64 over IPv6 only", "    dns64\n" + _FORWARD, "v4.example.org AAAA"),

    case("cache", "    cache 10\n" + _FORWARD, *every("example.org", "missing.example.org", "short.example.org", types=("A",)),
         "example.org A do", "example.org A", "missing.example.org A", "EXAMPLE.org A"),
    case("cache whoami", "    cache 10\n    whoami", "example.org A"),
    case("cache zones", _FORWARD + "\n    cache example.org", "example.org A", "google.com A", "long.example.org A"),
    case("cache options", "    cache {\n        success 5000\n        denial 2500\n        disable denial sub.example.org\n"
         "    }\n" + _FORWARD, "example.org A", "x.sub.example.org A", "missing.example.org A"),

    case("local", "    local\n" + _FORWARD, *every("localhost", "x.localhost", "1.0.0.127.in-addr.arpa",
                                                  "localhost.example.org", types=("A", "AAAA", "PTR", "SOA", "NS"))),

    case("template nxdomain", "    template ANY ANY {\n        rcode NXDOMAIN\n    }", "example.org A", "example.org MX",
         "example.org TXT CH"),
    case("template invalid", _FORWARD + """
    template ANY ANY invalid {
        rcode NXDOMAIN
        authority "invalid. 60 {{ .Class }} SOA ns.invalid. hostmaster.invalid. (1 60 60 60 60)"
        ederror 21 "Blocked according to RFC2606"
    }""", "a.invalid A", "invalid MX", "example.org A", "a.invalid TXT CH"),
    case("template search", _FORWARD + """
    template IN ANY example.com {
        match "example\\.com\\.(dc1\\.example\\.com\\.)$"
        rcode NXDOMAIN
        authority "{{ index .Match 1 }} 60 IN SOA ns.{{ index .Match 1 }} hostmaster.{{ index .Match 1 }} (1 60 60 60 60)"
        fallthrough
    }""", "x.example.com.dc1.example.com A", "abc.x.example.com A"),
    case("template addresses", _FORWARD + """
    template IN A example {
        match (^|[.])ip-(?P<a>[0-9]*)-(?P<b>[0-9]*)-(?P<c>[0-9]*)-(?P<d>[0-9]*)[.]example[.]$
        answer "{{ .Name }} 60 IN A {{ .Group.a }}.{{ .Group.b }}.{{ .Group.c }}.{{ .Group.d }}"
        fallthrough
    }
    template IN PTR in-addr.arpa {
        match ^(?P<d>[0-9]*)[.](?P<c>[0-9]*)[.](?P<b>[0-9]*)[.](?P<a>[0-9]*)[.]in-addr[.]arpa[.]$
        answer "{{ .Name }} 60 IN PTR ip-{{ .Group.a }}-{{ .Group.b }}-{{ .Group.c }}-{{ .Group.d }}.example."
    }""", "ip-10-1-2-3.example A", "x.ip-10-1-2-3.example A", "ip-10-1-2-3.example AAAA", "other.example A",
         "3.2.1.10.in-addr.arpa PTR", "IP-10-1-2-3.EXAMPLE A"),
    case("template parseInt", _FORWARD + """
    template IN A example {
        match "^ip0a(?P<b>[a-f0-9]{2})(?P<c>[a-f0-9]{2})(?P<d>[a-f0-9]{2})[.]example[.]$"
        answer "{{ .Name }} 60 IN A 10.{{ parseInt .Group.b 16 8 }}.{{ parseInt .Group.c 16 8 }}.{{ parseInt .Group.d 16 8 }}"
        fallthrough
    }""", "ip0a7b7b7b.example A", "ip0a7b7b.example A"),
    case("template sections", _FORWARD + """
    template IN MX example {
        match ^ip-10-(?P<b>[0-9]*)-(?P<c>[0-9]*)-(?P<d>[0-9]*)[.]example[.]$
        answer "{{ .Name }} 60 IN MX 10 {{ .Name }}"
        additional "{{ .Name }} 60 IN A 10.{{ .Group.b }}.{{ .Group.c }}.{{ .Group.d }}"
        authority  "example. 60 IN NS ns0.example."
        authority  "example. 60 IN NS ns1.example."
        additional "ns0.example. 60 IN A 203.0.113.8"
        fallthrough
    }""", "ip-10-1-2-3.example MX", "ip-10-1-2-3.example A"),
    case("template cname", """    template IN ANY foogle.com {
        match "^foogle\\.com\\.$"
        answer "foogle.com 60 IN CNAME google.com"
    }
""" + _FORWARD, "foogle.com A", "foogle.com AAAA", "foogle.com MX"),

    case("rewrite name", "    rewrite name foo.example.org www.example.org\n" + _FORWARD, "foo.example.org A",
         "foo.example.org TXT", "www.example.org A", "foo.example.org MX", "FOO.example.org A"),
    case("rewrite substring", "    rewrite name substring service.us-west-1.example.org service.us-west-1.consul\n" + _FORWARD,
         "ftp.service.us-west-1.example.org A"),
    case("rewrite suffix", "    rewrite name suffix .schmoogle.com. .google.com.\n" + _FORWARD, "www.schmoogle.com A",
         "schmoogle.com A"),
    case("rewrite suffix auto", "    rewrite stop {\n        name suffix .schmoogle.com. .google.com. answer auto\n    }\n"
         + _FORWARD, "www.schmoogle.com A"),
    case("rewrite prefix", "    rewrite name prefix x www\n" + _FORWARD, "x.example.org A"),
    case("rewrite regex", "    rewrite name regex (.*)-(us-west-1)\\.example\\.org {1}.service.{2}.consul\n" + _FORWARD,
         "ftp-us-west-1.example.org A", "www.example.org A"),
    case("rewrite answer", """    rewrite stop {
        name regex (.*)-(us-west-1)\\.coredns\\.rocks {1}.service.{2}.consul
        answer name (.*)\\.service\\.(us-west-1)\\.consul {1}-{2}.coredns.rocks
    }
""" + _FORWARD, "ftp-us-west-1.coredns.rocks A"),
    case("rewrite value", """    rewrite stop {
        name suffix .arpa .arpa
        answer name auto
        answer value (.*)\\.service\\.consul\\. {1}.coredns.rocks.
    }
""" + _FORWARD, "30.30.30.10.in-addr.arpa PTR"),
    case("rewrite type", "    rewrite type ANY A\n    rewrite type MX TXT\n" + _FORWARD, "www.example.org ANY",
         "www.example.org MX"),
    case("rewrite class", "    rewrite class CH IN\n" + _FORWARD, "www.example.org A CH"),
    case("rewrite ttl", "    rewrite continue {\n        ttl regex (.*)\\.example\\.org 15\n    }\n"
         "    rewrite ttl google.com. 30-100\n    rewrite ttl example.org. -30\n" + _FORWARD,
         "www.example.org A", "google.com A", "example.org A", "www.google.com A"),
    case("rewrite rcode", "    rewrite continue {\n        rcode regex (.*)\\.example\\.org NXDOMAIN NOERROR\n    }\n"
         + _FORWARD, "missing.example.org A", "missing.example.net A"),
    case("rewrite cname", "    rewrite cname regex (.*).cdn.example.net. {1}.other.cdn.com.\n" + _FORWARD, "my-app.com A"),

    case("file", "    file FOLDER/db.example.org example.org", *every(
        "example.org", "www.example.org", "alias.example.org", "far.example.org", "x.wild.example.org",
        "wild.example.org", "empty.example.org", "er.empty.example.org", "missing.example.org", "sub.example.org",
        "x.sub.example.org", "ns.sub.example.org", "mail.example.org", "srv.example.org"), "example.org A do",
        "example.net A"),
    case("root", "    root FOLDER\n    file db.example.org example.org", "www.example.org A"),
    case("loadbalance", "    loadbalance round_robin\n" + _FORWARD, "ftp.service.us-west-1.consul A"),
    case("loadbalance prefer", "    loadbalance round_robin {\n        prefer 10.20.0.0/16\n    }\n" + _FORWARD,
         "ftp.service.us-west-1.consul A"),
    Case("view source", """.:PORT {
    bind 127.0.0.1
    view example1 {
        expr incidr(client_ip(), '127.0.1.0/24')
    }
    hosts {
        1.1.1.1 test
    }
}
.:PORT {
    bind 127.0.0.1
    hosts {
        3.3.3.3 test
    }
}
""", ("test A", "test A from=127.0.1.5", "test AAAA from=127.0.1.5")),
    Case("view type", """.:PORT {
    bind 127.0.0.1
    view example {
        expr type() in ['A', 'AAAA']
    }
    forward . 127.0.0.1:UPSTREAM2
}
.:PORT {
    bind 127.0.0.1
    forward . 127.0.0.1:UPSTREAM
}
""", ("example.org A", "example.org MX", "www.example.org TXT")),
    Case("view name", """.:PORT {
    bind 127.0.0.1
    view example {
        expr name() matches '^abc\\\\..*\\\\.example\\\\.com\\\\.$'
    }
    forward . 127.0.0.1:UPSTREAM2
}
.:PORT {
    bind 127.0.0.1
    forward . 127.0.0.1:UPSTREAM
}
""", ("abc.x.example.com A", "example.org A")),
    Case("blocks", """lab.example.local:PORT {
    bind 127.0.0.1
    forward . 127.0.0.1:UPSTREAM2
}
example.local:PORT {
    bind 127.0.0.1
    forward . 127.0.0.1:UPSTREAM3
}
.:PORT {
    bind 127.0.0.1
    forward . 127.0.0.1:UPSTREAM
}
""", ("name.lab.example.local A", "name.example.local A", "example.org A")),
]
