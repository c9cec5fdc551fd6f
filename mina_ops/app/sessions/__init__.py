"""Who is connected to this process and its colour, and how new clients come in."""
