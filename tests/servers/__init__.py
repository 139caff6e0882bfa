"""The embedded server: each docstring states a behaviour."""
