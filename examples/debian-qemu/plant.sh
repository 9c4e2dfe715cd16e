#!/bin/sh
# Leaves in TREE what the author of an image leaves there, and lists it in OUTPUT/planted.json.
#
#   plant.sh TREE OUTPUT SUITE nopasswd|password
#
# Every value is random, so that a hit in a captured image can only come from this build.
set -eu
tree=$1 output=$2 suite=$3 sudo_rule=$4
umask 022

list=$output/planted.json
separator=''

# planted ID PATH VALUE: VALUE is one line of printable ASCII without quotes or backslashes.
planted() {
    printf '%s\n  {"id": "%s", "path": "%s", "value": "%s"}' "$separator" "$1" "$2" "$3" >>"$list"
    separator=,
}
random() { head -c 64 /dev/urandom | base64 -w0 | tr -d '+/=' | cut -c1-"$1"; }
field() { awk -F: -v user="$2" '$1 == user { print $2 }' "$tree$1"; }
# The second line of an OpenSSH private key is past the constant preamble for every key type.
key_body() { sed -n 3p "$tree$1"; }
own() { chroot "$tree" chown -R builder:builder "$@"; }

(umask 077; printf '{"schema": 1, "suite": "%s", "secrets": [' "$suite" >"$list")

# Accounts and passwords.
chroot "$tree" useradd --create-home --shell /bin/bash --groups sudo builder
builder_password=$(random 20)
root_password=$(random 20)
printf 'builder:%s\nroot:%s\n' "$builder_password" "$root_password" | chroot "$tree" chpasswd
cp -p "$tree/etc/shadow" "$tree/etc/shadow-"
planted builder-password /etc/shadow "$(field /etc/shadow builder)"
planted root-password /etc/shadow "$(field /etc/shadow root)"
planted builder-password-backup /etc/shadow- "$(field /etc/shadow- builder)"
case $sudo_rule in
    nopasswd) rule='builder ALL=(ALL) NOPASSWD: ALL' ;;
    password) rule='builder ALL=(ALL) ALL' ;;
esac
echo "$rule" >"$tree/etc/sudoers.d/builder"
chmod 0440 "$tree/etc/sudoers.d/builder"

# The builder's login key: the private half stays outside, beside the image.
rm -f "$output/builder_key" "$output/builder_key.pub"
chroot "$tree" ssh-keygen -q -t ed25519 -N '' -C builder@laptop -f /tmp/builder_key
mv "$tree/tmp/builder_key" "$tree/tmp/builder_key.pub" "$output/"
home=/home/builder
for owner in "$home" /root; do
    mkdir -p "$tree$owner/.ssh"
    chmod 0700 "$tree$owner/.ssh"
    cat "$output/builder_key.pub" >"$tree$owner/.ssh/authorized_keys"
    chmod 0600 "$tree$owner/.ssh/authorized_keys"
    planted "authorized-key-${owner##*/}" "$owner/.ssh/authorized_keys" "$(cut -d' ' -f2 "$output/builder_key.pub")"
done

# A private key of its own, a history with a token, cloud credentials, a database password.
chroot "$tree" ssh-keygen -q -t ed25519 -N '' -C builder@base -f "$home/.ssh/id_ed25519"
planted private-key "$home/.ssh/id_ed25519" "$(key_body "$home/.ssh/id_ed25519")"
token=ghp_$(random 36)
printf 'ls -la\ncurl -H "Authorization: token %s" localhost\nexit\n' "$token" >"$tree$home/.bash_history"
planted history-token "$home/.bash_history" "$token"
database=$(random 24)
printf 'mysql -u root -p%s\n' "$database" >"$tree/root/.bash_history"
chmod 0600 "$tree$home/.bash_history" "$tree/root/.bash_history"
planted root-history-password /root/.bash_history "$database"
mkdir -p "$tree$home/.aws"
aws_id=AKIA$(head -c 20 /dev/urandom | base32 | cut -c1-16)
aws_secret=$(random 40)
printf '[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n' "$aws_id" "$aws_secret" \
    >"$tree$home/.aws/credentials"
chmod 0600 "$tree$home/.aws/credentials"
planted aws-key-id "$home/.aws/credentials" "$aws_id"
planted aws-secret "$home/.aws/credentials" "$aws_secret"
own "$home"

# Host keys as openssh-server's postinst made them.
for type in ed25519 ecdsa rsa; do
    [ -s "$tree/etc/ssh/ssh_host_${type}_key" ] || chroot "$tree" ssh-keygen -A >/dev/null
    planted "host-key-$type" "/etc/ssh/ssh_host_${type}_key" "$(key_body "/etc/ssh/ssh_host_${type}_key")"
done

# A seed baked into the image: the build's own boot runs cloud-init with it, which leaves
# the password in its instance state, turns password logins on and creates the default user.
seed=/var/lib/cloud/seed/nocloud
user_password=$(random 20)
mkdir -p "$tree$seed"
printf 'instance-id: builder-%s\nlocal-hostname: base\n' "$(random 8)" >"$tree$seed/meta-data"
cat >"$tree$seed/user-data" <<END
#cloud-config
ssh_pwauth: true
password: $user_password
chpasswd: {expire: false}
END
chmod 0600 "$tree$seed/user-data"
planted user-data-password "$seed/user-data" "$user_password"

# The machine's own identity, as a first boot leaves it.
head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$tree/etc/machine-id"
echo >>"$tree/etc/machine-id"
planted machine-id /etc/machine-id "$(cat "$tree/etc/machine-id")"

printf '\n]}\n' >>"$list"
(umask 077; printf '{"user": "builder", "password": "%s", "key": "%s/builder_key", "sudo": "%s"}\n' \
    "$builder_password" "$output" "$sudo_rule" >"$output/builder.json")
