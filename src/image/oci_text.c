/*
 * What is written by hand here is fixed but for digests, sizes and our own names, so it is printed,
 * not built by a JSON library whose member order could change with its version.
 *
 * Root is the image's user: bottle-init drops to the agent's itself. The workload never ends: on
 * the versions of smolvm where the bottle comes in later, a machine whose own program ends takes
 * everything with it.
 */
#include "image/oci_text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define OCI_TYPE "application/vnd.oci.image."

const char *oci_architecture(void)
{
#if defined(__x86_64__)
	return "amd64";
#elif defined(__aarch64__)
	return "arm64";
#else
	return NULL;
#endif
}

int oci_put_config(struct bb_buf *out, const struct oci_image *o)
{
	int r = bb_buf_printf(
		out,
		"{\"architecture\":\"%s\",\"os\":\"linux\",\"created\":\"1970-01-01T00:00:00Z\","
		"\"config\":{\"User\":\"0:0\",\"WorkingDir\":\"/\",\"Env\":[\"PATH=/usr/local/sbin:"
		"/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\"],\"Entrypoint\":[\"/bottle-init\"],"
		"\"Cmd\":[\"--idle\"]},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[",
		o->architecture);

	for (size_t i = 0; r == 0 && i < o->layer_count; i++)
		r = bb_buf_printf(out, "%s\"sha256:%s\"", i == 0 ? "" : ",", o->layers[i].digest);
	return r < 0 ? r : bb_buf_append_str(out, "]}}");
}

static int oci_put_descriptor(struct bb_buf *out, const char *type, const struct oci_blob *b)
{
	return bb_buf_printf(
		out, "{\"mediaType\":\"" OCI_TYPE "%s\",\"digest\":\"sha256:%s\",\"size\":%llu",
		type, b->digest, (unsigned long long)b->bytes);
}

int oci_put_manifest(struct bb_buf *out, const struct oci_image *o)
{
	int r = bb_buf_append_str(out, "{\"schemaVersion\":2,\"mediaType\":\"" OCI_TYPE
				       "manifest.v1+json\",\"config\":");

	if (r == 0)
		r = oci_put_descriptor(out, "config.v1+json", &o->config);
	if (r == 0)
		r = bb_buf_append_str(out, "},\"layers\":[");
	for (size_t i = 0; r == 0 && i < o->layer_count; i++) {
		if (i > 0)
			r = bb_buf_append_byte(out, ',');
		if (r == 0)
			r = oci_put_descriptor(out, "layer.v1.tar", &o->layers[i]);
		if (r == 0)
			r = bb_buf_append_byte(out, '}');
	}
	return r < 0 ? r : bb_buf_append_str(out, "]}");
}

int oci_put_index(struct bb_buf *out, const struct oci_image *o)
{
	int r = bb_buf_append_str(out, "{\"schemaVersion\":2,\"mediaType\":\"" OCI_TYPE
				       "index.v1+json\",\"manifests\":[");

	if (r == 0)
		r = oci_put_descriptor(out, "manifest.v1+json", &o->manifest);
	if (r == 0)
		r = bb_buf_printf(
			out,
			",\"platform\":{\"architecture\":\"%s\",\"os\":\"linux\"},\"annotations\":"
			"{\"org.opencontainers.image.ref.name\":\"%s\"}}]}",
			o->architecture, o->name);
	return r;
}

/* What 'docker save' writes beside the OCI layout since it knows that one. */
int oci_put_docker(struct bb_buf *out, const struct oci_image *o)
{
	int r = bb_buf_printf(out,
			      "[{\"Config\":\"blobs/sha256/%s\",\"RepoTags\":[\"bot-bottle/"
			      "%s:%.12s\"],\"Layers\":[",
			      o->config.digest, o->name, o->id);

	for (size_t i = 0; r == 0 && i < o->layer_count; i++)
		r = bb_buf_printf(out, "%s\"blobs/sha256/%s\"", i == 0 ? "" : ",",
				  o->layers[i].digest);
	return r < 0 ? r : bb_buf_append_str(out, "]}]");
}

/* POSIX ustar. Offsets: name 0, mode 100, uid 108, gid 116, size 124, time 136, checksum 148,
 * type 156, magic 257. */
int oci_tar_header(const char *name, uint64_t bytes, uint8_t ret[OCI_TAR_BLOCK])
{
	static const char magic[8] = { 'u', 's', 't', 'a', 'r', '\0', '0', '0' };
	size_t length = strlen(name);
	bool is_directory = length > 0 && name[length - 1] == '/';
	char *h = (char *)ret;
	unsigned sum = 0;

	if (length == 0 || length > 100)
		return -EINVAL;
	if (bytes >= 1ULL << 33) /* eleven octal digits */
		return -EFBIG;
	memset(ret, 0, OCI_TAR_BLOCK);
	for (size_t i = 0; i < length; i++)
		h[i] = name[i];
	(void)snprintf(h + 100, 8, "%07o", is_directory ? 0755u : 0644u);
	(void)snprintf(h + 108, 8, "%07o", 0u);
	(void)snprintf(h + 116, 8, "%07o", 0u);
	(void)snprintf(h + 124, 12, "%011llo", (unsigned long long)bytes);
	(void)snprintf(h + 136, 12, "%011o", 0u);
	memset(h + 148, ' ', 8); /* counts as spaces */
	h[156] = is_directory ? '5' : '0';
	memcpy(h + 257, magic, sizeof(magic));
	for (size_t i = 0; i < OCI_TAR_BLOCK; i++)
		sum += ret[i];
	(void)snprintf(h + 148, 8, "%06o", sum);
	return 0;
}
