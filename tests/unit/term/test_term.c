/* term/: what passes, what does not, and libvterm as the judge of what is left. */
#include "../unit.h"

#include <stdlib.h>
#include <string.h>

#include <vterm.h>

#include "base/cleanup.h"
#include "base/limit.h"
#include "term/term.h"

#define FFFD "\xef\xbf\xbd"

static void filter(const char *in, size_t n, size_t chunk, bool is_plain, struct bb_buf *out)
{
	struct term_filter f;

	bb_buf_init(out, 1 << 20);
	term_filter_init(&f, is_plain);
	for (size_t off = 0; off < n; off += chunk)
		assert_int_equal(
			term_filter_feed(
				&f, bb_view_of(in + off, n - off < chunk ? n - off : chunk), out),
			0);
	assert_int_equal(term_filter_finish(&f, out), 0);
}

static const struct {
	const char *in, *want;
} cases[] = {
	/* text */
	{ "plain text\r\n\tnext\b", "plain text\r\n\tnext\b" },
	{ "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x8d\xbe", "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x8d\xbe" },
	{ "bell\a del\x7f nul\x01", "bell del nul" },
	/* broken UTF-8, C1, text that looks other than it is */
	{ "\xff", FFFD },
	{ "\x9b"
	  "31m",
	  FFFD "31m" }, /* 8-bit CSI */
	{ "\xc2\x9b"
	  "31m",
	  FFFD "31m" }, /* the same as UTF-8 */
	{ "\xc2\x9d"
	  "0;x\a",
	  FFFD "0;x" },       /* OSC */
	{ "\xe2\x82", FFFD }, /* cut at the end */
	{ "\xe2\x82"
	  "a",
	  FFFD "a" },
	{ "\xc0\xaf", FFFD FFFD },          /* overlong */
	{ "\xed\xa0\x80", FFFD FFFD FFFD }, /* surrogate */
	{ "\xf4\x90\x80\x80", FFFD FFFD FFFD FFFD },
	{ "a\xe2\x80\xae"
	  "b",
	  "a" FFFD "b" },             /* right-to-left override */
	{ "\xf3\xa0\x81\x81", FFFD }, /* tag character */
	/* drawing passes; what was left set is undone at the end */
	{ "\033[31mred\033[0m", "\033[31mred\033[0m" },
	{ "\033[31mred", "\033[31mred\033[0m" },
	{ "\033[38:2::1:2:3mx\033[m", "\033[38:2::1:2:3mx\033[m" },
	{ "\033[2J\033[H\033[10;5H\033[K\033[1A", "\033[2J\033[H\033[10;5H\033[K\033[1A" },
	{ "\033[?1049h\033[?25lx", "\033[?1049h\033[?25lx\033[?1049l\033[?25h" },
	{ "\033[?1049h\033[?1049l", "\033[?1049h\033[?1049l" },
	{ "\033[?2004h", "\033[?2004h\033[?2004l" },
	{ "\033[?1h\033=", "\033[?1h\033=\033[?1l\033>" },
	{ "\033[2;5r", "\033[2;5r\0337\033[r\0338" },
	{ "\033[4h", "\033[4h\033[4l" },
	{ "\033[5 q", "\033[5 q\033[0 q" },
	{ "x\033[5b", "x\033[5b" },
	{ "x\033[6n\033[5b\033[5b", "x\033[5b" },
	{ "\033[5b\n\033[5b", "\n" },
	{ "\033(0lqk\033(B", "\033(0lqk\033(B\033(B\033)B\017" },
	{ "\0337\0338\033M\033D\033E", "\0337\0338\033M\033D\033E" },
	/* questions, titles, clipboard, links, windows, printer, scroll-back, resets, mouse */
	{ "\033[6n\033[c\033[>c\033[=c\033[5n\033[?6n\033[x", "" },
	{ "\033]0;title\a\033]2;t\033\\\033]52;c;aGk=\a\033]8;;http://x\a", "" },
	{ "\033P$q\"p\033\\\033_x\033\\\033^x\033\\\033Xx\033\\", "" },
	{ "\033[8;10;10t\033[21t\033[5i\033[4i\033[3J\033c\033[!p", "" },
	{ "\033[?1000h\033[?1006h\033[?1004h\033[?9h\033[?69h", "" },
	{ "\033[>4;2m\033[>1u\033[=1u\033[<u\033[?u\033[>q", "" },
	{ "\033[20h\033[2h\033[4;20h", "" },
	{ "\033[?1049;1000h", "" },
	{ "\033[10000A\033[99999999999999999999b", "" },
	{ "\033[1;2;3;4;5T", "" },
	{ "\033[1\"q\033[1$r", "" },
	{ "\033%G\033(A\033*0\033#8\033n\033o\033~\033l\033Z", "" },
	/* malformed: a control ends a sequence, ESC begins a new one */
	{ "\033[31\nm", "\nm" },
	{ "\033[3\033[1mx", "\033[1mx\033[0m" },
	{ "\033\033[1m", "\033[1m\033[0m" },
	{ "\033[1<m\033[<1mx\033[1 2mx", "xx" },
	{ "\033]0;a\033[1mx", "\033[1mx\033[0m" },
	{ "\033]0;a\x18x", "x" },
	{ "\033", "" },
	{ "\033[", "" },
	{ "\033[31", "" },
	{ "\033]0;never ends", "" },
	{ "\033\xc3\xa4", "\xc3\xa4" },
	{ "\033[1\xc3\xa4", "\xc3\xa4" },
};

static void filter_passes_drawing_and_nothing_else(void **state)
{
	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(cases); i++)
		for (size_t chunk = 1; chunk < 8; chunk++) {
			BB_AUTO_BUF struct bb_buf out = { 0 };
			BB_AUTO_FREE char *got = NULL;

			filter(cases[i].in, strlen(cases[i].in), chunk, false, &out);
			got = bb_buf_dup_str(&out);
			if (strcmp(got, cases[i].want) != 0)
				print_error("case %zu, chunks of %zu\n", i, chunk);
			assert_string_equal(got, cases[i].want);
		}
}

static void plain_filter_passes_text_and_line_ends_only(void **state)
{
	static const char in[] = "a\033[31mb\033[0m\r\nc\033(0\016\b\033]0;t\ad\x9b";
	BB_AUTO_BUF struct bb_buf out = { 0 };
	BB_AUTO_FREE char *got = NULL;

	(void)state;
	filter(in, sizeof(in) - 1, 3, true, &out);
	got = bb_buf_dup_str(&out);
	assert_string_equal(got, "ab\ncd" FFFD);
}

static void long_sequence_is_dropped_whole(void **state)
{
	char in[3 * TERM_SEQUENCE_MAX];
	BB_AUTO_BUF struct bb_buf out = { 0 };
	BB_AUTO_FREE char *got = NULL;

	(void)state;
	memset(in, '1', sizeof(in));
	memcpy(in, "\033[", 2);
	memcpy(in + sizeof(in) - 3, "mok", 3);
	filter(in, sizeof(in), 7, false, &out);
	got = bb_buf_dup_str(&out);
	assert_string_equal(got, "ok");
}

static void endless_string_hides_a_bounded_amount(void **state)
{
	size_t n = LIMIT_TERM_STRING + 64;
	BB_AUTO_FREE char *in = malloc(n);
	BB_AUTO_BUF struct bb_buf out = { 0 };

	(void)state;
	memset(in, 'x', n);
	memcpy(in, "\033]", 2);
	filter(in, n, 4096, false, &out);
	assert_in_range(bb_buf_size(&out), 1, 64);
}

/*
 * libvterm gets the filter's output and must answer nothing, set no title, change no mode at the
 * end that would outlive the session, and ring nothing.
 */
struct judge {
	size_t answers, titles, bells;
	int mouse, reverse;
	bool is_alt, is_cursor_hidden;
};

static void on_output(const char *s, size_t n, void *arg)
{
	(void)s;
	((struct judge *)arg)->answers += n;
}

static int on_property(VTermProp prop, VTermValue *value, void *arg)
{
	struct judge *j = arg;

	switch (prop) {
	case VTERM_PROP_TITLE:
	case VTERM_PROP_ICONNAME:
		j->titles++;
		break;
	case VTERM_PROP_ALTSCREEN:
		j->is_alt = value->boolean;
		break;
	case VTERM_PROP_CURSORVISIBLE:
		j->is_cursor_hidden = !value->boolean;
		break;
	case VTERM_PROP_MOUSE:
		j->mouse = value->number;
		break;
	case VTERM_PROP_REVERSE:
		j->reverse = value->boolean;
		break;
	default:
		break;
	}
	return 1;
}

static int on_bell(void *arg)
{
	((struct judge *)arg)->bells++;
	return 1;
}

static struct judge judged(const uint8_t *p, size_t n)
{
	static const VTermScreenCallbacks callbacks = { .settermprop = on_property,
							.bell = on_bell };
	struct judge j = { 0 };
	VTerm *vt = vterm_new(24, 80);
	VTermScreen *screen = vterm_obtain_screen(vt);

	vterm_set_utf8(vt, 1);
	vterm_output_set_callback(vt, on_output, &j);
	vterm_screen_set_callbacks(screen, &callbacks, &j);
	vterm_screen_enable_altscreen(screen, 1);
	vterm_screen_reset(screen, 1);
	j = (struct judge){ 0 };
	(void)vterm_input_write(vt, (const char *)p, n);
	vterm_free(vt);
	return j;
}

static void libvterm_sees_the_attacks_without_the_filter(void **state)
{
	static const char in[] = "\033[6n\033]0;title\a\a\033[?1000h\033[?1049h\033[?25l";
	struct judge j = judged((const uint8_t *)in, sizeof(in) - 1);

	(void)state;
	assert_true(j.answers > 0 && j.titles > 0 && j.bells > 0 && j.mouse != 0 && j.is_alt &&
		    j.is_cursor_hidden);
}

static void libvterm_finds_nothing_behind_the_filter(void **state)
{
	static const char *const pieces[] = {
		"\033[6n",   "\033[c",      "\033]0;t\a",  "\033P",       "\033\\",
		"\a",        "\033[?1000h", "\033[?1049h", "\033[?25l",   "\033[?5h",
		"text",      "\r\n",        "\x9b",        "6n",          "\033[",
		"\033",      "6",           "n",           "\033[31m",    "\xc2",
		"\x9d",      "0;x",         "\033[2;5r",   "\033[10;70H", "\xe4",
		"\xe2\x82",  "\xac",        "\033(0",      "\016",        "\033[4h",
		"\033c",     "\033%@",      "\033[18t",    "\033[>c",     "\033[?2004h",
		"\033[1;1H", "\033[5b",     ";",           ":",           "\033[?2026h",
		"\x18",      "\033[?1;25l",
	};
	unsigned seed = 1;

	(void)state;
	for (int round = 0; round < 3000; round++) {
		char in[512];
		size_t n = 0;
		BB_AUTO_BUF struct bb_buf out = { 0 };
		struct judge j;

		while (n < 400) {
			const char *piece;

			seed = seed * 1103515245u + 12345u;
			piece = pieces[(seed >> 16) % BB_ARRAY_LEN(pieces)];
			memcpy(in + n, piece, strlen(piece));
			n += strlen(piece);
		}
		filter(in, n, 1 + (size_t)round % 9, false, &out);
		j = judged(bb_buf_peek(&out).p, bb_buf_size(&out));
		if (j.answers || j.titles || j.bells || j.mouse || j.is_alt || j.is_cursor_hidden ||
		    j.reverse)
			fail_msg("round %d: answers %zu titles %zu bells %zu mouse %d alt %d "
				 "hidden %d "
				 "reverse %d",
				 round, j.answers, j.titles, j.bells, j.mouse, j.is_alt,
				 j.is_cursor_hidden, j.reverse);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filter_passes_drawing_and_nothing_else),
		cmocka_unit_test(plain_filter_passes_text_and_line_ends_only),
		cmocka_unit_test(long_sequence_is_dropped_whole),
		cmocka_unit_test(endless_string_hides_a_bounded_amount),
		cmocka_unit_test(libvterm_sees_the_attacks_without_the_filter),
		cmocka_unit_test(libvterm_finds_nothing_behind_the_filter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
