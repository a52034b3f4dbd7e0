/* See docs_roff.h. */
#include "cli/docs_roff.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

#define DOCS_DATE "2026-11-25" /* of the last change to what the pages say */

#define COLUMNS_MAX 78 /* longer lines of source are a finding of mandoc */

static void put_character(char c)
{
	if (c == '-')
		(void)fputs("\\-", stdout);
	else if (c == '\\')
		(void)fputs("\\e", stdout);
	else
		(void)putchar(c);
}

void roff_term(const char *s)
{
	for (; *s != '\0'; s++)
		put_character(*s);
}

/* Bytes that the word at s will take; '-' and '\\' take two. */
static size_t width_of(const char *s)
{
	size_t n = 0;

	for (; *s != '\0' && *s != ' ' && *s != '\n'; s++)
		n += *s == '-' || *s == '\\' ? 2 : 1;
	return n;
}

void roff_text(const char *s)
{
	size_t column = 0;

	while (*s != '\0') {
		if (s[0] == '\n' && s[1] == '\n') {
			(void)puts("\n.PP");
			column = 0;
		}
		while (*s == ' ' || *s == '\n')
			s++;
		if (column > 0)
			(void)putchar(column + 1 + width_of(s) > COLUMNS_MAX ? '\n' : ' ');
		column = column > 0 && column + 1 + width_of(s) <= COLUMNS_MAX ? column + 1 : 0;
		column += width_of(s);
		if (column == width_of(s) && (*s == '.' || *s == '\''))
			(void)fputs("\\&", stdout);
		for (; *s != '\0' && *s != ' ' && *s != '\n'; s++)
			put_character(*s);
	}
	(void)putchar('\n');
}

void roff_header(const char *name, const char *section)
{
	(void)fputs(".TH ", stdout);
	for (; *name != '\0'; name++)
		(void)putchar(*name >= 'a' && *name <= 'z' ? *name - 32 : *name);
	(void)printf(" %s " DOCS_DATE " \"bot\\-bottle " BB_VERSION "\"\n", section);
}

void roff_section(const char *title)
{
	(void)printf(".SH %s\n", title);
}

void roff_entry(const char *term, const char *text)
{
	(void)puts(".TP");
	(void)fputs("\\fB", stdout);
	roff_term(term);
	(void)puts("\\fR");
	roff_text(text);
}

void roff_name(const char *name, const char *summary)
{
	BB_AUTO_FREE char *line = bb_text_printf("%s - %s", name, summary);

	roff_section("NAME");
	roff_text(line != NULL ? line : name);
}

void roff_see_also(const char *const *pages)
{
	roff_section("SEE ALSO");
	for (size_t i = 0; pages[i] != NULL; i++) {
		(void)fputs(".BR ", stdout);
		roff_term(pages[i]);
		(void)puts(pages[i + 1] != NULL ? " ," : "");
	}
}

void roff_example(const char *lines)
{
	bool is_line_start = true;

	(void)puts(".PP\n.EX");
	for (; *lines != '\0'; lines++) {
		if (is_line_start && (*lines == '.' || *lines == '\''))
			(void)fputs("\\&", stdout);
		put_character(*lines);
		is_line_start = *lines == '\n';
	}
	(void)puts(".EE");
}
