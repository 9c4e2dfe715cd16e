of a service whose home is /
