"""Looks at what is in a plan's way now: sessions, slots, free space, the reach of a CASCADE."""
