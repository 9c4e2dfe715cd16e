#!/bin/sh
# Starts one instance of the image: no password from the image, one key pair.
#
#   ./launch.sh IMAGE VSWITCH SECURITY_GROUP KEY_PAIR [more aliyun options]
#
# Needs the aliyun command line program with credentials. With "--DryRun true" at the end the API
# only checks the request, permissions included, and starts nothing: it answers DryRunOperation.
set -eu
image=$1 vswitch=$2 group=$3 key=$4
shift 4

exec aliyun ecs RunInstances \
  --RegionId "${REGION:-eu-central-1}" \
  --ImageId "$image" \
  --InstanceType "${INSTANCE_TYPE:-ecs.g7.large}" \
  --VSwitchId "$vswitch" \
  --SecurityGroupId "$group" \
  --SystemDisk.Category cloud_essd \
  --InstanceName golden-1 \
  --PasswordInherit false \
  --KeyPairName "$key" \
  --Amount 1 \
  "$@"
