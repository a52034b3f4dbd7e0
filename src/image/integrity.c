/* One algorithm, one length: anything else that npm could write (sha1, several hashes) is not
 * accepted. */
#include "image/integrity.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

#define INTEGRITY_PREFIX "sha512-"
#define BASE64_CHARS     88 /* 64 bytes: 86 digits and two '=' */

int integrity_parse(const char *text, uint8_t ret_digest[SHA512_BYTES])
{
	uint32_t bits = 0;
	size_t have = 0, n = 0;

	if (strncmp(text, INTEGRITY_PREFIX, strlen(INTEGRITY_PREFIX)) != 0)
		return -EINVAL;
	text += strlen(INTEGRITY_PREFIX);
	if (strlen(text) != BASE64_CHARS || strcmp(text + BASE64_CHARS - 2, "==") != 0)
		return -EINVAL;
	for (size_t i = 0; i < BASE64_CHARS - 2; i++) {
		const char *digit = strchr(bb_base64_digits, text[i]);

		if (digit == NULL)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)(digit - bb_base64_digits);
		have += 6;
		if (have >= 8) {
			have -= 8;
			ret_digest[n++] = (uint8_t)(bits >> have);
		}
	}
	return (bits & ((1u << have) - 1)) == 0
		       ? 0
		       : -EINVAL; /* spare bits are zero in canonical text */
}

int integrity_check_file(const char *path, const char *integrity, struct bb_err *err)
{
	uint8_t wanted[SHA512_BYTES], found[SHA512_BYTES];
	BB_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char text[BASE64_CHARS + 1];
	struct sha512 s;
	int r;

	if (integrity_parse(integrity, wanted) < 0)
		return bb_err_set(err, -EINVAL, "the pinned hash '%s' is not a sha512 integrity",
				  integrity);
	if (fd < 0)
		return bb_err_errno(err, "cannot read '%s'", path);
	sha512_init(&s);
	r = sha512_fd(&s, fd);
	if (r < 0)
		return bb_err_set(err, r, "cannot read '%s': %s", path, bb_err_name(r));
	sha512_final(&s, found);
	if (memcmp(wanted, found, sizeof(wanted)) == 0)
		return 0;
	(void)bb_base64(bb_view_of(found, sizeof(found)), text, sizeof(text)); /* it fits */
	return bb_err_set(err, -EBADMSG,
			  "'%s' is not what was pinned (its hash is sha512-%s, wanted is %s); "
			  "nothing of it was used",
			  path, text, integrity);
}
