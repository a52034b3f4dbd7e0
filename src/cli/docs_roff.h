/*
 * Man pages in man(7), which every mandoc and groff shows, so plain that `mandoc -T lint` finds
 * nothing. What is given is text: nothing in it is taken for a request.
 */
#ifndef BB_CLI_DOCS_ROFF_H
#define BB_CLI_DOCS_ROFF_H

void roff_header(const char *name, const char *section);
void roff_name(const char *name, const char *summary);
void roff_section(const char *title);
/* A term, on the line that it is on. */
void roff_term(const char *s);
/* Text from the beginning of a line to its end, broken between words; an empty line begins a
 * paragraph. */
void roff_text(const char *s);
/* A term with its explanation. */
void roff_entry(const char *term, const char *text);
/* Lines as they are. */
void roff_example(const char *lines);
/* "bot-bottle (1)", ...; NULL-terminated. */
void roff_see_also(const char *const *pages);

#endif
