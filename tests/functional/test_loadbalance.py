"""`loadbalance`: in which order an answer's addresses stand."""
from collections import Counter
from pathlib import Path

import pytest

from test_file import replace
from vigie_process import addresses, free_port, refused_configuration, wait_for

NAME = "web.example.org"
ALL = ["10.0.0.1", "10.0.0.2", "192.0.2.1", "192.0.2.2", "203.0.113.1"]
ROUNDS = 400


def corefile(loadbalance: str, hosts: list[str] = ALL) -> str:
    lines = "\n".join(f"\t\t{address} {NAME}" for address in hosts)
    return f".:PORT {{\n\tbind 127.0.0.1\n\tloadbalance {loadbalance}\n\thosts /dev/null {{\n{lines}\n\t}}\n}}\n"


def firsts(vigie, rounds: int = ROUNDS, rdtype: str = "A") -> Counter:
    """Which address stood first how often; all others must be there, too."""
    result: Counter = Counter()
    for _ in range(rounds):
        answer = addresses(vigie.ask(NAME, rdtype))
        result[answer[0]] += 1
        assert len(set(answer)) == len(answer)
    return result


def test_each_address_comes_first(start):
    vigie = start(corefile("round_robin"))
    assert set(firsts(vigie)) == set(ALL)


def test_preferred_networks_come_first(start):
    vigie = start(corefile("round_robin {\n\t\tprefer 192.0.2.0/24\n\t\tprefer 10.0.0.0/8 2001:db8::/32\n\t}"))
    seen = set()
    for _ in range(60):
        answer = addresses(vigie.ask(NAME))
        assert sorted(answer[:2]) == ["192.0.2.1", "192.0.2.2"]
        assert sorted(answer[2:4]) == ["10.0.0.1", "10.0.0.2"]
        assert answer[4:] == ["203.0.113.1"]
        seen.add(tuple(answer))
    assert len(seen) > 1, "within a network the order still changes"


def test_preferred_networks_of_ipv6(start):
    vigie = start(corefile("{\n\t\tprefer 2001:db8:2::/48\n\t}", ["2001:db8:1::1", "2001:db8:2::1", "2001:db8:3::1"]))
    assert set(firsts(vigie, 20, "AAAA")) == {"2001:db8:2::1"}


def test_weights(start, tmp_path: Path):
    weights = tmp_path / "weights"
    weights.write_text(f"# a comment\n\n{NAME.upper()}.\n10.0.0.1 200\n 192.0.2.1\t100 \nother.example.org\n10.0.0.2 255\n")
    counts = firsts(start(corefile(f"weighted {weights}")))
    # 200, 100 and three times 1 of 303: further than six standard deviations off is no chance
    assert abs(counts["10.0.0.1"] - ROUNDS * 200 / 303) < 57
    assert abs(counts["192.0.2.1"] - ROUNDS * 100 / 303) < 57


def test_weights_leave_the_rest_in_order(start, tmp_path: Path):
    weights = tmp_path / "weights"
    weights.write_text(f"{NAME}\n203.0.113.1 255\n")
    vigie = start(corefile(f"weighted {weights}"))
    orders = {tuple(addresses(vigie.ask(NAME))) for _ in range(40)}
    assert ("203.0.113.1", "10.0.0.2", "192.0.2.1", "192.0.2.2", "10.0.0.1") in orders


def test_weights_are_read_again(start, tmp_path: Path):
    weights = tmp_path / "weights"
    weights.write_text(f"{NAME}\n10.0.0.1 255\n")
    vigie = start(corefile(f"weighted {weights} {{\n\t\treload 50ms\n\t}}"))
    assert firsts(vigie, 50).most_common(1)[0][0] == "10.0.0.1"
    replace(weights, "10.0.0.1\n")
    vigie.wait_for_log(r"weights:1: '10\.0\.0\.1' is an address without a weight: the old weights stay")
    assert firsts(vigie, 50).most_common(1)[0][0] == "10.0.0.1"
    replace(weights, f"{NAME}\n203.0.113.1 255\n# longer\n")
    vigie.wait_for_log("Successfully reloaded weight file")
    wait_for(lambda: firsts(vigie, 50).most_common(1)[0][0] == "203.0.113.1", "the new weights")


@pytest.mark.parametrize("text, expected", [
    ("10.0.0.1 5\n", "weights:1: '10.0.0.1' stands before the first domain name"),
    (f"{NAME}\n10.0.0.1\n", "weights:2: '10.0.0.1' is an address without a weight"),
    (f"{NAME}\n10.0.0.1 0\n", "weights:2: '0' is no weight from 1 to 255"),
    (f"{NAME}\n10.0.0.1 256\n", "weights:2: '256' is no weight from 1 to 255"),
    (f"{NAME}\n10.0.0.1 5x\n", "weights:2: '5x' is no weight from 1 to 255"),
    (f"{NAME}\n10.0.0 5\n", "weights:2: '10.0.0' is no IP address"),
    (f"{NAME}\n10.0.0.0/8 5\n", "weights:2: '10.0.0.0/8' is no IP address"),
    (f"{NAME}\n10.0.0.1 5 6\n", "weights:2: '10.0.0.1' begins a line of more than an address and its weight"),
    ("a..b\n", "weights:1: 'a..b' is no domain name"),
    ("x" * 2000 + "\n", "weights:1: the line is too long"),
    (None, "No such file or directory"),
])
def test_bad_weights(tmp_path: Path, text: str | None, expected: str):
    weights = tmp_path / "weights"
    if text is not None:
        weights.write_text(text)
    said = refused_configuration(tmp_path, corefile(f"weighted {weights}").replace("PORT", str(free_port())))
    assert "Corefile:3: " in said and expected in said


@pytest.mark.parametrize("loadbalance, expected", [
    ("weighted", "weighted"),
    ("weighted a b", "b"),
    ("{\n\t\tprefer\n\t}", "prefer"),
    ("{\n\t\tprefer 10.0.0.0/33\n\t}", "'10.0.0.0/33' is no network"),
    ("{\n\t\treload 5s\n\t}", "'reload' goes with 'weighted' alone"),
    ("round_robin {\n\t\tshuffle\n\t}", "shuffle"),
])
def test_mistakes(tmp_path: Path, loadbalance: str, expected: str):
    assert expected in refused_configuration(tmp_path, corefile(loadbalance).replace("PORT", str(free_port())))
