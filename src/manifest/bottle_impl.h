/* Shared by the files that read a bottle. */
#ifndef BB_MANIFEST_BOTTLE_IMPL_H
#define BB_MANIFEST_BOTTLE_IMPL_H

#include "manifest/keys.h"
#include "manifest/manifest.h"

#define MANIFEST_REFUSE_DOCKERFILE                                                             \
	"is refused: images are built by 'bot-bottle image build', not from Dockerfiles; use " \
	"'image'"

/* Without front matter. */
int manifest_bottle_new(const char *name, struct manifest_bottle **ret, struct bb_err *err);
/* Every key of a whole file, or of several merged, into b, whose `files` own the tree's file names.
 */
int manifest_take_bottle(const struct manifest_node *root, struct manifest_bottle *b,
			 struct bb_err *err);

/* Reads ROOT/bottles/NAME.md after a check of who may have written it. */
int manifest_read_bottle(const char *root, const char *name, struct bb_buf *text,
			 struct bb_err *err);

/* Marks in tree, the file of child, what child allows and parent does not. */
void manifest_mark_wider(const struct manifest_bottle *parent, const struct manifest_bottle *child,
			 const struct manifest_node *tree);

/* Blocks of more than one file. */
extern const struct manifest_block manifest_provider_block, manifest_git_block,
	manifest_agent_git_block, manifest_resource_block, manifest_workspace_block,
	manifest_dlp_block, manifest_route_block, manifest_match_block;
/* Rows of bottle.c's table, one function a block; target is the struct manifest_bottle. */
int manifest_take_env(const struct manifest_reader *r, const struct manifest_node *value,
		      void *bottle);
int manifest_take_provider(const struct manifest_reader *r, const struct manifest_node *value,
			   void *bottle);
int manifest_take_git(const struct manifest_reader *r, const struct manifest_node *value,
		      void *bottle);
int manifest_take_resources(const struct manifest_reader *r, const struct manifest_node *value,
			    void *bottle);
int manifest_take_workspace(const struct manifest_reader *r, const struct manifest_node *value,
			    void *bottle);
/* One entry of a preset's file into a zeroed route, without its origin; the caller frees it. */
int manifest_take_route(const struct manifest_reader *r, const struct manifest_node *entry,
			struct policy_route *ret);
/* What the policy's newest route does not hold itself. 0 or -ENOMEM. */
int manifest_add_route_info(struct manifest_bottle *b, const struct manifest_route *info);
/* The row `egress.routes`: adds every route to the bottle's policy. */
int manifest_take_routes(const struct manifest_reader *r, const struct manifest_node *list,
			 void *bottle);

/* A route's `matches`, added to route. */
int manifest_take_matches(const struct manifest_reader *r, const struct manifest_node *list,
			  struct policy_route *route);
/* Headers (in lower case) that belong to one connection, or that egress writes anew. */
bool manifest_is_hop_header(const char *name);
/* `dlp` of a route. */
int manifest_take_dlp(const struct manifest_reader *r, const struct manifest_node *value,
		      struct manifest_dlp *ret);
/* `user` of git-gate, of a bottle or an agent; one of its fields must be there. */
int manifest_take_git_user(const struct manifest_reader *r, const struct manifest_node *value,
			   struct manifest_git_user *ret);
/* git-gate of an agent: `user` and nothing else. */
int manifest_take_agent_git(const struct manifest_reader *r, const struct manifest_node *value,
			    struct manifest_git_user *ret);

void manifest_env_done(struct manifest_bottle *b);
void manifest_settings_done(struct manifest_settings *s);
void manifest_git_user_done(struct manifest_git_user *u);
void manifest_git_done(struct manifest_git *g);

static inline struct manifest_origin manifest_origin_of(const struct manifest_node *value)
{
	return (struct manifest_origin){ .file = value->file,
					 .line = value->key != NULL ? value->key_line : value->line,
					 .is_wider = value->is_wider };
}

#endif
