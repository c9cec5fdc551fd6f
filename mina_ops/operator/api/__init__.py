"""The app as the operator sees it: its HTTP endpoints, asked and understood."""
