"""Access logs: reads their formats, follows them, and looks for suspicious patterns."""
