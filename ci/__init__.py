"""What a CI calls for a pull request: a preview, and the comment that shows it.

It imports Python's standard library and `toolchain` alone, since it runs before there is a virtual
environment.
"""
