#include "words.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "directives.h"

enum {
	WORD_MAX = 40, /* bytes of a word that is compared: no directive or option is half as long */
	TYPOS_MAX = 2  /* that a word may be away from the one that was meant */
};

/* The options of each directive. tests/functional/test_mistakes.py holds this list against the directives. */
static const struct {
	const char *directive;
	const char *options; /* between spaces */
} known_options[] = {
	{"acl", " allow block drop filter "},
	{"auto", " directory reload upstream "},
	{"bind", " except "},
	{"cache",
	 " budget denial disable keepttl persist prefetch serve_stale serve_stale_policy servfail success "},
	{"dns64", " allow_ipv4 prefix translate_all "},
	{"errors", " consolidate stacktrace "},
	{"file", " fallthrough reload reload_by_mtime upstream "},
	{"forward",
	 " doh_method except expire failfast_all_unhealthy_upstreams failover force_tcp health_check max_age "
	 "max_concurrent max_connect_attempts "
	 "max_fails max_idle_conns next next_on_nodata policy prefer_udp read_timeout resolver "
	 "source_address tls "
	 "tls_servername "},
	{"header", " query response "},
	{"health", " lameduck "},
	{"hosts", " fallthrough fallthrough_unsupported no_reverse reload ttl "},
	{"kubernetes",
	 " apiserver_burst apiserver_max_inflight apiserver_qps endpoint endpoint_pod_names "
	 "fallthrough ignore kubeconfig labels multicluster namespace_labels namespaces noendpoints "
	 "pods snapshot startup_timeout tls ttl warm warm_age warm_ready watch_silence zonal "},
	{"loadbalance", " prefer reload "},
	{"local", " localhost_prefix private_use "},
	{"log", " class "},
	{"loop", " fatal "},
	{"pprof", " block "},
	{"ready", " monitor "},
	{"template", " additional answer authority ederror fallthrough match rcode upstream "},
	{"secondary", " catalog fallthrough transfer "},
	{"tls", " acme ca ca_root client_auth email keylog resolver storage "},
	{"timeouts", " idle maxtcpqueries read write "},
	{"trace", " client_server datadog_analytics_rate every service zipkin_max_backlog_size "
		  "zipkin_max_batch_interval zipkin_max_batch_size "},
	{"transfer", " source to "},
	{"view", " expr "},
};

/* Directives that CoreDNS has or had, or that its users build into it, and that vigie has not. */
static const struct {
	const char *name;
	const char *hint;
} others[] = {
	{"azure", ": vigie serves no zones of cloud providers"},
	{"clouddns", ": vigie serves no zones of cloud providers"},
	{"dnssec", ": vigie does not sign answers"},
	{"dnstap", ": vigie writes no dnstap stream"},
	{"erratic", ": vigie fails on nobody's behalf"},
	{"etcd", ": vigie does not read etcd"},
	{"federation", ": CoreDNS dropped it in 1.7; the line can go"},
	{"geoip", ": vigie reads no GeoIP database"},
	{"grpc", ": vigie forwards by UDP, TCP, TLS and HTTPS, with 'forward'"},
	{"grpc_server", ": vigie serves UDP, TCP and TLS"},
	{"https", ": vigie serves UDP, TCP and TLS"},
	{"https3", ": vigie serves UDP, TCP and TLS"},
	{"k8s_external", ": vigie serves the names inside the cluster alone"},
	{"nomad", ": vigie does not read Nomad"},
	{"on", ": vigie runs no commands"},
	{"proxy", ": CoreDNS dropped it in 1.5; 'forward' takes its place"},
	{"proxyproto", ": vigie does not read PROXY headers"},
	{"quic", ": vigie serves UDP, TCP and TLS"},
	{"route53", ": vigie serves no zones of cloud providers"},
	{"sign", ": vigie does not sign zones"},
	{"tsig", ": vigie knows no TSIG"},
	{"upstream", ": CoreDNS dropped it; the line can go"},
};

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static bool same(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* How many letters are wrong, missing, too many or swapped (Damerau and Levenshtein, adjacent swaps), case
 * aside. Neither word is longer than WORD_MAX. */
static size_t typos(const char *word, size_t length, const char *other, size_t other_length)
{
	size_t rows[3][WORD_MAX + 1];
	size_t *before = rows[0], *above = rows[1], *row = rows[2];

	for (size_t j = 0; j <= other_length; j++)
		above[j] = j;
	for (size_t i = 1; i <= length; i++) {
		size_t *next = before;

		row[0] = i;
		for (size_t j = 1; j <= other_length; j++) {
			row[j] = least(least(above[j], row[j - 1]) + 1,
				       above[j - 1] + !same(word[i - 1], other[j - 1]));
			if (i > 1 && j > 1 && same(word[i - 1], other[j - 2]) &&
			    same(word[i - 2], other[j - 1]))
				row[j] = least(row[j], before[j - 2] + 1);
		}
		before = above;
		above = row;
		row = next;
	}
	return above[other_length];
}

struct guess {
	const char *word;
	size_t length;
	const char *best; /* not terminated */
	size_t best_length;
	size_t best_typos;
};

static void begin(struct guess *guess, const char *word)
{
	/* A third of the letters may be wrong, so that short words are not taken for any other. */
	*guess = (struct guess){.word = word, .length = strlen(word)};
	guess->best_typos = least(TYPOS_MAX, guess->length / 3) + 1;
}

static void consider(struct guess *guess, const char *other, size_t length)
{
	size_t distance;

	if (guess->length > WORD_MAX || length > WORD_MAX)
		return;
	distance = typos(guess->word, guess->length, other, length);
	if (distance >= guess->best_typos)
		return;
	guess->best = other;
	guess->best_length = length;
	guess->best_typos = distance;
}

static const char *conclude(const struct guess *guess, char *buffer)
{
	if (!guess->best)
		return "";
	snprintf(buffer, WORDS_HINT_MAX, ": did you mean '%.*s'?", (int)guess->best_length, guess->best);
	return buffer;
}

static const char *options_of(const char *directive)
{
	for (size_t i = 0; i < sizeof(known_options) / sizeof(known_options[0]); i++) {
		if (strcmp(known_options[i].directive, directive) == 0)
			return known_options[i].options;
	}
	return " ";
}

static bool holds(const char *options, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = options; length > 0 && (at = strstr(at, word)) != NULL; at++) {
		if (at[-1] == ' ' && at[length] == ' ')
			return true;
	}
	return false;
}

const char *words_hint_directive(const char *word, char buffer[static WORDS_HINT_MAX])
{
	struct guess guess;

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (strcmp(others[i].name, word) == 0)
			return others[i].hint;
	}
	begin(&guess, word);
	for (size_t i = 0; vigie_directives[i]; i++)
		consider(&guess, vigie_directives[i]->name, strlen(vigie_directives[i]->name));
	if (guess.best)
		return conclude(&guess, buffer);
	for (size_t i = 0; i < sizeof(known_options) / sizeof(known_options[0]); i++) {
		if (!holds(known_options[i].options, word))
			continue;
		snprintf(buffer, WORDS_HINT_MAX,
			 ": it is an option of '%s' and belongs between that one's braces",
			 known_options[i].directive);
		return buffer;
	}
	return "";
}

const char *words_hint_option(const char *directive, const char *word, char buffer[static WORDS_HINT_MAX])
{
	struct guess guess;

	if (vigie_directive_get(word))
		return ": it is a directive; is a '}' missing before it?";
	begin(&guess, word);
	for (const char *at = options_of(directive) + 1; *at; at += strcspn(at, " ") + 1)
		consider(&guess, at, strcspn(at, " "));
	return conclude(&guess, buffer);
}
