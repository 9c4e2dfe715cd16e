#!/bin/sh
# mmdebstrap's customise hook: what a cloud image has beyond its packages. No secrets here.
set -eu
tree=$1

cat >"$tree/etc/fstab" <<'END'
LABEL=base / ext4 defaults 0 1
END
echo base >"$tree/etc/hostname"
echo '127.0.0.1 localhost base' >"$tree/etc/hosts"

mkdir -p "$tree/boot/grub"
cat >"$tree/boot/grub/grub.cfg" <<'END'
linux /vmlinuz root=LABEL=base ro console=tty0 console=ttyS0,115200n8 systemd.show_status=1
initrd /initrd.img
boot
END

cat >"$tree/etc/systemd/network/50-dhcp.network" <<'END'
[Match]
Name=en* eth* host0

[Network]
DHCP=ipv4
LinkLocalAddressing=no
END
chroot "$tree" systemctl -q enable systemd-networkd.service

# The network is configured above; apt and the locale are the image's own.
cat >"$tree/etc/cloud/cloud.cfg.d/90_base.cfg" <<'END'
datasource_list: [NoCloud, None]
network: {config: disabled}
apt: {preserve_sources_list: true}
locale: false
END

# A small initramfs loads faster: this image only ever meets virtio disks.
cat >"$tree/etc/initramfs-tools/conf.d/base" <<'END'
MODULES=list
COMPRESS=zstd
FSTYPE=ext4
END
printf '%s\n' virtio_pci virtio_blk virtio_scsi sd_mod ext4 >>"$tree/etc/initramfs-tools/modules"
chroot "$tree" update-initramfs -u

rm -rf "$tree/var/lib/apt/lists" "$tree/var/cache/apt"/*.bin
mkdir -p "$tree/var/lib/apt/lists/partial"
