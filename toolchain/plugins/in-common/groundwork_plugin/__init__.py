"""What the offline provider plugins have in common: the engine's side of them.

A plugin says what its resources are and how one is made, found, changed and removed; types,
defaults, generated names, differences, secrets, failures and the wire are here. Like the plugins,
it imports nothing of the checkout that it comes from, and goes wherever they are copied to.
"""

__all__: list[str] = []
