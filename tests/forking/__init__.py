"""Starts `python -m MODULE` as a fork of a process that has imported what the module imports.

SQLAlchemy and Alembic take half a second of processor to import, in each process that renders a
history or runs one live, and the tests start several hundreds. A fork is a process like any other:
with memory, descriptors, an environment, a folder and an exit status of its own.
"""
