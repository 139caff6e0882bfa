"""What a CI calls, run for real: against forges on loopback, git repositories, and the engine."""
