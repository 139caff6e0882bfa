"""A PostgreSQL of somebody else's: how it is reached, what it has, what may be done there."""
