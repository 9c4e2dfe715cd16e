# `make demo` shows the main job, `make test` runs the tests, `make test-full` whole matrices and
# other tools besides, `make bench` measures. Each installs what it needs through apt (with sudo
# when not root); elsewhere it names what is missing.

.POSIX:

CARGO ?= cargo

.PHONY: all demo test test-full bench dist packages clean

all: dist

# The released programs in build/dist: static, stripped, the guest's inside the plugin.
dist:
	tests/dist.sh

# The first-boot program as .deb and .rpm in build/packages.
packages: dist
	packaging/build.sh

# A real Packer build with the scrub as last provisioner, then three boots of its result.
demo:
	tests/setup.sh demo
	tests/dist.sh
	PATH=$$PWD/build/tools/bin:$$PATH $(CARGO) run --quiet --package disinherit-tests --bin demo

# Everything: form, unit tests as root and as nobody, containers, Packer, virtual machines.
test:
	tests/setup.sh test
	tests/all.sh

# What takes hours or needs other people's tools: whole matrices, peers on the same image.
test-full:
	tests/setup.sh full
	DISINHERIT_FULL=1 tests/all.sh

# Ratios against peers in the same run; what they print is kept in docs/benchmarks/.
bench:
	tests/setup.sh full
	tests/bench.sh

clean:
	$(CARGO) clean
	tests/as-root.sh rm -rf build
