"""What runs where, and the machinery of the schema node."""
