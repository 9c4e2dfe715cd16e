# `make demo` shows the main job, `make test` runs every test. Both install what they need
# through apt (with sudo when not root); elsewhere they name what is missing.

.POSIX:

CARGO ?= cargo

.PHONY: all demo test dist clean

all: dist

# The released programs in build/dist: static, stripped, the guest's inside the plugin.
dist:
	tests/dist.sh

# A real Packer build with the scrub as last provisioner, then three boots of its result.
demo:
	tests/setup.sh demo
	tests/dist.sh
	$(CARGO) run --quiet --package disinherit-tests --bin demo

# Everything: form, unit tests as root and as nobody, containers, Packer, virtual machines.
test:
	tests/setup.sh test
	tests/all.sh

clean:
	$(CARGO) clean
	tests/as-root.sh rm -rf build
