"""Our own connection to the host's database: one for each process, made as the host's are."""
