"""Who may change things, and the record of who did."""
