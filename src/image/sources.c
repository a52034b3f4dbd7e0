/*
 * The host's apt configuration, filtered. The files are the administrator's, so they are trusted,
 * but many name third parties beside the release's archive: a guest's base comes from the release
 * alone. Two formats are read, one-line (sources.list(5)) and deb822; one is written.
 */
#include "image/sources.h"

#include <dirent.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"

#define SOURCES_FILE_MAX (256 * 1024)
#define SOURCES_MAX      (64 * 1024)
#define OS_RELEASE_MAX   (64 * 1024)

/* One entry of either format. Views point into the file; lists are separated by blanks. */
struct sources_entry {
	struct bb_view types, uris, suites, components, signed_by;
	bool is_disabled;
};

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct bb_view trim(struct bb_view v)
{
	while (v.n > 0 && is_blank(v.p[0]))
		v = bb_view_from(v, 1);
	while (v.n > 0 && is_blank(v.p[v.n - 1]))
		v.n--;
	return v;
}

/* Takes the next word of *v; empty at the end. */
static struct bb_view next_word(struct bb_view *v)
{
	struct bb_view word = trim(*v);
	size_t n = 0;

	while (n < word.n && !is_blank(word.p[n]))
		n++;
	*v = bb_view_from(word, n);
	word.n = n;
	return word;
}

/* Takes the next line of *v without its end; false at the end. */
static bool next_line(struct bb_view *v, struct bb_view *ret)
{
	const uint8_t *end;

	if (v->n == 0)
		return false;
	end = memchr(v->p, '\n', v->n);
	*ret = bb_view_of(v->p, end == NULL ? v->n : (size_t)(end - v->p));
	*v = bb_view_from(*v, ret->n + 1);
	return true;
}

static bool has_word(struct bb_view list, const char *word)
{
	for (struct bb_view w = next_word(&list); w.n > 0; w = next_word(&list))
		if (bb_view_eq_str(w, word))
			return true;
	return false;
}

static bool starts_with(struct bb_view v, const char *prefix)
{
	size_t n = strlen(prefix);

	return v.n >= n && (n == 0 || memcmp(v.p, prefix, n) == 0);
}

static bool contains(struct bb_view v, const char *part)
{
	return v.n > 0 && memmem(v.p, v.n, part, strlen(part)) != NULL;
}

static bool is_release_suite(struct bb_view suite, const char *codename)
{
	static const char *const tails[] = { "", "-updates", "-security" };

	if (suite.n > 0 && suite.p[suite.n - 1] == '/')
		suite.n--;
	for (size_t i = 0; i < BB_ARRAY_LEN(tails); i++)
		if (starts_with(suite, codename) &&
		    bb_view_eq_str(bb_view_from(suite, strlen(codename)), tails[i]))
			return true;
	return false;
}

static bool is_archive_path(struct bb_view uri)
{
	static const char *const names[] = { "debian", "debian-security" };
	const uint8_t *host = memmem(uri.p, uri.n, "://", 3);
	struct bb_view rest;

	if (host == NULL && (host = memchr(uri.p, ':', uri.n)) == NULL)
		return false;
	rest = bb_view_from(uri, (size_t)(host - uri.p) + 1);
	while (rest.n > 0) {
		const uint8_t *slash = memchr(rest.p, '/', rest.n);
		struct bb_view part =
			bb_view_of(rest.p, slash == NULL ? rest.n : (size_t)(slash - rest.p));

		for (size_t i = 0; i < BB_ARRAY_LEN(names); i++)
			if (bb_view_eq_str(part, names[i]))
				return true;
		rest = bb_view_from(rest, part.n + 1);
	}
	return false;
}

static bool is_release_uri(struct bb_view uri, struct bb_view signed_by)
{
	if (starts_with(uri, "cdrom:"))
		return false;
	if (contains(signed_by, "/debian-archive-") && !contains(signed_by, "BEGIN PGP"))
		return true;
	return is_archive_path(uri);
}

/* Appends what is kept of an entry; 1, 0 when nothing is, or the buffer's error. */
static int put_entry(const struct sources_entry *e, const char *codename, struct bb_buf *out)
{
	BB_AUTO_BUF struct bb_buf uris = { .cap = SOURCES_MAX };
	BB_AUTO_BUF struct bb_buf suites = { .cap = SOURCES_MAX };
	struct bb_view rest = e->uris;
	int r = 0;

	if (e->is_disabled || !has_word(e->types, "deb") || !has_word(e->components, "main"))
		return 0;
	for (struct bb_view w = next_word(&rest); w.n > 0 && r == 0; w = next_word(&rest))
		if (is_release_uri(w, e->signed_by))
			r = bb_buf_printf(&uris, " %.*s", BB_VIEW_ARG(w));
	rest = e->suites;
	for (struct bb_view w = next_word(&rest); w.n > 0 && r == 0; w = next_word(&rest))
		if (is_release_suite(w, codename))
			r = bb_buf_printf(&suites, " %.*s", BB_VIEW_ARG(w));
	if (r < 0)
		return r;
	if (bb_buf_size(&uris) == 0 || bb_buf_size(&suites) == 0)
		return 0;

	r = bb_buf_printf(out, "Types: deb\nURIs:%.*s\nSuites:%.*s\nComponents: main\n",
			  BB_VIEW_ARG(bb_buf_peek(&uris)), BB_VIEW_ARG(bb_buf_peek(&suites)));
	if (r == 0 && e->signed_by.n > 0)
		r = bb_buf_printf(out, "Signed-By: %.*s\n", BB_VIEW_ARG(e->signed_by));
	if (r == 0)
		r = bb_buf_append_byte(out, '\n');
	return r < 0 ? r : 1;
}

/* "deb [signed-by=/key arch=amd64] URI SUITE COMPONENT..." */
static int filter_line(struct bb_view line, const char *codename, struct bb_buf *out)
{
	const uint8_t *comment = memchr(line.p, '#', line.n);
	struct sources_entry e = { 0 };
	struct bb_view w;

	if (comment != NULL)
		line.n = (size_t)(comment - line.p);
	e.types = next_word(&line);
	line = trim(line);
	if (line.n > 0 && line.p[0] == '[') {
		const uint8_t *end = memchr(line.p, ']', line.n);
		struct bb_view options;

		if (end == NULL)
			return 0;
		options = bb_view_of(line.p + 1, (size_t)(end - line.p) - 1);
		line = bb_view_from(line, options.n + 2);
		for (w = next_word(&options); w.n > 0; w = next_word(&options))
			if (starts_with(w, "signed-by="))
				e.signed_by = bb_view_from(w, strlen("signed-by="));
	}
	e.uris = next_word(&line);
	e.suites = next_word(&line);
	e.components = trim(line);
	return put_entry(&e, codename, out);
}

static int filter_lines(struct bb_view text, const char *codename, struct bb_buf *out)
{
	struct bb_view line;
	int count = 0;

	while (next_line(&text, &line)) {
		int r = filter_line(line, codename, out);

		if (r < 0)
			return r;
		count += r;
	}
	return count;
}

/* The field of a stanza that a name stands for, or NULL. */
static struct bb_view *stanza_field(struct sources_entry *e, struct bb_view name)
{
	if (bb_view_ieq_str(name, "Types"))
		return &e->types;
	if (bb_view_ieq_str(name, "URIs"))
		return &e->uris;
	if (bb_view_ieq_str(name, "Suites"))
		return &e->suites;
	if (bb_view_ieq_str(name, "Components"))
		return &e->components;
	if (bb_view_ieq_str(name, "Signed-By"))
		return &e->signed_by;
	return NULL;
}

static int filter_stanzas(struct bb_view text, const char *codename, struct bb_buf *out)
{
	struct sources_entry e = { 0 };
	struct bb_view *field = NULL;
	struct bb_view line;
	int count = 0;

	for (bool more = true; more;) {
		const uint8_t *colon;
		struct bb_view name, value;

		more = next_line(&text, &line);
		if (!more || trim(line).n == 0) { /* the stanza is complete */
			int r = put_entry(&e, codename, out);

			if (r < 0)
				return r;
			count += r;
			e = (struct sources_entry){ 0 };
			field = NULL;
			continue;
		}
		if (line.p[0] == '#')
			continue;
		if (is_blank(line.p[0])) { /* continues the field: the view grows over the lines
					      between */
			if (field != NULL && field->n > 0)
				field->n = (size_t)(line.p + line.n - field->p);
			else if (field != NULL)
				*field = line;
			continue;
		}
		colon = memchr(line.p, ':', line.n);
		if (colon == NULL)
			continue;
		name = trim(bb_view_of(line.p, (size_t)(colon - line.p)));
		value = trim(bb_view_from(line, (size_t)(colon - line.p) + 1));
		if (bb_view_ieq_str(name, "Enabled"))
			e.is_disabled =
				bb_view_ieq_str(value, "no") || bb_view_ieq_str(value, "false");
		field = stanza_field(&e, name);
		if (field != NULL)
			*field = value;
	}
	return count;
}

int sources_filter(struct bb_view text, enum sources_form form, const char *codename,
		   struct bb_buf *out)
{
	return form == SOURCES_ONE_LINE ? filter_lines(text, codename, out)
					: filter_stanzas(text, codename, out);
}

/* KEY=value or KEY="value" of /etc/os-release, on the heap; NULL: not there. */
static char *os_release_value(struct bb_view text, const char *key)
{
	struct bb_view line;

	while (next_line(&text, &line)) {
		struct bb_view v;

		if (!starts_with(line, key) || line.n <= strlen(key) || line.p[strlen(key)] != '=')
			continue;
		v = trim(bb_view_from(line, strlen(key) + 1));
		if (v.n >= 2 && v.p[0] == '"')
			v = bb_view_of(v.p + 1, v.n - 2);
		return strndup((const char *)v.p, v.n);
	}
	return NULL;
}

static int host_codename(char **ret, struct bb_err *err)
{
	BB_AUTO_BUF struct bb_buf text = { .cap = OS_RELEASE_MAX };
	BB_AUTO_FREE char *id = NULL;
	BB_AUTO_FREE char *codename = NULL;
	int r = bb_path_read("/etc/os-release", 0, &text, err);

	if (r < 0)
		return r;
	id = os_release_value(bb_buf_peek(&text), "ID");
	codename = os_release_value(bb_buf_peek(&text), "VERSION_CODENAME");
	if (id == NULL || strcmp(id, "debian") != 0 || codename == NULL || codename[0] == '\0')
		return bb_err_set(err, BB_E_MISSING,
				  "images are built from the packages of a Debian release, and "
				  "this host is '%s'; "
				  "build on Debian 12 and copy the image directory here",
				  BB_ESCAPED(bb_view_str(id == NULL ? "unknown" : id)));
	*ret = bb_take_ptr(&codename);
	return 0;
}

static int filter_file(const char *path, enum sources_form form, const char *codename,
		       struct bb_buf *out, struct bb_err *err)
{
	BB_AUTO_BUF struct bb_buf text = { .cap = SOURCES_FILE_MAX };
	int r;

	if (access(path, F_OK) < 0 && errno == ENOENT)
		return 0;
	r = bb_path_read(path, 0, &text, err);
	if (r < 0)
		return r;
	r = sources_filter(bb_buf_peek(&text), form, codename, out);
	return r < 0 ? bb_err_set(err, r, "the apt sources in '%s' are too long", path) : r;
}

static int has_sources_name(const struct dirent *d)
{
	const char *dot = strrchr(d->d_name, '.');

	return dot != NULL && (strcmp(dot, ".list") == 0 || strcmp(dot, ".sources") == 0);
}

int sources_of_host(struct bb_buf *out, char **ret_codename, struct bb_err *err)
{
	static const char dir[] = "/etc/apt/sources.list.d";
	BB_AUTO_FREE char *codename = NULL;
	struct dirent **list = NULL;
	int n, total, r;

	r = host_codename(&codename, err);
	if (r < 0)
		return r;
	total = r = filter_file("/etc/apt/sources.list", SOURCES_ONE_LINE, codename, out, err);
	n = scandir(dir, &list, has_sources_name, alphasort);
	for (int i = 0; i < n; i++) {
		BB_AUTO_FREE char *path = bb_text_printf("%s/%s", dir, list[i]->d_name);
		bool is_list = strstr(list[i]->d_name, ".list") != NULL;

		if (r >= 0 && path != NULL) {
			r = filter_file(path, is_list ? SOURCES_ONE_LINE : SOURCES_DEB822, codename,
					out, err);
			total += r;
		}
		free(list[i]);
	}
	free(list);
	if (r < 0)
		return r;
	if (total == 0)
		return bb_err_set(
			err, BB_E_MISSING,
			"apt on this host has no source for Debian's own '%s' main; add it to "
			"/etc/apt/sources.list",
			codename);
	*ret_codename = bb_take_ptr(&codename);
	return 0;
}
