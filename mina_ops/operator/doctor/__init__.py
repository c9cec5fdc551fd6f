"""`mina-ops doctor`: compares the whole set-up with what mina-ops.toml says."""
