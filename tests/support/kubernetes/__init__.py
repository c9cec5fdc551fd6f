"""A stand-in for Kubernetes' API server: its protocol over a real socket, for the real clients.

What it is for: driver and Traefik speak to it as to the real one, in a second and without root.
What it leaves out: schemas, defaults, admission. `make test-kubernetes` has the real one.
"""
