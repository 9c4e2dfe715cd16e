datacenter = "dc1"
acl {
  tokens {
  }
}
