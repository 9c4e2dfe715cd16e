orphan
