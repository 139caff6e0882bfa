"""The docker provider plugin for machines that cannot download the genuine one.

It answers for the resources of `pulumi_docker` that a server in a container needs, under the same
tokens, property names and rules. It imports nothing of the checkout that it comes from, so the
folder runs wherever it is copied to.
"""

__all__ = ["VERSION"]

VERSION = "5.2.0"
"""The version of `pulumi_docker` whose resources this plugin answers for."""
