"""How a plan reaches a database: the session, the scripts, the process for what runs live."""
