"""The conformance suite of the `docker` plugin, and what holds for the offline one alone."""
