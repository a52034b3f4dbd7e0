/* What the two halves of tar.h share: the form of a header. */
#ifndef BB_GUEST_TAR_IMPL_H
#define BB_GUEST_TAR_IMPL_H

#include "guest/tar.h"

/* Offsets and sizes of the fields of a ustar header. */
enum {
	TAR_NAME = 0,
	TAR_NAME_SIZE = 100,
	TAR_MODE = 100,
	TAR_UID = 108,
	TAR_GID = 116,
	TAR_SIZE = 124,
	TAR_SIZE_SIZE = 12,
	TAR_MTIME = 136,
	TAR_SUM = 148,
	TAR_TYPE = 156,
	TAR_LINK = 157,
	TAR_MAGIC = 257,
	TAR_DEV_MAJOR = 329,
	TAR_DEV_MINOR = 337,
	TAR_PREFIX = 345,
	TAR_PREFIX_SIZE = 155,
};
#define TAR_OCTAL_MAX 077777777777ULL /* of an eleven-digit field */
#define TAR_ID_MAX    07777777U       /* of a seven-digit one */
#define TAR_OPAQUE    "SCHILY.xattr.trusted.overlay.opaque"

#endif
