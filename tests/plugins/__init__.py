"""The conformance suites: one behaviour for every plugin of a package, genuine or offline."""
