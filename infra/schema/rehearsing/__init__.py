"""Tries a plan on a throwaway server first: what the live database is, remade without its rows."""
