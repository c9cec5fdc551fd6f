"""The console's page, which the app serves and, while both colours are down, the operator."""
