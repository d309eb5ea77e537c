/* A query as it came from a client, parsed in place: no allocation, no copy but the folded name. One gate for
 * every transport (RFC 1035 section 4.1, RFC 6891, RFC 9619). */
#ifndef VIGIE_QUERY_H
#define VIGIE_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vigie/name.h"

/* Record types and classes that the code names (IANA DNS parameters). */
enum {
	VIGIE_TYPE_A = 1,
	VIGIE_TYPE_NS = 2,
	VIGIE_TYPE_CNAME = 5,
	VIGIE_TYPE_SOA = 6,
	VIGIE_TYPE_PTR = 12,
	VIGIE_TYPE_MX = 15,
	VIGIE_TYPE_TXT = 16,
	VIGIE_TYPE_AAAA = 28,
	VIGIE_TYPE_SRV = 33,
	VIGIE_TYPE_NAPTR = 35,
	VIGIE_TYPE_DNAME = 39,
	VIGIE_TYPE_OPT = 41,
	VIGIE_TYPE_RRSIG = 46,
	VIGIE_TYPE_NSEC = 47,
	VIGIE_TYPE_NSEC3 = 50,
	VIGIE_TYPE_SVCB = 64,
	VIGIE_TYPE_HTTPS = 65,
	VIGIE_TYPE_TSIG = 250,
	VIGIE_TYPE_IXFR = 251,
	VIGIE_TYPE_AXFR = 252,
	VIGIE_TYPE_ANY = 255,
	VIGIE_CLASS_IN = 1,
	VIGIE_CLASS_CH = 3,
	VIGIE_CLASS_ANY = 255
};

/* EDNS options that the code names. */
enum {
	VIGIE_OPTION_NSID = 3,  /* RFC 5001 */
	VIGIE_OPTION_SUBNET = 8 /* RFC 7871 */
};

/* Response codes (RFC 1035 section 4.1.1, RFC 6891 section 9). */
enum {
	VIGIE_RCODE_NOERROR = 0,
	VIGIE_RCODE_FORMERR = 1,
	VIGIE_RCODE_SERVFAIL = 2,
	VIGIE_RCODE_NXDOMAIN = 3,
	VIGIE_RCODE_NOTIMP = 4,
	VIGIE_RCODE_REFUSED = 5,
	VIGIE_RCODE_BADVERS = 16
};

/* Header bits in the second 16-bit word, host byte order. */
enum {
	VIGIE_FLAG_QR = 0x8000,
	VIGIE_FLAG_AA = 0x0400,
	VIGIE_FLAG_TC = 0x0200,
	VIGIE_FLAG_RD = 0x0100,
	VIGIE_FLAG_RA = 0x0080,
	VIGIE_FLAG_AD = 0x0020,
	VIGIE_FLAG_CD = 0x0010
};

enum {
	VIGIE_HEADER_SIZE = 12,          /* bytes of the DNS header */
	VIGIE_UDP_SIZE_PLAIN = 512,      /* what a client without EDNS takes (RFC 1035 section 4.2.1) */
	VIGIE_UDP_SIZE_EDNS = 1232,      /* the most that is sent by UDP and advertised (RFC 9715) */
	VIGIE_MESSAGE_MAX = 65535,       /* bytes of a message by TCP */
	VIGIE_OPTIONS_FORWARD_MAX = 128, /* bytes of EDNS options that upstreams are sent */
	VIGIE_EDNS_OPTIONS_MAX = 32      /* options looked at; a list longer than that is a format error */
};

/* What the gate says of a packet. */
enum vigie_gate {
	VIGIE_GATE_OK,
	VIGIE_GATE_SHORT,    /* less than a header: silence */
	VIGIE_GATE_RESPONSE, /* QR is set: silence, or two servers talk for ever */
	VIGIE_GATE_OPCODE,   /* not QUERY: NOTIMP */
	VIGIE_GATE_QDCOUNT,  /* not one question: FORMERR (RFC 9619) */
	VIGIE_GATE_FORMAT,   /* the question, a record or an option is malformed, or bytes trail: FORMERR */
	VIGIE_GATE_VERSION,  /* an EDNS version above 0: BADVERS (RFC 6891 section 6.1.3) */
	VIGIE_GATES
};

struct vigie_query {
	const uint8_t *packet; /* borrowed: as received */
	uint16_t packet_length;
	uint16_t id;    /* host byte order, as all below */
	uint16_t flags; /* the header's second word */
	uint16_t type;
	uint16_t class;
	uint16_t edns_size;     /* the client's UDP payload size, at least 512; 512 without EDNS */
	bool edns;              /* an OPT record is there */
	bool edns_do;           /* its DO bit */
	bool forward_options;   /* a directive wants upstreams to see the OPT record's options: the answer may
				   depend   on them */
	bool nsid;              /* it asks which server this is (RFC 5001) */
	struct vigie_name name; /* folded; the original case stands in packet + 12 */
};

/* Parses a packet of at most VIGIE_MESSAGE_MAX bytes. For VIGIE_GATE_OPCODE and later, `id` and `flags` are
 * set; for VIGIE_GATE_VERSION all is. A question that could be read is kept for the answer: `name.length` is
 * 0 when it could not. Never reads beyond `length`; its work is linear in it. */
enum vigie_gate vigie_query_parse(struct vigie_query *query, const uint8_t *packet, size_t length);

enum {
	VIGIE_AHEAD_STEPS =
		3 /* of looking ahead at a query (directive.h): cache misses that wait for one another */
};

/* Bytes of the question as it stands in the packet (name, type, class). */
static inline size_t vigie_query_question_length(const struct vigie_query *query)
{
	return (size_t)query->name.length + 4;
}

/* A word for counters and logs, such as "qdcount". Static storage. */
const char *vigie_gate_text(enum vigie_gate gate);

#endif
