"""The conformance suite: one behaviour for every `postgresql` plugin."""
