/* An expression as it was read (expression_read.c) and is evaluated (expression.c). */
#ifndef VIGIE_DIRECTIVES_EXPRESSION_TREE_H
#define VIGIE_DIRECTIVES_EXPRESSION_TREE_H

#include "expression.h"
#include "network.h"
#include "regex.h"

enum expression_type { EXPRESSION_TEXT, EXPRESSION_NUMBER, EXPRESSION_BOOL };

enum expression_kind {
	EXPRESSION_LITERAL,
	EXPRESSION_CALL,
	EXPRESSION_NOT,
	EXPRESSION_AND,
	EXPRESSION_OR,
	EXPRESSION_EQUAL,
	EXPRESSION_NOT_EQUAL,
	EXPRESSION_LESS,
	EXPRESSION_LESS_OR_EQUAL,
	EXPRESSION_IN,
	EXPRESSION_MATCHES,
	EXPRESSION_CONTAINS,
	EXPRESSION_STARTS_WITH,
	EXPRESSION_ENDS_WITH
};

enum expression_function {
	FUNCTION_BUFSIZE,
	FUNCTION_CLASS,
	FUNCTION_CLIENT_IP,
	FUNCTION_DO,
	FUNCTION_ID,
	FUNCTION_INCIDR,
	FUNCTION_METADATA,
	FUNCTION_NAME,
	FUNCTION_OPCODE,
	FUNCTION_PORT,
	FUNCTION_PROTO,
	FUNCTION_SERVER_IP,
	FUNCTION_SERVER_PORT,
	FUNCTION_SIZE,
	FUNCTION_TYPE,
	FUNCTIONS
};

struct expression {
	enum expression_kind kind;
	enum expression_type type;
	const struct expression *left;  /* the operand of NOT, the argument of a call */
	const struct expression *right; /* for IN the first of the list */
	const struct expression *next;  /* in the list of IN */
	enum expression_function function;
	const char *text; /* a literal's */
	int64_t number;   /* a literal's, or its truth */
	const struct regex *regex;
	struct network network; /* incidr's */
};

#endif
