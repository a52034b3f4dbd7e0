/*
 * See regex.h. Each byte or class of the expression is a position; a recursive descent finds which
 * positions may come first, last and behind each other (Glushkov's construction), and the sets of
 * positions that can be reached become the states of the table. A repetition with a count reads its
 * atom again for each copy, so the limit on positions bounds all work.
 */
#include "policy/regex.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/limit.h"

#define POSITIONS   256 /* and position 0 is the place before the first byte */
#define SET_WORDS   (POSITIONS / 64)
#define DEPTH       16
#define UNBOUNDED   UINT32_MAX
#define INDEX_SLOTS (4 * LIMIT_REGEX_STATES) /* a power of two */

struct set {
	uint64_t w[SET_WORDS];
};
_Static_assert(POSITIONS == 256, "a set of positions also serves as a set of bytes");

struct policy_regex {
	uint8_t class_of[256]; /* bytes that no position tells apart */
	uint8_t is_final[LIMIT_REGEX_STATES];
	size_t class_count, state_count;
	uint16_t next[]; /* state_count rows of class_count; state 0: nothing can match any more */
};

/* A part of the expression. */
struct part {
	bool is_nullable;
	struct set first, last;
};

struct compiler {
	const char *text, *at;
	unsigned depth;
	bool has_choice; /* alternatives outside of every group */
	size_t position_count;
	struct set bytes[POSITIONS];  /* of each position */
	struct set behind[POSITIONS]; /* positions that may follow each */
	uint8_t class_of[256];
	struct set of_class[256]; /* positions that take the class */
	size_t class_count;
	struct set states[LIMIT_REGEX_STATES];
	size_t state_count;
	uint16_t index[INDEX_SLOTS]; /* of states by their set; 0: free */
	struct bb_err *err;
};

static void set_add(struct set *s, size_t i)
{
	s->w[i / 64] |= UINT64_C(1) << (i % 64);
}

static bool set_has(const struct set *s, size_t i)
{
	return (s->w[i / 64] >> (i % 64) & 1) != 0;
}

static void set_join(struct set *s, const struct set *other)
{
	for (size_t i = 0; i < SET_WORDS; i++)
		s->w[i] |= other->w[i];
}

static bool set_eq(const struct set *a, const struct set *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static struct set set_meet(const struct set *a, const struct set *b)
{
	struct set s;

	for (size_t i = 0; i < SET_WORDS; i++)
		s.w[i] = a->w[i] & b->w[i];
	return s;
}

static void set_range(struct set *s, unsigned from, unsigned to)
{
	for (unsigned c = from; c <= to; c++)
		set_add(s, c);
}

static void set_invert(struct set *s)
{
	for (size_t i = 0; i < SET_WORDS; i++)
		s->w[i] = ~s->w[i];
}

static int fault(struct compiler *c, const char *what)
{
	return bb_err_set(c->err, -EINVAL, "byte %zu of the regex: %s",
			  (size_t)(c->at - c->text) + 1, what);
}

static int new_position(struct compiler *c, const struct set *bytes, struct part *ret)
{
	size_t p = c->position_count;

	if (p == POSITIONS)
		return fault(c, "it is too long, or repeats too often");
	c->position_count++;
	c->bytes[p] = *bytes;
	*ret = (struct part){ 0 };
	set_add(&ret->first, p);
	set_add(&ret->last, p);
	return 0;
}

/* Every position of from may be followed by every one of to. */
static void follow(struct compiler *c, const struct set *from, const struct set *to)
{
	for (size_t p = 0; p < c->position_count; p++)
		if (set_has(from, p))
			set_join(&c->behind[p], to);
}

static void append(struct compiler *c, struct part *a, const struct part *b)
{
	follow(c, &a->last, &b->first);
	if (a->is_nullable)
		set_join(&a->first, &b->first);
	if (b->is_nullable)
		set_join(&a->last, &b->last);
	else
		a->last = b->last;
	a->is_nullable = a->is_nullable && b->is_nullable;
}

static void add_alternative(struct part *a, const struct part *b)
{
	set_join(&a->first, &b->first);
	set_join(&a->last, &b->last);
	a->is_nullable = a->is_nullable || b->is_nullable;
}

/* \d \w \s and their opposites; false: no such class. */
static bool named_class(char letter, struct set *ret)
{
	struct set s = { 0 };

	switch (letter | 0x20) {
	case 'd':
		set_range(&s, '0', '9');
		break;
	case 'w':
		set_range(&s, '0', '9');
		set_range(&s, 'A', 'Z');
		set_range(&s, 'a', 'z');
		set_add(&s, '_');
		break;
	case 's':
		set_range(&s, '\t', '\r');
		set_add(&s, ' ');
		break;
	default:
		return false;
	}
	if (letter < 'a')
		set_invert(&s);
	*ret = s;
	return true;
}

/* Behind a backslash. is_class: ret_bytes holds a class, else one byte. */
static int parse_escape(struct compiler *c, struct set *ret_bytes, bool *ret_is_class,
			unsigned *ret_byte)
{
	char letter = *c->at;

	*ret_is_class = named_class(letter, ret_bytes);
	if (!*ret_is_class &&
	    (letter == '\0' || strchr("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ ", letter) == NULL))
		return fault(c, "only \\d, \\w, \\s, their capitals and punctuation may stand "
				"behind a '\\'");
	*ret_byte = (unsigned char)letter;
	c->at++;
	return 0;
}

/* One byte or named class inside [...]. */
static int parse_member(struct compiler *c, struct set *named, bool *ret_is_class,
			unsigned *ret_byte)
{
	*ret_is_class = false;
	if (*c->at == '\\') {
		c->at++;
		return parse_escape(c, named, ret_is_class, ret_byte);
	}
	if (*c->at == '\0')
		return fault(c, "a '[' without its ']'");
	if (*c->at == '[')
		return fault(c, "write '\\[' inside a class");
	*ret_byte = (unsigned char)*c->at++;
	return 0;
}

static int parse_class(struct compiler *c, struct set *ret)
{
	bool is_inverted = *c->at == '^';
	struct set bytes = { 0 };

	c->at += is_inverted;
	if (*c->at == ']')
		return fault(c, "an empty class");
	while (*c->at != ']') {
		struct set named = { 0 }, other;
		unsigned from = 0, to;
		bool is_class = false, is_end_class = false;
		int r = parse_member(c, &named, &is_class, &from);

		if (r < 0)
			return r;
		if (is_class) {
			set_join(&bytes, &named);
			continue;
		}
		to = from;
		if (c->at[0] == '-' && c->at[1] != ']' && c->at[1] != '\0') {
			c->at++;
			r = parse_member(c, &other, &is_end_class, &to);
			if (r < 0)
				return r;
			if (is_end_class || to < from)
				return fault(c, "a range that ends before it begins");
		}
		set_range(&bytes, from, to);
	}
	c->at++;
	if (is_inverted)
		set_invert(&bytes);
	*ret = bytes;
	return 0;
}

static int parse_alternatives(struct compiler *c, struct part *ret);

static int parse_group(struct compiler *c, struct part *ret)
{
	int r;

	if (c->at[0] == '?' && c->at[1] != ':')
		return fault(c, "of the groups that begin with '(?' only '(?:' is known");
	if (c->at[0] == '?')
		c->at += 2;
	if (++c->depth > DEPTH)
		return fault(c, "groups are too deep");
	r = parse_alternatives(c, ret);
	c->depth--;
	if (r < 0)
		return r;
	if (*c->at != ')')
		return fault(c, "a '(' without its ')'");
	c->at++;
	return 0;
}

static int parse_atom(struct compiler *c, struct part *ret)
{
	struct set bytes = { 0 };
	unsigned byte = 0;
	bool is_class = false;
	char first = *c->at;
	int r = 0;

	if (strchr("*+?{", first) != NULL)
		return fault(c, "nothing stands in front to be repeated, or two repetitions "
				"stand behind each other");
	if (strchr("^$", first) != NULL)
		return fault(c, "'^' may only stand at the front and '$' at the end; the whole "
				"value is matched anyway");
	if (strchr("]}", first) != NULL)
		return fault(c, "write it with a '\\' in front");
	c->at++;
	if (first == '(')
		return parse_group(c, ret);
	if (first == '[') {
		r = parse_class(c, &bytes);
	} else if (first == '.') {
		set_invert(&bytes);
	} else if (first == '\\') {
		r = parse_escape(c, &bytes, &is_class, &byte);
		if (r == 0 && !is_class)
			set_add(&bytes, byte);
	} else {
		set_add(&bytes, (unsigned char)first);
	}
	return r < 0 ? r : new_position(c, &bytes, ret);
}

static int parse_count(struct compiler *c, uint32_t *ret)
{
	uint32_t n = 0;

	if (*c->at < '0' || *c->at > '9')
		return fault(c, "a repetition is written {n}, {n,} or {n,m}");
	for (; *c->at >= '0' && *c->at <= '9'; c->at++) {
		n = n * 10 + (uint32_t)(*c->at - '0');
		if (n >= POSITIONS)
			return fault(c, "it repeats too often");
	}
	*ret = n;
	return 0;
}

/* What stands behind an atom: how often it comes. */
static int parse_repeat(struct compiler *c, uint32_t *ret_min, uint32_t *ret_max)
{
	char first = *c->at;
	int r;

	*ret_min = first == '*' || first == '?' ? 0 : 1;
	*ret_max = first == '*' || first == '+' ? UNBOUNDED : 1;
	if (first == '\0' || strchr("*+?{", first) == NULL)
		return 0;
	c->at++;
	if (first != '{')
		return 0;
	r = parse_count(c, ret_min);
	*ret_max = *ret_min;
	if (r == 0 && *c->at == ',') {
		c->at++;
		*ret_max = UNBOUNDED;
		if (*c->at != '}')
			r = parse_count(c, ret_max);
	}
	if (r == 0 && *c->at != '}')
		return fault(c, "a '{' without its '}'");
	if (r == 0 && (*ret_max == 0 || *ret_max < *ret_min))
		return fault(c, "it repeats zero times, or at most less often than at least");
	c->at += r == 0;
	return r;
}

/* An atom and its copies: min of them, then optional ones up to max, or a loop. */
static int parse_piece(struct compiler *c, struct part *ret)
{
	const char *start = c->at, *end;
	uint32_t min = 1, max = 1, copies;
	int r = parse_atom(c, ret);

	if (r == 0)
		r = parse_repeat(c, &min, &max);
	if (r < 0)
		return r;
	end = c->at;
	copies = max != UNBOUNDED ? max : min == 0 ? 1 : min;
	if (max == UNBOUNDED && copies == 1)
		follow(c, &ret->last, &ret->first);
	ret->is_nullable = ret->is_nullable || min == 0;
	for (uint32_t i = 1; i < copies; i++) {
		struct part copy = { 0 };

		c->at = start;
		r = parse_atom(c, &copy);
		if (r < 0)
			return r;
		if (max == UNBOUNDED && i + 1 == copies)
			follow(c, &copy.last, &copy.first);
		copy.is_nullable = copy.is_nullable || i >= min;
		append(c, ret, &copy);
	}
	c->at = end;
	return 0;
}

static bool is_end(const struct compiler *c)
{
	return *c->at == '\0' || *c->at == '|' || *c->at == ')' ||
	       (c->at[0] == '$' && c->at[1] == '\0' && c->depth == 0);
}

static int parse_sequence(struct compiler *c, struct part *ret)
{
	int r;

	if (is_end(c))
		return fault(c, "an empty alternative; write '?' behind what may be missing");
	r = parse_piece(c, ret);
	while (r == 0 && !is_end(c)) {
		struct part next = { 0 };

		r = parse_piece(c, &next);
		if (r == 0)
			append(c, ret, &next);
	}
	return r;
}

static int parse_alternatives(struct compiler *c, struct part *ret)
{
	int r = parse_sequence(c, ret);

	while (r == 0 && *c->at == '|') {
		struct part next = { 0 };

		c->has_choice = c->has_choice || c->depth == 0;
		c->at++;
		r = parse_sequence(c, &next);
		if (r == 0)
			add_alternative(ret, &next);
	}
	return r;
}

static int parse(struct compiler *c, struct part *ret)
{
	bool is_anchored = *c->at == '^';
	int r;

	c->at += is_anchored;
	r = parse_alternatives(c, ret);
	if (r < 0)
		return r;
	if (*c->at == ')')
		return fault(c, "a ')' without its '('");
	is_anchored = is_anchored || *c->at == '$';
	/* "^a|b$": one reader anchors both alternatives, another each of them at one end. */
	if (is_anchored && c->has_choice)
		return fault(c, "put alternatives between '^' and '$' into a group");
	c->at += *c->at == '$';
	return 0;
}

/* Bytes that every position treats alike become one column of the table. */
static void classify(struct compiler *c)
{
	for (size_t b = 0; b < 256; b++) {
		struct set takers = { 0 };
		size_t k = 0;

		for (size_t p = 1; p < c->position_count; p++)
			if (set_has(&c->bytes[p], b))
				set_add(&takers, p);
		while (k < c->class_count && !set_eq(&c->of_class[k], &takers))
			k++;
		if (k == c->class_count)
			c->of_class[c->class_count++] = takers;
		c->class_of[b] = (uint8_t)k;
	}
}

/* The number of the state with that set, made when it is new; negative: too many. */
static int find_state(struct compiler *c, const struct set *s)
{
	uint64_t h = 0;
	size_t slot;

	for (size_t i = 0; i < SET_WORDS; i++)
		h = (h ^ s->w[i]) * UINT64_C(0x9e3779b97f4a7c15);
	slot = (size_t)(h >> 32) % INDEX_SLOTS;
	for (; c->index[slot] != 0; slot = (slot + 1) % INDEX_SLOTS)
		if (set_eq(&c->states[c->index[slot] - 1], s))
			return c->index[slot] - 1;
	if (c->state_count == LIMIT_REGEX_STATES)
		return bb_err_set(c->err, -EINVAL,
				  "the regex needs a table of more than %d states; make it simpler",
				  LIMIT_REGEX_STATES);
	c->states[c->state_count++] = *s;
	c->index[slot] = (uint16_t)c->state_count;
	return (int)c->state_count - 1;
}

/* One row for each state; the states grow while it runs. */
static int build_table(struct compiler *c, uint16_t *next)
{
	for (size_t s = 0; s < c->state_count; s++) {
		struct set reach = { 0 };

		for (size_t p = 0; p < c->position_count; p++)
			if (set_has(&c->states[s], p))
				set_join(&reach, &c->behind[p]);
		for (size_t k = 0; k < c->class_count; k++) {
			struct set to = set_meet(&reach, &c->of_class[k]);
			int found = find_state(c, &to);

			if (found < 0)
				return found;
			next[s * c->class_count + k] = (uint16_t)found;
		}
	}
	return 0;
}

static int build(struct compiler *c, struct part *whole, struct policy_regex **ret)
{
	const struct set nothing = { 0 };
	struct set start = { 0 };
	struct policy_regex *re;
	BB_AUTO_FREE uint16_t *next = NULL;
	int r;

	set_add(&start, 0);
	c->behind[0] = whole->first;
	if (whole->is_nullable)
		set_add(&whole->last, 0);
	classify(c);
	(void)find_state(c, &nothing); /* 0 */
	(void)find_state(c, &start);   /* 1 */
	next = calloc(LIMIT_REGEX_STATES * c->class_count, sizeof(*next));
	if (next == NULL)
		return bb_err_set(c->err, -ENOMEM, "out of memory");
	r = build_table(c, next);
	if (r < 0)
		return r;
	re = calloc(1, sizeof(*re) + c->state_count * c->class_count * sizeof(*next));
	if (re == NULL)
		return bb_err_set(c->err, -ENOMEM, "out of memory");
	memcpy(re->class_of, c->class_of, sizeof(re->class_of));
	memcpy(re->next, next, c->state_count * c->class_count * sizeof(*next));
	re->class_count = c->class_count;
	re->state_count = c->state_count;
	for (size_t s = 0; s < c->state_count; s++) {
		const struct set final = set_meet(&c->states[s], &whole->last);

		re->is_final[s] = !set_eq(&final, &nothing);
	}
	*ret = re;
	return 0;
}

int policy_regex_new(const char *text, struct policy_regex **ret, struct bb_err *err)
{
	BB_AUTO_FREE struct compiler *c = calloc(1, sizeof(*c));
	struct part whole = { 0 };
	int r;

	if (c == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	c->text = c->at = text;
	c->position_count = 1;
	c->err = err;
	r = parse(c, &whole);
	return r < 0 ? r : build(c, &whole, ret);
}

void policy_regex_free(struct policy_regex *re)
{
	free(re);
}

bool policy_regex_match(const struct policy_regex *re, struct bb_view value)
{
	size_t state = 1;

	for (size_t i = 0; i < value.n && state != 0; i++)
		state = re->next[state * re->class_count + re->class_of[value.p[i]]];
	return re->is_final[state];
}

size_t policy_regex_size(const struct policy_regex *re)
{
	return sizeof(*re) + re->state_count * re->class_count * sizeof(re->next[0]);
}
