# A custom image for Alibaba Cloud ECS that holds no login of its builder.
#
#   export ALICLOUD_ACCESS_KEY=... ALICLOUD_SECRET_KEY=...
#   packer build -var region=eu-central-1 -var source_image=... image.pkr.hcl
#
# Packer 1.7 and later need the builder's plugin first:
#   packer plugins install github.com/hashicorp/alicloud

variable "region" {
  type    = string
  default = "eu-central-1"
}

variable "source_image" {
  type    = string
  default = "debian_12_6_x64_20G_alibase_20240711.vhd"
}

variable "instance_type" {
  type    = string
  default = "ecs.g7.large"
}

source "alicloud-ecs" "golden" {
  region       = var.region
  source_image = var.source_image
  image_name   = "golden-debian-12"
  image_description           = "Debian 12, scrubbed, opens to an injected key only"
  instance_type               = var.instance_type
  internet_charge_type        = "PayByTraffic"
  associate_public_ip_address = true

  system_disk_mapping {
    disk_category = "cloud_essd"
    disk_size     = 20
  }

  # No ssh_password: the builder makes a temporary key pair, which the scrub removes from the disk.
  ssh_username = "root"
}

build {
  sources = ["source.alicloud-ecs.golden"]

  provisioner "shell" {
    inline = ["apt-get update", "apt-get install -y --no-install-recommends nginx"]
  }

  # Always the last provisioner: nobody can log in after it. The instance is stopped through the
  # API, so power_off stays at auto, which does nothing here.
  provisioner "disinherit" {
    report_path = "disinherit-report.json"
  }
}
