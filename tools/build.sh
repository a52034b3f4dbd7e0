# Builds everything into build/. Sourced by the other tools, from the top of the tree.
# Reconfigured each time: meson does not notice by itself that a folder has appeared.
if [ -f build/build.ninja ]; then
	meson setup --reconfigure build >build/setup.log 2>&1 || { cat build/setup.log >&2; exit 1; }
else
	mkdir -p build
	meson setup build -Dmode=developer >build/setup.log 2>&1 || { cat build/setup.log >&2; exit 1; }
fi
ninja -C build --quiet
