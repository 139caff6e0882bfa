"""Inspects a server without writing to it, and prints the stack configuration that adopts it."""
