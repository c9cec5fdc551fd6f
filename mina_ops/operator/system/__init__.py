"""What the operator's half needs of its machine: programs, the user's name, times, output."""
