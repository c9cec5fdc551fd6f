"""Access logs reviewed."""
