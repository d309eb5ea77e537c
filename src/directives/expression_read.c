#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expression_tree.h"

enum {
	DEPTH_MAX = 32 /* operators and parentheses within one another; evaluating uses the stack as deep */
};

struct reader {
	struct vigie_arena *arena;
	const struct vigie_word *word;
	const char *whole;
	const char *at;
	unsigned depth;
	struct vigie_error *error;
};

static const struct expression *wrong(const struct reader *reader, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static const struct expression *wrong(const struct reader *reader, const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	vigie_word_error(reader->error, reader->word, "'%.200s': %s", reader->whole, text);
	return NULL;
}

static struct expression *make(struct reader *reader, enum expression_kind kind, enum expression_type type)
{
	struct expression *expression = vigie_arena_alloc(reader->arena, sizeof(*expression));

	if (!expression) {
		vigie_error_memory(reader->error);
		return NULL;
	}
	expression->kind = kind;
	expression->type = type;
	return expression;
}

static bool is_letter(char character)
{
	return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
	       character == '_';
}

static bool is_digit(char character)
{
	return character >= '0' && character <= '9';
}

static void skip_space(struct reader *reader)
{
	while (*reader->at == ' ' || *reader->at == '\t' || *reader->at == '\n' || *reader->at == '\r')
		reader->at++;
}

/* Passes over a word or sign when it comes next. */
static bool take(struct reader *reader, const char *token)
{
	size_t length = strlen(token);

	skip_space(reader);
	if (strncmp(reader->at, token, length) != 0)
		return false;
	if (is_letter(token[0]) && (is_letter(reader->at[length]) || is_digit(reader->at[length])))
		return false;
	reader->at += length;
	return true;
}

/* What comes next, for an error. */
static const struct expression *unexpected(struct reader *reader)
{
	size_t length = 0;

	skip_space(reader);
	if (!*reader->at)
		return wrong(reader, "something is missing at the end");
	while (is_letter(reader->at[length]) || is_digit(reader->at[length]))
		length++;
	return wrong(reader, "'%.*s' is not understood here", length ? (int)length : 1, reader->at);
}

static const struct expression *read_or(struct reader *reader);

static const struct expression *read_text(struct reader *reader)
{
	struct expression *expression = make(reader, EXPRESSION_LITERAL, EXPRESSION_TEXT);
	char *text = vigie_arena_alloc(reader->arena, strlen(reader->at));
	char quote = *reader->at++;
	size_t length = 0;

	if (!expression || !text)
		return NULL;
	for (; *reader->at && *reader->at != quote; reader->at++) {
		if (*reader->at == '\\' && reader->at[1])
			reader->at++;
		text[length++] = *reader->at;
	}
	if (*reader->at != quote)
		return wrong(reader, "a text is never closed by %c", quote);
	reader->at++;
	expression->text = text;
	return expression;
}

static const struct expression *read_number(struct reader *reader)
{
	struct expression *expression = make(reader, EXPRESSION_LITERAL, EXPRESSION_NUMBER);
	char *end;

	if (!expression)
		return NULL;
	expression->number = strtoll(reader->at, &end, 10);
	reader->at = end;
	return expression;
}

static const struct expression *read_truth(struct reader *reader, bool truth)
{
	struct expression *expression = make(reader, EXPRESSION_LITERAL, EXPRESSION_BOOL);

	if (expression)
		expression->number = truth;
	return expression;
}

static const struct expression *read_argument(struct reader *reader)
{
	const struct expression *argument = read_or(reader);

	if (argument && argument->type != EXPRESSION_TEXT)
		return wrong(reader, "a text is needed as an argument");
	return argument;
}

/* incidr(ADDRESS, 'NETWORK') */
static bool read_network(struct reader *reader, struct expression *call)
{
	const struct expression *network;

	if (!take(reader, ","))
		return unexpected(reader) != NULL;
	network = read_argument(reader);
	if (!network)
		return false;
	if (network->kind != EXPRESSION_LITERAL || network_from_text(&call->network, network->text) ||
	    !strchr(network->text, '/'))
		return wrong(reader, "incidr takes a network in quotes, such as '10.0.0.0/8'") != NULL;
	return true;
}

static const struct {
	const char *name;
	enum expression_type type;
	bool argument;
} functions[FUNCTIONS] = {
	[FUNCTION_BUFSIZE] = {"bufsize", EXPRESSION_NUMBER, false},
	[FUNCTION_CLASS] = {"class", EXPRESSION_TEXT, false},
	[FUNCTION_CLIENT_IP] = {"client_ip", EXPRESSION_TEXT, false},
	[FUNCTION_DO] = {"do", EXPRESSION_BOOL, false},
	[FUNCTION_ID] = {"id", EXPRESSION_NUMBER, false},
	[FUNCTION_INCIDR] = {"incidr", EXPRESSION_BOOL, true},
	[FUNCTION_METADATA] = {"metadata", EXPRESSION_TEXT, true},
	[FUNCTION_NAME] = {"name", EXPRESSION_TEXT, false},
	[FUNCTION_OPCODE] = {"opcode", EXPRESSION_NUMBER, false},
	[FUNCTION_PORT] = {"port", EXPRESSION_TEXT, false},
	[FUNCTION_PROTO] = {"proto", EXPRESSION_TEXT, false},
	[FUNCTION_SERVER_IP] = {"server_ip", EXPRESSION_TEXT, false},
	[FUNCTION_SERVER_PORT] = {"server_port", EXPRESSION_TEXT, false},
	[FUNCTION_SIZE] = {"size", EXPRESSION_NUMBER, false},
	[FUNCTION_TYPE] = {"type", EXPRESSION_TEXT, false},
};

static const struct expression *read_call(struct reader *reader)
{
	int function = 0;
	struct expression *call;

	while (function < FUNCTIONS && !take(reader, functions[function].name))
		function++;
	if (function == FUNCTIONS || !take(reader, "("))
		return unexpected(reader);
	call = make(reader, EXPRESSION_CALL, functions[function].type);
	if (!call)
		return NULL;
	call->function = (enum expression_function)function;
	if (functions[function].argument) {
		call->left = read_argument(reader);
		if (!call->left || (function == FUNCTION_INCIDR && !read_network(reader, call)))
			return NULL;
	}
	return take(reader, ")") ? call : unexpected(reader);
}

static const struct expression *read_value(struct reader *reader)
{
	skip_space(reader);
	if (*reader->at == '\'' || *reader->at == '"')
		return read_text(reader);
	if (is_digit(*reader->at) || (*reader->at == '-' && is_digit(reader->at[1])))
		return read_number(reader);
	if (take(reader, "true"))
		return read_truth(reader, true);
	if (take(reader, "false"))
		return read_truth(reader, false);
	if (take(reader, "(")) {
		const struct expression *inner = read_or(reader);

		return !inner || take(reader, ")") ? inner : unexpected(reader);
	}
	return read_call(reader);
}

static const struct expression *negate(struct reader *reader, const struct expression *operand)
{
	struct expression *negation;

	if (!operand)
		return NULL;
	if (operand->type != EXPRESSION_BOOL)
		return wrong(reader, "only what is true or false can be negated");
	negation = make(reader, EXPRESSION_NOT, EXPRESSION_BOOL);
	if (negation)
		negation->left = operand;
	return negation;
}

static const struct expression *read_unary(struct reader *reader)
{
	const struct expression *operand;

	if (++reader->depth > DEPTH_MAX)
		return wrong(reader, "more than %d operators stand within one another", DEPTH_MAX);
	skip_space(reader);
	if (take(reader, "not") || (reader->at[0] == '!' && reader->at[1] != '=' && take(reader, "!")))
		operand = negate(reader, read_unary(reader));
	else
		operand = read_value(reader);
	reader->depth--;
	return operand;
}

/* LEFT in [ VALUES ] */
static const struct expression *read_list(struct reader *reader, const struct expression *left)
{
	struct expression *in = make(reader, EXPRESSION_IN, EXPRESSION_BOOL);
	const struct expression **last;

	if (!in)
		return NULL;
	in->left = left;
	last = &in->right;
	if (!take(reader, "["))
		return unexpected(reader);
	while (!take(reader, "]")) {
		/* A value of its own: a literal may stand in one list only, which is so as it was just read.
		 */
		const struct expression *value = read_value(reader);

		if (!value)
			return NULL;
		if (value->type != left->type)
			return wrong(reader, "the list of 'in' holds a value of another type");
		*last = value;
		last = (const struct expression **)&((struct expression *)value)->next;
		skip_space(reader);
		if (!take(reader, ",") && *reader->at != ']')
			return unexpected(reader);
	}
	return in;
}

static const struct expression *read_pattern(struct reader *reader, struct expression *match)
{
	const struct expression *pattern = read_unary(reader);
	struct vigie_word word = *reader->word;

	if (!pattern)
		return NULL;
	if (pattern->kind != EXPRESSION_LITERAL || pattern->type != EXPRESSION_TEXT)
		return wrong(reader, "'matches' takes a pattern in quotes");
	word.text = pattern->text;
	match->regex = regex_new(reader->arena, &word, reader->error);
	return match->regex ? match : NULL;
}

static const struct {
	const char *sign;
	enum expression_kind kind;
	bool swapped; /* a > b is b < a */
	bool texts;   /* of texts alone */
} comparisons[] = {
	{"==", EXPRESSION_EQUAL, false, false},
	{"!=", EXPRESSION_NOT_EQUAL, false, false},
	{"<=", EXPRESSION_LESS_OR_EQUAL, false, false},
	{">=", EXPRESSION_LESS_OR_EQUAL, true, false},
	{"<", EXPRESSION_LESS, false, false},
	{">", EXPRESSION_LESS, true, false},
	{"matches", EXPRESSION_MATCHES, false, true},
	{"contains", EXPRESSION_CONTAINS, false, true},
	{"startsWith", EXPRESSION_STARTS_WITH, false, true},
	{"endsWith", EXPRESSION_ENDS_WITH, false, true},
};

static const struct expression *read_comparison(struct reader *reader)
{
	const struct expression *left = read_unary(reader);
	const struct expression *right;
	struct expression *compared;
	size_t i = 0;

	if (!left)
		return NULL;
	if (take(reader, "in"))
		return read_list(reader, left);
	if (take(reader, "not"))
		return take(reader, "in") ? negate(reader, read_list(reader, left)) : unexpected(reader);
	while (i < sizeof(comparisons) / sizeof(*comparisons) && !take(reader, comparisons[i].sign))
		i++;
	if (i == sizeof(comparisons) / sizeof(*comparisons))
		return left;
	compared = make(reader, comparisons[i].kind, EXPRESSION_BOOL);
	if (!compared)
		return NULL;
	if (comparisons[i].texts && left->type != EXPRESSION_TEXT)
		return wrong(reader, "'%s' compares texts", comparisons[i].sign);
	compared->left = left;
	if (compared->kind == EXPRESSION_MATCHES)
		return read_pattern(reader, compared);
	right = read_unary(reader);
	if (!right)
		return NULL;
	if (right->type != left->type)
		return wrong(reader, "'%s' compares values of two types", comparisons[i].sign);
	compared->left = comparisons[i].swapped ? right : left;
	compared->right = comparisons[i].swapped ? left : right;
	return compared;
}

/* One level of operators that join truths. */
static const struct expression *read_joined(struct reader *reader, enum expression_kind kind,
					    const char *sign, const char *word,
					    const struct expression *(*read_operand)(struct reader *reader))
{
	const struct expression *left = read_operand(reader);

	while (left && (take(reader, sign) || take(reader, word))) {
		const struct expression *right = read_operand(reader);
		struct expression *joined;

		if (!right)
			return NULL;
		if (left->type != EXPRESSION_BOOL || right->type != EXPRESSION_BOOL)
			return wrong(reader, "'%s' joins what is true or false", sign);
		joined = make(reader, kind, EXPRESSION_BOOL);
		if (!joined)
			return NULL;
		joined->left = left;
		joined->right = right;
		left = joined;
	}
	return left;
}

static const struct expression *read_and(struct reader *reader)
{
	return read_joined(reader, EXPRESSION_AND, "&&", "and", read_comparison);
}

static const struct expression *read_or(struct reader *reader)
{
	return read_joined(reader, EXPRESSION_OR, "||", "or", read_and);
}

const struct expression *expression_new(struct vigie_arena *arena, const struct vigie_word *word,
					const char *text, struct vigie_error *error)
{
	struct reader reader = {.arena = arena, .word = word, .whole = text, .at = text, .error = error};
	const struct expression *expression = read_or(&reader);

	if (!expression)
		return NULL;
	skip_space(&reader);
	if (*reader.at)
		return unexpected(&reader);
	if (expression->type != EXPRESSION_BOOL)
		return wrong(&reader, "an expression is to be true or false");
	return expression;
}
