#!/usr/bin/env python3
"""Takes one defence of the forwarder and the cache away at a time and sees that a test notices: mutants.py BUILD.

Each mutant is one source file with one line changed, linked before the module's library, with the test that is already
compiled in BUILD. Run by meson, or by hand."""
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[3]

# File, what stands there, what stands there instead, the test program (of forward, or MODULE/NAME) and the test that
# must fail.
MUTANTS = [
    ("wire/judge.c", "if (memcmp(asked, reply, 2) != 0)", "if (0)", "attacks", "test_another_id"),
    ("wire/judge.c", "	return VIGIE_REPLY_CASE;", "	return VIGIE_REPLY_GOOD;", "attacks", "test_other_letters"),
    ("wire/judge.c", "if (memcmp(asked + name, reply + name, 4) != 0)", "if (0)", "attacks", "test_another_question"),
    ("wire/judge.c", "	return at == length;\n", "	return true;\n", "attacks", "test_malformed_packets_end_nothing"),
    ("wire/judge.c", "if ((read_u16(reply + 2) & (VIGIE_FLAG_QR | OPCODE_MASK)) != VIGIE_FLAG_QR)", "if (0)", "attacks",
     "test_malformed_packets_end_nothing"),
    ("forward/exchange.c", "		pass_over(attempt, fault);\n		return false;", "		conclude(exchange);\n		return true;", "attacks",
     "test_malformed_packets_end_nothing"),
    ("forward/exchange.c", "if (fault == VIGIE_REPLY_ID && !exchange->doubted)", "if (0)", "attacks", "test_a_wrong_id_starts_tcp"),
    ("forward/exchange.c", "	if (mixed)\n", "	if (0)\n", "attacks", "test_ids_ports_and_letters_are_uniform"),
    ("forward/exchange.c", "	vigie_random_bytes(&id, sizeof(id));", "	id = 4711;", "attacks", "test_ids_ports_and_letters_are_uniform"),
    ("forward/ports.c", "	FIRST = 1024,", "	FIRST = 32768,", "attacks", "test_ids_ports_and_letters_are_uniform"),
    ("forward/datagram.c", " && drain(datagram->fd)) {", ") {", "datagram", "test_flooded_socket"),
    ("forward/datagram.c", "source->ss_family != family && ports_are_kernels(port)", "source->ss_family != family", "datagram", "test_ports"),
    ("forward/exchange.c", "	if (fault) {\n", "	if (fault) {\n		learn(attempt, message);\n", "attacks",
     "test_forged_packets_tell_nothing_of_an_upstream"),
    ("forward/exchange.c", "	if (!udp)\n		drop(attempt);", "	drop(attempt);", "exchange", "test_a_forged_refusal_loses_no_reply"),
    ("forward/exchange.c", "	return sent < VIGIE_ATTEMPTS_UPSTREAM;", "	return true;", "exchange", "test_attempts_are_bounded"),
    ("forward/exchange.c", "!upstreams_spend(exchange->set->group)", "false", "exchange", "test_retries_have_a_budget"),
    ("forward/upstream.c", "group->budget = atomic_load(&before->budget);", ";", "exchange", "test_the_budget_outlives_a_reload"),
    ("forward/health.c", "health->suspected = suspected = true;", "health->open = suspected = true;", "exchange",
     "test_a_question_without_answer_gives_nobody_up"),
    ("forward/health.c", "if (most > 0 && health->lost == most)", "if (0)", "exchange", "test_a_silent_one_is_spared"),
    ("forward/exchange.c", "!health->open && health->silent_us == 0 &&", "!health->open &&", "exchange", "test_a_silent_one_is_no_help"),
    ("forward/health.c", "health->open = opens = true;", "opens = true;", "exchange", "test_the_breaker"),
    ("forward/exchange.c", "		health_truncated(health", "		(void)(health", "exchange", "test_truncated_is_asked_by_tcp"),
    # What HTTP says of a message.
    ("forward/doh_message.c", "if (record.type == VIGIE_TYPE_OPT)", "if (0)", "doh_message", "test_ttls"),
    ("forward/doh_message.c", "record.ttl > age ? record.ttl - age : 0", "record.ttl - age", "doh_message", "test_ttls"),
    ("forward/doh_message.c", "*content_type == 0 || *content_type == ';'", "true", "doh_message", "test_content_type"),
    # Amplification: one question, many packets.
    ("forward/exchange.c", "	if (exchange->count >= exchange->set->group->options.attempts)", "	if (exchange->count >= VIGIE_ATTEMPTS_MAX)", "figures",
     "test_amplification"),
    # Parser: what a reply's bytes say of themselves.
    ("wire/judge.c", " || !names_are_sound(reply, length, &record)", "", "wire/judge", "test_names"),
    ("wire/record.c", " || ++pointers > VIGIE_LABELS_MAX", "", "wire/judge", "test_a_staircase_of_pointers"),
    ("wire/record.c", " || target < VIGIE_HEADER_SIZE", "", "wire/judge", "test_names"),
    ("wire/judge.c", "	if (length < VIGIE_HEADER_SIZE + question + (size_t)records * (1 + RECORD_FIXED))", "	if (0)", "wire/judge", "test_records"),
    ("wire/judge.c", "			if (edns || i < before_additional", "			if (0", "wire/judge", "test_opt"),
    ("wire/query.c", "options == VIGIE_EDNS_OPTIONS_MAX || ", "", "wire/query", "test_options"),
    # Hashes that nobody can foresee; names and logs that hold any bytes.
    ("base/hash.c", "vigie_random_bytes(key, sizeof(key));", "memset(key, 0, sizeof(key));", "base/hash", "test_vectors"),
    ("base/log_line.c", "(unsigned char)byte < ' ' || byte == 0x7f ? '?' : byte", "byte", "base/log", "test_control_characters"),
    # Bailiwick and chains: what counts as the answer to a question.
    ("cache/classify.c", "	if (!same_name(&owner, &chain->name))\n		return;", "", "cache/classify", "test_foreign"),
    ("cache/classify.c", "++chain->links > VIGIE_CACHE_CHAIN_MAX ||", "", "cache/classify", "test_long_chain"),
    ("cache/classify.c", "	if (reply->count < records) {", "	if (0) {", "cache/classify", "test_too_many_records"),
    # Exhaustion: what floods of names do to the cache.
    ("cache/store.c", "shard->segments / VIGIE_CACHE_NEGATIVE_SHARE", "shard->segments", "cache/store", "test_negative_share"),
    ("cache/store.c", "entry_size(answer, reply) <= VIGIE_CACHE_ENTRY_MAX && ", "", "cache/store", "test_long_answer"),
    ("cache/store.c", "	if (frequency < FREQUENCY_MAX)", "	if (0)", "cache/store", "test_flood"),
]


def flags(*names: str) -> list[str]:
    return shlex.split(subprocess.run(["pkg-config", "--cflags", "--libs", *names], check=True, capture_output=True, text=True).stdout)


def outcome(build: Path, folder: Path, mutant: tuple[str, str, str, str, str]) -> str:
    """What is wrong with a mutant: it should not survive."""
    file, old, new, program, test = mutant
    source = (TOP / "src" / file).read_text()
    if source.count(old) != 1:
        return f"{source.count(old)} times in the file, not once"
    path = folder / Path(file).name
    path.write_text(source.replace(old, new))
    module, name = program.split("/") if "/" in program else ("forward", program)
    objects = [str(path) for path in (build / "tests/unit" / module / f"test_{name}.p").glob("*.o")]
    libraries = [str(build / f"src/{module}/lib{module}.a") for module in ("cache", "forward", "wire", "base")]
    subprocess.run(["cc", "-std=gnu11", "-D_GNU_SOURCE", "-w", "-o", str(folder / "test"), f"-I{TOP}/include",
                    f"-I{(TOP / 'src' / file).parent}", str(path), *objects, *libraries,
                    *flags("libuv", "openssl", "libcurl", "libsodium", "liburcu-qsbr", "cmocka"), "-lm", "-lpthread"], check=True)
    try:
        run = subprocess.run([folder / "test"], capture_output=True, text=True, timeout=120, env={**os.environ, "CMOCKA_MESSAGE_OUTPUT": "STDOUT"})
    except subprocess.TimeoutExpired:
        return ""
    if run.returncode == 0:
        return "no test fails"
    text = run.stdout + run.stderr
    began = re.findall(r"\[ RUN      \] (\w+)", text)
    if f"[  FAILED  ] {test}\n" in text or (run.returncode < 0 and began and began[-1] == test):
        return ""
    return f"{test} does not fail, but\n{text[-2000:]}"


def main() -> int:
    build = Path(sys.argv[1])
    survivors = 0
    print(f"1..{len(MUTANTS)}")
    for number, mutant in enumerate(MUTANTS, 1):
        with tempfile.TemporaryDirectory() as folder:
            trouble = outcome(build, Path(folder), mutant)
        survivors += bool(trouble)
        what = " ".join(mutant[1].split())
        print(f"{'not ok' if trouble else 'ok'} {number} - {mutant[0]}: without '{what}' {mutant[4]} fails", flush=True)
        print("".join(f"# {line}\n" for line in trouble.splitlines()), end="", flush=True)
    return survivors > 0


if __name__ == "__main__":
    sys.exit(main())
