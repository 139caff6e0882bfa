"""The whole of a review: real histories, a real live database, a real rehearsal, the report."""
