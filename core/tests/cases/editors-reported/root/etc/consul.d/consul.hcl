datacenter = "dc1"
encrypt = "qDOPBEr+/oUVeOFQOnVypxwDaHzLrD+lvjo5vCEBbZ0="
acl {
  tokens {
    agent = "at-28"
  }
}
