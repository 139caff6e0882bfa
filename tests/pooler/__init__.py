"""PgBouncer before a server of the tests."""
