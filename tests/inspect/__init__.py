"""Tests of the inspection of an existing server."""
