"""Faults at random moments of a run, and what must hold after one more run."""
