"""Runs the command line."""

from __future__ import annotations

from toolchain.stopped import load_and_run

load_and_run("infra.schema.cli")
