stays by policy
