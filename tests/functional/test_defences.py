"""Each defence is needed: with one line of it changed the test that is named for it fails.

As tests/unit/forward/mutants.py, for what only the whole server shows: the changed file is compiled as the build compiles
it, linked before the libraries, and the test is run against that server. A row says which attack it is about."""
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from vigie_process import BUILD, TOP

# The attack, the file, what stands there, what stands there instead, the test that must fail.
MUTANTS = [
    ("many queries for one question (CVE-2023-30464)", "forward/inflight.c", "return entry->hash == hash &&", "return false &&",
     "test_forward_upstreams.py::test_identical_questions_are_one[1000]"),
    ("a client's options make a question another one (CVE-2025-5994)", "forward/exchanger.c", "query->forward_options ?", "query->edns ?",
     "test_forward_upstreams.py::test_identical_questions_are_one[1000]"),
    ("replies of strangers (SAD DNS)", "forward/datagram.c",
     """	if (connect(datagram->fd, to, address_length(to)) ||
	    send(datagram->fd, attempt->asked, attempt->asked_length, 0) < 0)
""",
     "	if (sendto(datagram->fd, attempt->asked, attempt->asked_length, 0, to, address_length(to)) < 0)\n",
     "test_rfc_matrix_forward.py::test_replies_from_another_address"),
    ("another server by TLS", "forward/tls.c", "SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);", ";",
     "test_forward_tls.py::test_a_certificate_that_does_not_fit[another name]"),
    ("another server by HTTPS", "forward/doh.c", "CURLOPT_SSL_VERIFYPEER, 1L", "CURLOPT_SSL_VERIFYPEER, 0L",
     "test_forward_doh.py::test_other_certificates"),
    ("one zone's upstream answers for another's names (MaginotDNS)", "directives/cache.c",
     "cache->id = vigie_hash_stable(text.data, text.length);", "cache->id = 1;", "test_cache.py::test_blocks_do_not_share_answers"),
    ("records of strangers (CVE-2025-40778)", "directives/forward.c",
     "if (scrub(request->answer, outcome->reply, outcome->length))", "if (0)", "test_cache.py::test_records_of_strangers"),
    ("records of strangers among the addresses of hosts (CVE-2025-11411)", "directives/scrub.c",
     "return asked || holds(&scope->hosts, &owner);", "return true;", "test_cache.py::test_records_of_strangers"),
    ("an answer without validation for who wants it validated (CVE-2024-0874)", "cache/store.c",
     "((query->flags & VIGIE_FLAG_CD) ? OPTION_CD : 0)", "0", "test_cache.py::test_type_class_do_and_cd_are_apart"),
    ("an answer to a client's options for everybody", "directives/cache.c", "!query->forward_options && zones_match", "zones_match",
     "test_rewrite.py::test_what_depends_on_an_option_is_not_cached"),
    ("fragments", "forward/upstream.c", ".udp_size = VIGIE_UDP_SIZE_EDNS", ".udp_size = 4096",
     "test_rfc_matrix_forward.py::test_sizes_without_fragments"),
    ("ids on a connection (CVE-2026-33602)", "forward/stream.c", "slot->id != id", "false",
     "test_forward_connections.py::test_many_queries_on_one[tcp]"),
    ("names of a stub domain leak", "directives/forward.c", "(*place)->from[0].labels >= rule->from[0].labels", "true",
     "test_forward_upstreams.py::test_the_longest_zone_is_asked"),
    ("names of the cluster leak", "directives/guard.c", "if (guarded && labels < guarded->zone.labels)", "if (0)",
     "test_local.py::test_cluster_and_stub_names_never_reach_the_default_upstream"),
    ("special-use names leak", "directives/guard.c", "if (zone && labels < zone->origin.labels)", "if (0)",
     "test_local.py::test_special_use"),
    ("one client takes all places", "forward/inflight.c", "< VIGIE_CLIENT_WAITERS_MAX", "< VIGIE_WAITERS_MAX",
     "test_forward_upstreams.py::test_one_client_cannot_take_all_places"),
    ("replies are piled up (CVE-2024-33655)", "forward/exchanger.c", "waiter->patient = asker->patient;", "waiter->patient = true;",
     "test_forward_upstreams.py::test_a_client_gets_one_answer_in_time_and_no_late_one"),
    ("a server that asks itself", "forward/inflight.c", "return entry->hash == hash &&", "return false &&",
     "test_forward_upstreams.py::test_a_server_that_asks_itself"),
    ("two servers that ask each other", "directives/loop.c", "if (seen >= SEEN_IN_A_LOOP) {", "if (0) {",
     "test_loop.py::test_a_loop_is_found_and_vigie_stays"),
    ("a predictable probe (CVE-2026-26018)", "directives/loop.c", "vigie_random_bytes(random, sizeof(random));", "random[0] = random[1] = 1;",
     "test_loop.py::test_no_loop"),
    ("updates that are forwarded (CVE-2026-86003)", "wire/query.c", "if (query->flags & (VIGIE_FLAG_QR | 0x7800))",
     "if (query->flags & VIGIE_FLAG_QR)", "test_rfc_matrix_messages.py::test_other_kinds_of_query"),
    ("two servers that answer each other's answers", "wire/query.c", "query->flags & VIGIE_FLAG_QR ? VIGIE_GATE_RESPONSE : VIGIE_GATE_OPCODE",
     "VIGIE_GATE_OPCODE", "test_protocol.py::test_responses_get_silence"),
    ("records behind the message (CVE-2018-14663)", "wire/query.c", "	if (at != query->packet_length)", "	if (0)",
     "test_protocol.py::test_trailing_bytes"),
    ("two OPT records (CVE-2026-42004)", "wire/query.c", "if (another || ", "if (", "test_rfc_matrix_messages.py::test_malformed_opt[two]"),
    ("one client asks more than can be answered", "server/udp.c", "if (!fair_admit(&udp->pressure.fair, address, length))", "if (0)",
     "test_overload.py::test_a_greedy_client_is_limited_and_others_are_not[one-address]"),
    ("answers for who has given up", "server/udp.c", "wall_ms - stamp > VIGIE_UDP_AGE_MAX_MS", "false",
     "test_overload.py::test_old_queries_are_dropped_once_the_socket_overflowed[one-address]"),
    ("a flood of names that nobody knows", "server/udp.c", "if (backlog_lasts(&udp->pressure.backlog))", "if (0)",
     "test_overload.py::test_misses_make_way"),
    ("connections that say nothing", "server/tcp.c", "c->pending > 0 ||", "true ||",
     "test_tcp.py::test_idle_connections_are_closed"),
    ("one connection asks without an end", "server/connection.c", "connection->pending >= VIGIE_TCP_PENDING_MAX ||", "",
     "test_tcp.py::test_many_slow_queries_of_one_connection"),
    ("half a query (Slowloris)", "server/tcp.c", "else if (connection->in.length > 0 || connection->queries == 0)", "else if (0)",
     "test_timeouts.py::test_read_and_idle"),
    ("a query that drips", "server/connection.c", "	if (got == 0 || (connection->shut && !connection->tls))",
     "	connection->active_ms = vigie_clock_ms();\n	if (got == 0 || (connection->shut && !connection->tls))",
     "test_timeouts.py::test_a_query_that_drips"),
    ("one client's connections", "server/tcp.c", "if (client_is_full(worker, &connection->origin.client))", "if (0)",
     "test_tcp.py::test_connections_of_one_client"),
    ("too many connections", "server/tcp.c", "worker->connection_count > VIGIE_TCP_CONNECTIONS_MAX", "false",
     "test_tcp.py::test_connections_in_all"),
    ("answers that nobody reads", "server/connection_output.c", "client_unsent(connection) > VIGIE_TCP_CLIENT_BYTES_MAX", "false",
     "test_tcp.py::test_slow_readers_of_one_client_together"),
    ("a crowd at the HTTP endpoints", "ops/http.c", "if (site->connections == VIGIE_HTTP_CONNECTIONS_MAX)", "if (0)",
     "test_metrics.py::test_a_crowd_that_says_nothing"),
    ("a crowd at the control socket", "ops/control.c", "if (control->connections == VIGIE_CONTROL_CONNECTIONS_MAX)", "if (0)",
     "test_debugging.py::test_clients_that_hang"),
    ("an upstream by HTTPS that says too much", "forward/doh.c",
     "	query->carried.carrier = &link->carrier;\n	vigie_buffer_init(&query->body, VIGIE_MESSAGE_MAX);",
     "	query->carried.carrier = &link->carrier;\n	vigie_buffer_init(&query->body, 1 << 30);", "test_forward_doh.py::test_faults[too long]"),
    ("a log that nobody reads", "base/log_writer.c", "	if (!ring ||\n",
     "	while (ring && VIGIE_LOG_BUFFER - (head - atomic_load(&ring->tail)) < length)\n		;\n	if (!ring ||\n",
     "test_log.py::test_a_blocked_standard_output"),
    ("a flood of log lines", "directives/errors.c", "if (rate->lines == LINES_PER_SECOND)", "if (0)",
     "test_log.py::test_a_flood_of_errors_is_cut"),
]


PATIENCE = 5  # seconds: a server that is broken would be waited for in vain for longer


def compile_mutant(folder: Path, file: str, old: str, new: str) -> Path:
    text = (TOP / "src" / file).read_text()
    assert text.count(old) == 1, f"'{old}' stands {text.count(old)} times in {file}"
    source, made = folder / Path(file).name, folder / "mutant.o"
    source.write_text(text.replace(old, new))
    [entry] = [entry for entry in json.loads((BUILD / "compile_commands.json").read_text())
               if (Path(entry["directory"]) / entry["file"]).resolve() == TOP / "src" / file]
    arguments = shlex.split(entry["command"])
    arguments[arguments.index("-o") + 1] = str(made)
    arguments[-1] = str(source)
    for option in ("-MF", "-MQ"):
        arguments[arguments.index(option) + 1] = str(folder / "mutant.d")
    subprocess.run([*arguments, "-w", "-Wno-error", "-iquote", TOP / "src" / Path(file).parent], cwd=entry["directory"], check=True)
    return made


def link(folder: Path, made: Path) -> None:
    commands = subprocess.run(["ninja", "-C", BUILD, "-t", "commands", "vigie"], check=True, capture_output=True, text=True).stdout
    arguments = shlex.split(commands.splitlines()[-1])
    arguments[arguments.index("-o") + 1] = str(folder / "vigie")
    arguments.insert(arguments.index("-o") + 2, str(made))  # before the libraries, whose own is not taken then
    subprocess.run(arguments, cwd=BUILD, check=True)


@pytest.mark.parametrize("file, old, new, test", [pytest.param(*mutant[1:], id=mutant[0]) for mutant in MUTANTS])
def test_the_server_without(tmp_path, file, old, new, test):
    link(tmp_path, compile_mutant(tmp_path, file, old, new))
    run = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp", tmp_path / "tests",
                          TOP / "tests/functional" / test], cwd=TOP, capture_output=True, text=True, timeout=180,
                         env={**os.environ, "VIGIE_BUILD": str(tmp_path), "VIGIE_PATIENCE": str(PATIENCE)})
    assert "in vain for port" not in run.stdout, f"it did not even start\n{run.stdout[-3000:]}"
    assert run.returncode == 1 and re.search(rf"^(FAILED|ERROR) \S*{re.escape(test.split('::')[1])}", run.stdout, re.MULTILINE), run.stdout[-3000:]
