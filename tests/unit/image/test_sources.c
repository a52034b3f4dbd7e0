/* image/sources.c: of the host's apt sources, the release's own and nothing else. */
#include "../unit.h"

#include <string.h>

#include "base/buf.h"
#include "image/sources.h"

#define KEY "/usr/share/keyrings/debian-archive-keyring.gpg"

static const struct {
	const char *name;
	enum sources_form form;
	const char *in, *out; /* out "": nothing is kept */
} cases[] = {
	{ "one line", SOURCES_ONE_LINE, "deb http://a.example/debian bookworm main\n",
	  "Types: deb\nURIs: http://a.example/debian\nSuites: bookworm\nComponents: main\n\n" },
	{ "only main of several components", SOURCES_ONE_LINE,
	  "deb http://a.example/debian/ bookworm-updates main contrib non-free-firmware",
	  "Types: deb\nURIs: http://a.example/debian/\nSuites: bookworm-updates\nComponents: "
	  "main\n\n" },
	{ "options", SOURCES_ONE_LINE,
	  "deb [ arch=amd64 signed-by=/k/mirror.gpg trusted=yes ] "
	  "https://m.example/x/debian-security bookworm-security "
	  "main # note\n",
	  "Types: deb\nURIs: https://m.example/x/debian-security\nSuites: "
	  "bookworm-security\nComponents: main\n"
	  "Signed-By: /k/mirror.gpg\n\n" },
	{ "Debian's key vouches for any path", SOURCES_ONE_LINE,
	  "deb [signed-by=" KEY "] http://a.example/pool bookworm main\n",
	  "Types: deb\nURIs: http://a.example/pool\nSuites: bookworm\nComponents: "
	  "main\nSigned-By: " KEY "\n\n" },
	{ "a third party that uses the same suite", SOURCES_ONE_LINE,
	  "deb http://apt.example bookworm main\n", "" },
	{ "a third party below debian with its own component", SOURCES_ONE_LINE,
	  "deb http://docker.example/linux/debian bookworm stable\n", "" },
	{ "another suite", SOURCES_ONE_LINE,
	  "deb http://a.example/debian bookworm-backports main\n", "" },
	{ "another release", SOURCES_ONE_LINE, "deb http://a.example/debian trixie main\n", "" },
	{ "source packages", SOURCES_ONE_LINE, "deb-src http://a.example/debian bookworm main\n",
	  "" },
	{ "a disc", SOURCES_ONE_LINE, "deb cdrom:[Debian]/debian bookworm main\n", "" },
	{ "a comment", SOURCES_ONE_LINE, "#deb http://a.example/debian bookworm main\n", "" },
	{ "an unclosed option", SOURCES_ONE_LINE,
	  "deb [arch=amd64 http://a.example/debian bookworm main\n", "" },
	{ "a host whose name is debian", SOURCES_ONE_LINE,
	  "deb http://debian.example/x bookworm main\n", "" },
	{ "deb822", SOURCES_DEB822,
	  "# comment\nTypes: deb deb-src\nURIs: http://a.example/debian\nSuites: bookworm "
	  "bookworm-updates "
	  "bookworm-backports\nComponents: main contrib\nSigned-By: " KEY "\n",
	  "Types: deb\nURIs: http://a.example/debian\nSuites: bookworm "
	  "bookworm-updates\nComponents: main\n"
	  "Signed-By: " KEY "\n\n" },
	{ "deb822, two stanzas, one foreign", SOURCES_DEB822,
	  "Types: deb\nURIs: http://apt.example\nSuites: bookworm\nComponents: main\n\n"
	  "types: deb\nuris: http://a.example/debian-security\nsuites: "
	  "bookworm-security\ncomponents: main\n",
	  "Types: deb\nURIs: http://a.example/debian-security\nSuites: "
	  "bookworm-security\nComponents: main\n\n" },
	{ "deb822, switched off", SOURCES_DEB822,
	  "Enabled: no\nTypes: deb\nURIs: http://a.example/debian\nSuites: bookworm\nComponents: "
	  "main\n",
	  "" },
	{ "deb822, trusted is not carried over", SOURCES_DEB822,
	  "Types: deb\nTrusted: yes\nURIs: http://a.example/debian\nSuites: bookworm\nComponents: "
	  "main\n",
	  "Types: deb\nURIs: http://a.example/debian\nSuites: bookworm\nComponents: main\n\n" },
	{ "deb822, addresses over two lines", SOURCES_DEB822,
	  "Types: deb\nURIs: http://a.example/debian\n http://b.example/other\n "
	  "http://c.example/debian\nSuites: bookworm\n"
	  "Components: main\n",
	  "Types: deb\nURIs: http://a.example/debian http://c.example/debian\nSuites: "
	  "bookworm\nComponents: main\n\n" },
	{ "deb822, a mirror's key inline", SOURCES_DEB822,
	  "Types: deb\nURIs: http://a.example/debian\nSuites: bookworm\nComponents: "
	  "main\nSigned-By:\n -----BEGIN PGP\n .\n"
	  " abc\n -----END PGP\n",
	  "Types: deb\nURIs: http://a.example/debian\nSuites: bookworm\nComponents: "
	  "main\nSigned-By:  -----BEGIN PGP\n .\n"
	  " abc\n -----END PGP\n\n" },
	{ "deb822, an inline key cannot call itself Debian's", SOURCES_DEB822,
	  "Types: deb\nURIs: http://apt.example\nSuites: bookworm\nComponents: main\nSigned-By:\n "
	  "-----BEGIN PGP\n"
	  " /debian-archive-\n",
	  "" },
};

static void the_releases_own_archive_is_kept(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bb_buf out = { .cap = 65536 };
		int r = sources_filter(bb_view_str(cases[i].in), cases[i].form, "bookworm", &out);

		if (r < 0 || (r == 0) != (cases[i].out[0] == '\0') ||
		    !bb_view_eq_str(bb_buf_peek(&out), cases[i].out))
			fail_msg("%s: %d, '%.*s'", cases[i].name, r,
				 BB_VIEW_ARG(bb_buf_peek(&out)));
		bb_buf_done(&out);
	}
}

static void a_full_buffer_is_an_error(void **state)
{
	BB_AUTO_BUF struct bb_buf out = { .cap = 20 };

	(void)state;
	assert_true(sources_filter(bb_view_str(cases[0].in), SOURCES_ONE_LINE, "bookworm", &out) <
		    0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_releases_own_archive_is_kept),
		cmocka_unit_test(a_full_buffer_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
