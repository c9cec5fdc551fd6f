"""The host's database as we use it: one connection a process, made like the host's own."""
