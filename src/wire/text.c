#include "vigie/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct word {
	uint16_t number;
	const char *text;
};

/* In the order of their numbers, as all tables here. */
static const struct word types[] = {
	{1, "A"},           {2, "NS"},     {5, "CNAME"},   {6, "SOA"},     {11, "WKS"},    {12, "PTR"},
	{13, "HINFO"},      {15, "MX"},    {16, "TXT"},    {17, "RP"},     {18, "AFSDB"},  {24, "SIG"},
	{25, "KEY"},        {28, "AAAA"},  {29, "LOC"},    {33, "SRV"},    {35, "NAPTR"},  {36, "KX"},
	{37, "CERT"},       {39, "DNAME"}, {41, "OPT"},    {42, "APL"},    {43, "DS"},     {44, "SSHFP"},
	{45, "IPSECKEY"},   {46, "RRSIG"}, {47, "NSEC"},   {48, "DNSKEY"}, {49, "DHCID"},  {50, "NSEC3"},
	{51, "NSEC3PARAM"}, {52, "TLSA"},  {53, "SMIMEA"}, {55, "HIP"},    {59, "CDS"},    {60, "CDNSKEY"},
	{61, "OPENPGPKEY"}, {62, "CSYNC"}, {63, "ZONEMD"}, {64, "SVCB"},   {65, "HTTPS"},  {99, "SPF"},
	{104, "NID"},       {105, "L32"},  {106, "L64"},   {107, "LP"},    {108, "EUI48"}, {109, "EUI64"},
	{249, "TKEY"},      {250, "TSIG"}, {251, "IXFR"},  {252, "AXFR"},  {253, "MAILB"}, {254, "MAILA"},
	{255, "ANY"},       {256, "URI"},  {257, "CAA"},   {32768, "TA"},  {32769, "DLV"},
};

static const struct word classes[] = {
	{1, "IN"}, {3, "CH"}, {4, "HS"}, {254, "NONE"}, {255, "ANY"},
};

static const struct word rcodes[] = {
	{0, "NOERROR"},  {1, "FORMERR"},    {2, "SERVFAIL"}, {3, "NXDOMAIN"},  {4, "NOTIMP"},
	{5, "REFUSED"},  {6, "YXDOMAIN"},   {7, "YXRRSET"},  {8, "NXRRSET"},   {9, "NOTAUTH"},
	{10, "NOTZONE"}, {11, "DSOTYPENI"}, {16, "BADVERS"}, {17, "BADKEY"},   {18, "BADTIME"},
	{19, "BADMODE"}, {20, "BADNAME"},   {21, "BADALG"},  {22, "BADTRUNC"}, {23, "BADCOOKIE"},
};

static const struct word opcodes[] = {
	{0, "QUERY"}, {1, "IQUERY"}, {2, "STATUS"}, {4, "NOTIFY"}, {5, "UPDATE"}, {6, "DSO"},
};

static int compare(const void *key, const void *entry)
{
	return (int)*(const uint16_t *)key - (int)((const struct word *)entry)->number;
}

static const char *to_text(const struct word *table, size_t count, uint16_t number, const char *prefix,
			   char *text)
{
	const struct word *word = bsearch(&number, table, count, sizeof(*table), compare);

	if (word)
		return word->text;
	snprintf(text, VIGIE_TEXT_MAX, "%s%u", prefix, number);
	return text;
}

static enum vigie_status from_text(const struct word *table, size_t count, uint16_t *number,
				   const char *prefix, const char *text)
{
	size_t length = strlen(prefix);
	unsigned long value;
	char *end;

	for (size_t i = 0; i < count; i++) {
		if (strcasecmp(table[i].text, text) == 0) {
			*number = table[i].number;
			return VIGIE_OK;
		}
	}
	if (strncasecmp(text, prefix, length) != 0 || text[length] < '0' || text[length] > '9')
		return VIGIE_EINVAL;
	value = strtoul(text + length, &end, 10);
	if (*end || value > UINT16_MAX)
		return VIGIE_EINVAL;
	*number = (uint16_t)value;
	return VIGIE_OK;
}

#define COUNT(table) (sizeof(table) / sizeof(*(table)))

const char *vigie_type_text(uint16_t type, char *text)
{
	return to_text(types, COUNT(types), type, "TYPE", text);
}

const char *vigie_class_text(uint16_t class, char *text)
{
	return to_text(classes, COUNT(classes), class, "CLASS", text);
}

const char *vigie_rcode_text(uint16_t rcode, char *text)
{
	return to_text(rcodes, COUNT(rcodes), rcode, "RCODE", text);
}

const char *vigie_opcode_text(uint8_t opcode, char *text)
{
	return to_text(opcodes, COUNT(opcodes), opcode, "OPCODE", text);
}

enum vigie_status vigie_type_from_text(uint16_t *type, const char *text)
{
	return from_text(types, COUNT(types), type, "TYPE", text);
}

enum vigie_status vigie_class_from_text(uint16_t *class, const char *text)
{
	return from_text(classes, COUNT(classes), class, "CLASS", text);
}

enum vigie_status vigie_rcode_from_text(uint16_t *rcode, const char *text)
{
	return from_text(rcodes, COUNT(rcodes), rcode, "RCODE", text);
}
