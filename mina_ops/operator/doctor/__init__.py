"""`mina-ops doctor`: is everything what mina-ops.toml says it is?"""
