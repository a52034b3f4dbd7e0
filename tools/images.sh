# For tools/demo and tools/check: builds the guest images that do not exist yet. Sourced, from the
# top of the tree, after the build.
for image in base claude; do
	if ! build/src/bot-bottle image list 2>/dev/null | grep -q "^$image\\b"; then
		echo "building the image '$image' (once)"
		build/src/bot-bottle image build "$image"
	fi
done
