"""Docker for the tests: the daemon, an image of PostgreSQL 17, and the tests of that image."""
