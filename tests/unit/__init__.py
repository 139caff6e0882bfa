"""The tests: each docstring states a behaviour."""
