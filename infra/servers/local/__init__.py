"""A PostgreSQL of this machine: its data directory, its programs, its process."""
