"""The postgresql provider plugin for machines that cannot download the genuine one.

It answers for the resources of `pulumi_postgresql` that a database needs to be set up, under the
same tokens, property names and rules. It imports nothing of the checkout that it comes from, so
the folder runs wherever it is copied to.
"""

__all__ = ["VERSION"]

VERSION = "3.18.2"
"""The version of `pulumi_postgresql` whose resources this plugin answers for."""
