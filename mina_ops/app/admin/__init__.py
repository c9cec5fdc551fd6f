"""Who may change things (logins, tokens), and the audit log of who did."""
