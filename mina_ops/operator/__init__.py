"""The operator's half: moves traffic, runs releases, knows an app only by its endpoints."""
