"""The schema node: each docstring states a behaviour."""
