"""Documents, and the programs that keep parts of them current."""
