/* workspace/risky and its data: every name of the list, and that the list is well formed. */
#include "../unit.h"

#include <string.h>

#include "base/cleanup.h"
#include "workspace/pattern.h"
#include "workspace/risky.h"

static void what_a_host_runs_is_found(void **state)
{
	static const char *const paths[] = {
		".git/hooks/pre-commit",
		"sub/.git/config",
		".GIT/hooks/x",
		".gitattributes",
		"a/.gitattributes",
		".gitmodules",
		".envrc",
		"a/.envrc",
		".vscode/tasks.json",
		"x/.vscode/y/z",
		".husky/pre-push",
		".github/workflows/ci.yml",
		".github/actions/a/action.yml",
		"package.json",
		"web/package.json",
		"Makefile",
		"makefile",
		"MAKEFILE",
		"rules.mk",
		"setup.py",
		"conftest.py",
		"tests/conftest.py",
		"Dockerfile",
		"Dockerfile.dev",
		"docker-compose.yml",
		".mcp.json",
		".claude/settings.json",
		"CLAUDE.md",
		"AGENTS.md",
		".codex/config.toml",
		".idea/workspace.xml",
		"node_modules/.bin/x",
		".venv/bin/python",
		"build.rs",
		".cargo/config.toml",
		"CMakeLists.txt",
		"meson.build",
		"x.cmake",
		"Jenkinsfile",
		".gitlab-ci.yml",
		".pre-commit-config.yaml",
		"vite.config.ts",
		".eslintrc.cjs",
		"a.code-workspace",
		".yarnrc.yml",
		".npmrc",
		"sitecustomize.py",
		"x.pth",
		".gdbinit",
		"x.csproj",
		"pom.xml",
		"gradlew",
		"flake.nix",
		".bot-bottle/agents/x.md",
		"Gemfile",
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(paths); i++) {
		if (risky_find(paths[i]).n == 0)
			fail_msg("'%s' is not found", paths[i]);
	}
}

static void what_it_only_reads_is_not(void **state)
{
	static const char *const paths[] = {
		"main.c",           "README.md",          "src/git/hooks.c", "docs/about-make.md",
		"package.json.txt", "github/workflows/x", "a.txt",           "tests/test_a.py"
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(paths); i++) {
		if (risky_find(paths[i]).n != 0)
			fail_msg("'%s' is taken for one", paths[i]);
	}
}

static void special_rows_are_there(void **state)
{
	(void)state;
	assert_non_null(strstr(risky_data, "\n:executable "));
	assert_non_null(strstr(risky_data, "\n:symlink "));
	assert_true(risky_special(":executable").n > 0);
	assert_true(risky_special(":no-such-row").n > 0);
}

/* Each row has a pattern and, two spaces on, a word about who runs it; the first line the version.
 */
static void the_list_is_well_formed(void **state)
{
	size_t rows = 0;

	(void)state;
	assert_non_null(strstr(risky_data, "version 1\n"));
	for (const char *line = risky_data; *line != '\0'; line += strcspn(line, "\n") + 1) {
		size_t name = strcspn(line, " \n");

		if (line[0] == '#' || line[0] == '\n')
			continue;
		rows++;
		if (strncmp(line + name, "  ", 2) != 0 ||
		    line[name + strspn(line + name, " ")] == '\n')
			fail_msg("row %zu: '%.40s'", rows, line);
	}
	assert_true(rows > 200);
}

static void patterns_mean_what_they_say(void **state)
{
	static const struct {
		const char *pattern, *path;
		bool fits;
	} rows[] = {
		{ "a", "a", true },        { "a", "x/a", true },
		{ "a", "a/x", false },     { "a/b", "a/b", true },
		{ "a/b", "x/a/b", true },  { "a/b", "b", false },
		{ "a/*", "a/b/c", false }, { "a/*", "x/a/b", true },
		{ "a/", "a", true },       { "a/", "x/a/y/z", true },
		{ "a/", "xa/y", false },   { "*.x", "d/f.X", true },
		{ "*", "a/b", true },      { ".env.*", ".env.local", true },
		{ "A", "a", true },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(rows); i++) {
		if (pattern_fits(rows[i].pattern, rows[i].path) != rows[i].fits)
			fail_msg("'%s' and '%s'", rows[i].pattern, rows[i].path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_host_runs_is_found),
		cmocka_unit_test(what_it_only_reads_is_not),
		cmocka_unit_test(special_rows_are_there),
		cmocka_unit_test(the_list_is_well_formed),
		cmocka_unit_test(patterns_mean_what_they_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
