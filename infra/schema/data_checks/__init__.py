"""Asks the rows of the live database whether they allow what a plan demands of them; read-only."""
