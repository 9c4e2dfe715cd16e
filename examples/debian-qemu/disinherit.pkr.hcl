# A Debian image from the dirty base of build-base.sh, captured without its builder.
#
#   packer build -var-file=... disinherit.pkr.hcl
#
# Works with Packer 1.6.6 and later. From 1.7 on a `packer { required_plugins { ... } }` block
# can name the plugin; 1.6.6 does not know it and finds `packer-provisioner-disinherit` in the
# working directory, in ~/.packer.d/plugins or in PACKER_PLUGIN_PATH.

variable "base_image" {
  description = "The qcow2 image to start from."
  type        = string
}

variable "output_directory" {
  description = "Where the captured image goes; must not exist."
  type        = string
}

variable "builder" {
  description = "The account that Packer logs in with."
  type        = string
  default     = "builder"
}

variable "builder_password" {
  description = "Its password."
  type        = string
  sensitive   = true
}

variable "sudo_password" {
  description = "What sudo asks the builder for; empty: nothing."
  type        = string
  default     = ""
  sensitive   = true
}

variable "accelerator" {
  description = "kvm where it works, else tcg (software emulation)."
  type        = string
  default     = "tcg"
}

variable "shutdown_command" {
  description = "Run over ssh after the last provisioner; empty: Packer switches the machine off."
  type        = string
  default     = ""
}

variable "report_path" {
  description = "Where the scrub's report goes on this machine."
  type        = string
  default     = "disinherit-report.json"
}

variable "serial_log" {
  description = "The machine's console."
  type        = string
  default     = "serial.log"
}

source "qemu" "debian" {
  accelerator      = var.accelerator
  headless         = true
  disk_image       = true
  iso_url          = var.base_image
  iso_checksum     = "none"
  disk_size        = "2G"
  disk_interface   = "virtio"
  disk_discard     = "unmap"
  format           = "qcow2"
  net_device       = "virtio-net"
  memory           = 1024
  output_directory = var.output_directory
  vm_name          = "captured.qcow2"
  boot_wait        = "1s"
  communicator     = "ssh"
  ssh_username     = var.builder
  ssh_password     = var.builder_password
  ssh_timeout      = "15m"
  shutdown_command = var.shutdown_command
  shutdown_timeout = "5m"
  qemuargs = [
    ["-cpu", "max"],
    ["-smp", "2"],
    ["-serial", "file:${var.serial_log}"],
  ]
}

build {
  sources = ["source.qemu.debian"]

  provisioner "shell" {
    inline = ["echo 'work of the image goes here'"]
  }

  # The last provisioner: after it nobody logs in with what the builder used.
  provisioner "disinherit" {
    report_path   = var.report_path
    sudo_password = var.sudo_password
  }
}
