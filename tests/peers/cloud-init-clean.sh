#!/bin/bash
# cloud-init's own way to make an instance an image again, with everything it offers there
# (cloud-init(1), clean). Runs in the image.
set -eu

cloud-init clean --logs --machine-id --seed
