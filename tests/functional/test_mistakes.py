"""Deliberate mistakes in Corefiles: one line each that a newcomer can act on, from the server and from `vigie check`."""
import re
import subprocess
from pathlib import Path

import pytest

from vigie_process import BINARY, ENVIRONMENT, PATIENCE, SANITIZER, TOP, refused_configuration

# What somebody wrote, and all that is said about it. FOLDER is where the Corefile stands.
MISTAKES = {
    "a misspelt directive": (".:5399 {\n    helath\n}\n",
                             "Corefile:2: unknown directive 'helath': did you mean 'health'?"),
    "capital letters": (".:5399 {\n    HEALTH\n}\n", "Corefile:2: unknown directive 'HEALTH': did you mean 'health'?"),
    "swapped letters": (".:5399 {\n    kuberentes cluster.local\n}\n",
                        "Corefile:2: unknown directive 'kuberentes': did you mean 'kubernetes'?"),
    "a directive that vigie has not": (".:5399 {\n    etcd skydns.local\n}\n",
                                       "Corefile:2: unknown directive 'etcd': vigie does not read etcd"),
    "one that only CoreDNS' tests need": (".:5399 {\n    erratic\n}\n",
                                          "Corefile:2: unknown directive 'erratic': vigie fails on nobody's behalf"),
    "a misspelt option of vigie's own": (".:5399 {\n    cache {\n        bugdet 4MiB\n    }\n}\n",
                                         "Corefile:3: unknown option 'bugdet' of 'cache': did you mean 'budget'?"),
    "a directive of the past": (".:5399 {\n    proxy . 10.0.0.53\n}\n",
                                "Corefile:2: unknown directive 'proxy': CoreDNS dropped it in 1.5; 'forward' takes its "
                                "place"),
    "a directive that nobody knows": (".:5399 {\n    frobnicate\n}\n", "Corefile:2: unknown directive 'frobnicate'"),
    "an option outside of its directive": (".:5399 {\n    health\n    lameduck 5s\n}\n",
                                           "Corefile:3: unknown directive 'lameduck': it is an option of 'health' and "
                                           "belongs between that one's braces"),
    "a misspelt option": (".:5399 {\n    kubernetes cluster.local {\n        pod insecure\n    }\n}\n",
                          "Corefile:3: unknown option 'pod' of 'kubernetes': did you mean 'pods'?"),
    "a brace in the wrong place": (".:5399 {\n    health {\n        lameduck 5s\n    ready\n    }\n}\n",
                                   "Corefile:4: unknown option 'ready' of 'health': it is a directive; is a '}' missing "
                                   "before it?"),
    "a missing brace": (".:5399 {\n    errors\n    health {\n        lameduck 5s\n    }\n",
                        "Corefile:1: '{' is never closed: a '}' is missing in this file"),
    "a brace too many": (".:5399 {\n    errors\n}\n}\n", "Corefile:4: '}' closes nothing: no '{' is open here"),
    "no space before a brace": (".:5399{\n    errors\n}\n", "Corefile:1: '.:5399{': '{' needs a space before it"),
    "a duration without a unit": (".:5399 {\n    health {\n        lameduck 5\n    }\n}\n",
                                  "Corefile:3: '5': this duration ends without a unit: ns, us, ms, s, m or h"),
    "a duration of no kind": (".:5399 {\n    health {\n        lameduck soon\n    }\n}\n",
                              "Corefile:3: 'soon' is not a duration, such as 250ms, 5s or 1m30s"),
    "a value that is missing": (".:5399 {\n    health {\n        lameduck\n    }\n}\n",
                                "Corefile:3: 'lameduck' needs 1 argument, not 0"),
    "a word too many": (".:5399 {\n    ready :8181 now\n}\n",
                        "Corefile:2: 'now' is one argument too many for 'ready'"),
    "an address that is none": (".:5399 {\n    health localhost\n}\n", "Corefile:2: 'localhost' is no HOST:PORT"),
    "a number out of range": (".:5399 {\n    kubernetes cluster.local {\n        ttl 3601\n    }\n}\n",
                              "Corefile:3: '3601' is not a number from 0 to 3600"),
    "a choice that there is not": (".:5399 {\n    kubernetes cluster.local {\n        pods maybe\n    }\n}\n",
                                   "Corefile:3: 'pods' takes disabled, insecure or verified, not 'maybe'"),
    "an upstream that is no address": (".:5399 {\n    forward . conf/resolv.conf\n}\n",
                                       "Corefile:2: 'conf/resolv.conf' is neither an address, nor a host name, nor a file like "
                                       "resolv.conf that can be read (No such file or directory)"),
    "a file that cannot be read": (".:5399 {\n    import custom/nothing.override\n}\n",
                                   "Corefile:2: import 'custom/nothing.override': no snippet has that name, and file "
                                   "'FOLDER/custom/nothing.override': No such file or directory"),
    "a zone twice in a block": ("example.org:5399 EXAMPLE.org:5399 {\n    errors\n}\n",
                                "Corefile:1: 'EXAMPLE.org:5399': zone 'example.org.' at port 5399 is a key of this block "
                                "already, by 'example.org:5399' at FOLDER/Corefile:1"),
    "a zone in two blocks": ("example.org:5399 {\n    errors\n}\nexample.org:5399 {\n    errors\n}\n",
                             "Corefile:4: 'example.org:5399' is served on [::]:5399 already, by 'example.org:5399' at "
                             "FOLDER/Corefile:1"),
    "a port that there is not": (".:53535353 {\n    errors\n}\n",
                                 "Corefile:1: '.:53535353': '53535353' is not a port, which is a number from 1 to 65535"),
    "a name that is no zone": ("example..org:5399 {\n    errors\n}\n",
                               "Corefile:1: 'example..org:5399' is not a zone: a name has labels of 1 to 63 bytes and "
                               "at most 255 in all"),
    "an interface that there is not": (".:5399 {\n    bind eth99\n}\n",
                                       "Corefile:2: 'eth99' is neither an IP address nor an interface of this machine"),
    "a directive twice": (".:5399 {\n    ready\n    ready\n}\n",
                          "Corefile:3: 'ready' stands in this block already, at FOLDER/Corefile:2"),
    "nothing at all": ("", "Corefile:1: the Corefile is empty: it needs a server block, such as '. { errors }'"),
}


def check(*arguments: str) -> subprocess.CompletedProcess:
    done = subprocess.run([BINARY, "check", *arguments], env=ENVIRONMENT, capture_output=True, text=True,
                          timeout=PATIENCE)
    assert not SANITIZER.search(done.stderr), done.stderr
    return done


def write(folder: Path, text: str) -> Path:
    (folder / "Corefile").write_text(text)
    return folder / "Corefile"


@pytest.mark.parametrize("text, line", MISTAKES.values(), ids=MISTAKES)
def test_one_line_says_what_is_wrong(tmp_path, text, line):
    line = f"{tmp_path}/{line.replace('FOLDER', str(tmp_path))}"
    assert refused_configuration(tmp_path / "server", text).replace("/server/", "/") == f"vigie: {line}\n"
    done = check("-conf", str(write(tmp_path, text)))
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.splitlines()[0] == line
    assert len(done.stderr.splitlines()) <= 2, "one mistake, and their number"


def test_all_mistakes_at_once(tmp_path):
    """In the order of the file, each once, also those of a snippet that two blocks use."""
    (tmp_path / "part").write_text("bogus\n")
    done = check("-conf", str(write(tmp_path, """(common) {
    errors
    loadbalance bogus
}
.:5399 {
    import common
    health {
        lameduck 5
        lameducks 5s
    }
    cachee 30
    forward . 127.0.0.1 {
        policy any
        bogus
    }
}
example.org:5399 {
    import common
    import part
    ready here
}
""")))
    lines = [re.match(rf"{re.escape(str(tmp_path))}/(\S+:\d+): ", line)[1] for line in done.stderr.splitlines()[:-1]]
    assert lines == ["Corefile:3", "Corefile:8", "Corefile:9", "Corefile:11", "Corefile:13", "Corefile:14",
                     "Corefile:20", "part:1"], done.stderr
    assert done.stderr.splitlines()[-1] == "8 mistakes"
    assert done.returncode == 1 and done.stdout == ""


def test_keys_and_imports_are_among_them(tmp_path):
    """A key that is none does not hide what is in its block, nor an import what follows it; a block that has no key left
    says nothing more."""
    done = check("-conf", str(write(tmp_path, """example..org:5399 example.net:99999 fine.example:5399 {
    import nowhere
    bogus1
}
example..com:5399 {
    bogus2
}
other.example:5399, a..b {
    bogus3
    import gone/*[
}
""")))
    lines = [re.match(rf"{re.escape(str(tmp_path))}/Corefile:(\d+): ", line)[1] for line in done.stderr.splitlines()[:-1]]
    assert lines == ["1", "1", "2", "3", "5", "8", "9", "10"], done.stderr
    assert done.stderr.splitlines()[-1] == "8 mistakes"


def test_a_file_with_nothing_but_mistakes(tmp_path):
    done = check("-conf", str(write(tmp_path, "a..b {\n    errors\n}\n")))
    assert done.stderr.splitlines()[1:] == ["1 mistake"] and "'a..b' is not a zone" in done.stderr


def test_a_mistake_does_not_make_others(tmp_path):
    """Without its `bind` a block would be in the way of another one, without its option a directive incomplete."""
    done = check("-conf", str(write(tmp_path, """.:5399 {
    bind 127.0.0.1
    errors
}
.:5399 {
    bind 127.0.0.256
    errors
}
""")))
    assert done.stderr.splitlines()[1:] == ["1 mistake"], done.stderr


def test_more_mistakes_than_anybody_reads(tmp_path):
    """MISTAKES_MAX"""
    lines = "".join(f"    bogus{number}\n" for number in range(150))
    done = check("-conf", str(write(tmp_path, f".:5399 {{\n{lines}}}\n")))
    assert done.stderr.splitlines()[-1] == "100 mistakes"


def test_what_a_corefile_would_do(tmp_path):
    """Ports, networks, snippets and the environment unfolded, directives in the order of the chain; nothing is
    opened, so that a port in use, or below 1024 for somebody who is not root, does not matter."""
    path = write(tmp_path, """(common) {
    errors
}
example.org 10.0.0.0/15:1053 tls://example.net:853 {
    loadbalance
    import common
    forward . 127.0.0.1 {
        policy sequential
    }
    health 127.0.0.1:99 {
        lameduck 5s
    }
}
""".replace(" tls://example.net:853", ""))
    done = check("-p", "53", "-conf", str(path))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == """example.org.:53 0.10.in-addr.arpa.:1053 1.10.in-addr.arpa.:1053 {
    health 127.0.0.1:99 {
        lameduck 5s
    }
    errors
    loadbalance
    forward . 127.0.0.1 {
        policy sequential
    }
}
"""
    again = tmp_path / "again"
    again.write_text(done.stdout)
    assert check("-conf", str(again)).stdout == done.stdout, "what it prints is a Corefile"


def test_warnings_come_once(tmp_path):
    done = check("-conf", str(write(tmp_path, ".:5399 {\n    errors {\n        stacktrace\n    }\n}\n")))
    assert done.returncode == 0
    assert done.stdout.count("stacktrace' has no effect") == 1


def test_arguments_of_check(tmp_path):
    done = check("-bogus")
    assert done.returncode == 2 and done.stderr.startswith("vigie check: unknown flag '-bogus'\nUsage of vigie:\n")
    done = check("-h")
    assert done.returncode == 0 and "vigie check" in done.stdout
    done = check("-conf", str(tmp_path / "nothing"))
    assert (done.returncode, done.stderr) == (1, f"{tmp_path}/nothing: No such file or directory\n1 mistake\n")


def known_options() -> list[tuple[str, list[str]]]:
    """What src/directives/words.c lists: a directive and its options."""
    text = (TOP / "src" / "directives" / "words.c").read_text()
    table = text[text.index("known_options[] = {"):text.index("others[] = {")]
    rows = [(name, " ".join(re.findall(r'"([^"]*)"', row)).split())
            for name, row in re.findall(r'\{"(\w+)",((?:\s*"[^"]*")+)\}', table)]
    assert ("health", ["lameduck"]) in rows
    return rows


def test_the_hints_know_all_options():
    """Those that docs/corefile.md shows for each directive."""
    known = dict(known_options())
    shown = 0
    for directive, text in re.findall(r"^### (\w+)\n(.*?)(?=^##)", (TOP / "docs" / "corefile.md").read_text(), re.MULTILINE | re.DOTALL):
        synopsis = re.search(rf"^ *{directive}\b[^\n]*{{\n(.*?)^ *}}", text, re.MULTILINE | re.DOTALL)
        options = set(re.findall(r"^ +([a-z0-9_]+)(?= |$)", synopsis[1] if synopsis else "", re.MULTILINE))
        assert options <= set(known.get(directive, [])), directive
        shown += len(options)
    assert shown > 80


def test_the_hints_name_real_options():
    """The list is no longer than what directives take."""
    listed = subprocess.run([BINARY, "-plugins"], capture_output=True, text=True, check=True).stdout.split()
    for directive, options in known_options():
        assert f"dns.{directive}" in listed
        for option in options:
            source = f".:5399 {{\n {directive} . 127.0.0.1 {{\n  {option}\n }}\n}}\n"
            if directive != "forward":
                source = source.replace(" . 127.0.0.1", "")
            done = subprocess.run([BINARY, "check", "-conf", "/dev/stdin"], input=source, env=ENVIRONMENT,
                                  capture_output=True, text=True)
            assert f"unknown option '{option}'" not in done.stderr, (directive, option, done.stderr)
