"""The conformance suite of the `postgresql` plugin, and what holds for the offline one alone."""
