"""How the toolchain gets the engine and the plugins, and what happens when it can't."""
