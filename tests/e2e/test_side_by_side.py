"""vigie and CoreDNS on one control plane, asked the same questions: the answers agree record for record, but where
docs/differences.md says otherwise."""
import ipaddress
import re
from collections import Counter

import dns.rcode
import pytest

from asker import Answer, TcpAsker, UdpAsker, parse
from generator import Generator
from objects import dashed, reverse
from questions import A, AAAA, CNAME, IN, PTR, SOA, SRV, TXT, Question, Questions
from servers import MANIFESTS, TOP, Server, corefile

SEED = 1
SERVICES = 35  # of each namespace, beside the special ones
QUESTIONS = 2300  # of each option set: some 20,000 in all
OPTION_SETS = {
    "default": {},
    "bare": {"options": []},
    "verified": {"options": ["pods verified", "endpoint_pod_names", "fallthrough"]},
    "noendpoints": {"options": ["noendpoints", "pods insecure"]},
    "ignore empty": {"options": ["ignore empty_service", "ttl 0"]},
    "zonal": {"options": ["zonal", "namespaces team-a svc", "ttl 3600"]},
    "labels": {"options": ["labels dns=yes"]},
    "namespace labels": {"options": ["namespace_labels dns=yes"]},
    "networks": {"zones": "cluster.local 10.96.0.0/16 10.244.0.0/15 fd00:244::/63", "options": []},
}
NOERROR, NXDOMAIN, REFUSED = dns.rcode.NOERROR, dns.rcode.NXDOMAIN, dns.rcode.REFUSED
SVC = r"svc\.cluster\.local\."


def is_nodata(answer: Answer) -> bool:
    return answer.rcode == NOERROR and not answer.answer


def types(section: tuple) -> set[int]:
    return {row[1] for row in section}


def is_reverse(question: Question) -> bool:
    return question.name.endswith(("in-addr.arpa.", "ip6.arpa."))


# Each rule is named in its row of docs/differences.md. It gets the question, vigie's answer and CoreDNS' answer,
# which differ, and says whether that is why.

def class_is_not_in(question, ours, theirs):
    return question.rdclass != IN and ours.rcode == REFUSED


def soa_of_a_missing_name(question, ours, theirs):
    return question.rdtype == SOA and ours.rcode == NXDOMAIN and is_nodata(theirs)


def node_above_names(question, ours, theirs):
    """Names that exist because there is something below them."""
    return (is_nodata(ours) and theirs.rcode == NXDOMAIN
            and (question.name == "dns.cluster.local."
                 or re.fullmatch(rf"_(tcp|udp|sctp)\.[^.]+\.[^.]+\.{SVC}", question.name) is not None
                 or re.fullmatch(rf"((pin|prefer)\.)?_zone\.[^.]+\.[^.]+\.{SVC}", question.name) is not None
                 or (is_reverse(question) and not is_whole_address(question.name))))


def is_whole_address(name: str) -> bool:
    return len(name.split(".")) == (35 if name.endswith("ip6.arpa.") else 7)


def other_type_of_a_name_that_exists(question, ours, theirs):
    """dns-version has a TXT record alone; a reverse name has PTR records alone; TXT of names without records."""
    fell_through = is_nodata(theirs) and any(row[0] == "." for row in theirs.authority)
    return is_nodata(ours) and (theirs.rcode == NXDOMAIN or fell_through) and (
        question.name in ("dns-version.cluster.local.", "ns.dns.cluster.local.") or (is_reverse(question) and question.rdtype != PTR)
        or question.rdtype == TXT)


def address_of_a_port(question, ours, theirs):
    """_port._protocol names have SRV records alone."""
    return (is_nodata(ours) and bool(types(theirs.answer)) and types(theirs.answer) <= {A, AAAA, CNAME}
            and question.rdtype in (A, AAAA) and re.fullmatch(rf"[^.]+\.[^.]+\.[^.]+\.[^.]+\.{SVC}", question.name))


def empty_port_or_protocol(question, ours, theirs):
    """An underscore alone is no wildcard."""
    return ours.rcode == NXDOMAIN and any(label in ("_", "__") for label in question.name.split(".")[:2])


def cname_for_every_type(question, ours, theirs):
    return CNAME in types(ours.answer) and is_nodata(theirs) and ours.rcode == NOERROR


def cname_of_a_missing_target(question, ours, theirs):
    return CNAME in types(ours.answer) and ours.rcode == NXDOMAIN


def srv_of_a_pod(question, ours, theirs):
    return question.rdtype == SRV and ".pod.cluster.local." in question.name and is_nodata(ours)


def reverse_name_that_is_too_long(question, ours, theirs):
    return is_reverse(question) and len(question.name.split(".")) > 35 and ours.rcode == NXDOMAIN


def addresses_that_are_names(question, ours, theirs):
    """Slices of addressType FQDN are not served; such a Service may be there by nothing else."""
    return any("outside.example.com" in row[3] for row in theirs.answer) or (
        ours.rcode == NXDOMAIN and any(f".{question.name}".endswith(f".{own}") for own in _with_names))


_with_names: set[str] = set()  # Services that have such a slice


def name_of_a_hidden_namespace(question, ours, theirs):
    """PTR records do not tell of Services in namespaces that are not exposed, or of Services that do not exist. Of an
    endpoint without any, CoreDNS makes a name with an empty label, which it cannot write: it does not answer."""
    if theirs is None:
        return ours.rcode == NXDOMAIN and question.name in _unowned
    return is_reverse(question) and (ours.rcode == NXDOMAIN or bool(ours.answer)) and (
        types(theirs.answer) <= {PTR} and set(ours.answer) < set(theirs.answer))


_unowned: set[str] = set()  # reverse names of endpoints in slices without a Service


def chain_of_more_than_ten(question, ours, theirs):
    return len([row for row in ours.answer if row[1] == CNAME]) == 10 and len(
        [row for row in theirs.answer if row[1] == CNAME]) == 11


def link_local_name_server(question, ours, theirs):
    return any(row[1] == AAAA and ipaddress.ip_address(row[3]).is_link_local for row in theirs.answer + theirs.additional)


def pod_name_with_dots(question, ours, theirs):
    """`endpoint_pod_names` takes names that are a label; the others have their address, as without the option."""
    return any("pod.with.dots" in row[0] + row[3] for row in theirs.answer + theirs.additional) or (
        "pod.with.dots" in question.name) or (ours.rcode == NOERROR and theirs.rcode == NXDOMAIN
                                              and question.name.split(".")[0] in _dotted)


_dotted: set[str] = set()  # generated names of endpoints whose Pods have such a name


def second_address_of_a_pod(question, ours, theirs):
    return ".pod.cluster.local." in question.name and ours.rcode == NOERROR and theirs.rcode == NXDOMAIN


def names_that_stay(question, ours, theirs):
    """Of names that fall through, the cluster's own and those of special use do not reach the default upstream."""
    of_localhost = bool(ours.answer) and all(row[1] == PTR and row[3] == "localhost." for row in ours.answer)
    return (ours.rcode == NXDOMAIN or is_nodata(ours) or of_localhost) and any(row[0] == "." for row in theirs.authority) and (
        question.name.endswith("cluster.local.") or is_reverse(question))


def soa_behind_cnames(question, ours, theirs):
    return (ours.answer == theirs.answer and types(ours.answer) == {CNAME} and types(ours.authority) == {SOA}
            and not theirs.authority)


RULES = [class_is_not_in, soa_of_a_missing_name, node_above_names, other_type_of_a_name_that_exists, address_of_a_port,
         empty_port_or_protocol, cname_for_every_type, cname_of_a_missing_target, srv_of_a_pod,
         reverse_name_that_is_too_long, addresses_that_are_names, name_of_a_hidden_namespace, chain_of_more_than_ten,
         link_local_name_server, pod_name_with_dots, second_address_of_a_pod, soa_behind_cnames, names_that_stay]


def differ(ours: Answer, theirs: Answer) -> bool:
    """Flags are not compared: whether recursion is available is said by vigie, and never by CoreDNS."""
    return ((ours.rcode, ours.answer, ours.authority, ours.additional, ours.truncated)
            != (theirs.rcode, theirs.answer, theirs.authority, theirs.additional, theirs.truncated))


def explain(question: Question, ours, theirs) -> str | None:
    """The rule that a difference falls under; "" when there is none; None when no rule explains it."""
    if theirs is None and isinstance(ours, Answer) and name_of_a_hidden_namespace(question, ours, theirs):
        return name_of_a_hidden_namespace.__name__
    if not isinstance(ours, Answer) or not isinstance(theirs, Answer):
        return "" if ours == theirs else None
    if not differ(ours, theirs):
        return ""
    return next((rule.__name__ for rule in RULES if rule(question, ours, theirs)), None)


def ask_all(server: Server, questions: list[Question]) -> list[Answer | str | None]:
    answers: dict[int, bytes | None] = {}
    for tcp, asker in ((False, UdpAsker(server.port)), (True, TcpAsker(server.port))):
        numbers = [number for number, question in enumerate(questions) if question.tcp is tcp]
        answers |= zip(numbers, asker.ask([questions[number] for number in numbers]))
        asker.close()
    return [parse(question, answers[number]) for number, question in enumerate(questions)]


def ask_both(servers: list[Server], questions: list[Question]) -> list[tuple]:
    """Each question with both answers. What one of them truncated is asked of both by TCP."""
    rows = list(zip(questions, *(ask_all(server, questions) for server in servers)))
    cut = [number for number, (_, *answers) in enumerate(rows)
           if any(isinstance(answer, Answer) and answer.truncated for answer in answers)]
    again = [Question(rows[number][0].labels, rows[number][0].rdtype, True, rows[number][0].rdclass) for number in cut]
    for number, row in zip(cut, zip(again, *(ask_all(server, again) for server in servers))):
        rows[number] = row
    return rows


@pytest.fixture(scope="module")
def generated(control_plane, api) -> Questions:
    control_plane.kubectl("apply", "--filename", MANIFESTS / "optional" / "rbac-pods.yaml")
    generator = Generator(SEED).build(SERVICES)
    generator.load(api)
    slices = api.items("EndpointSlice")
    for one in slices:
        if one["addressType"] == "FQDN":
            owner = one["metadata"]["labels"]["kubernetes.io/service-name"]
            _with_names.add(f"{owner}.{one['metadata']['namespace']}.svc.cluster.local.")
        for point in one["endpoints"] or []:
            if point.get("targetRef", {}).get("name") == "pod.with.dots":
                labels = [dashed(address) for address in point["addresses"]]
                _dotted.update(label + "0" if label.endswith("-") else label for label in labels)
            if "kubernetes.io/service-name" not in one["metadata"].get("labels", {}) and one["addressType"] != "FQDN":
                _unowned.update(reverse(address) + "." for address in point["addresses"])
    return Questions(generator, slices, SEED)


def test_answers_agree(generated, start_server):
    used: Counter[str] = Counter()
    asked = 0
    unexplained = []
    for name, options in OPTION_SETS.items():
        servers = [start_server(kind, corefile(**options)) for kind in ("vigie", "coredns")]
        for question, ours, theirs in ask_both(servers, generated.draw(QUESTIONS)):
            asked += 1
            rule = explain(question, ours, theirs)
            if rule is None:
                unexplained.append(f"== {name}: {question}\nvigie:   {ours}\nCoreDNS: {theirs}")
            elif rule:
                used[rule] += 1
        for server in servers:
            server.stop()
    print(f"\n{asked} questions, {sum(used.values())} answers differ by a rule, {len(unexplained)} otherwise")
    for rule, count in used.most_common():
        print(f"{count:6} {rule}")
    assert not unexplained, "\n".join(unexplained[:20])
    assert {rule.__name__ for rule in RULES} == set(used), "each rule has its use"


def test_each_rule_is_documented():
    text = (TOP / "docs" / "differences.md").read_text()
    assert [rule.__name__ for rule in RULES if f"`{rule.__name__}`" not in text] == []
