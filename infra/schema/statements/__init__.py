"""What a SQL statement says: its words, the locks that it takes, the data that it takes away."""
