"""The order of the tests."""

from __future__ import annotations

from tests.schedule import position, sum_by_file


def test_the_longest_files_come_first_and_what_was_never_measured_before_all() -> None:
    """A file that starts last should be a short one; the tests of a file keep their order."""
    tests = ["a.py::two", "a.py::one", "b.py::x", "new.py::x", "b.py::y", "c.py::x"]

    ordered = sorted(tests, key=lambda test: position(test, {"a.py": 1, "b.py": 9.5, "c.py": 1}))

    assert ordered == ["new.py::x", "b.py::x", "b.py::y", "a.py::two", "a.py::one", "c.py::x"]


def test_set_up_and_tear_down_count_for_the_file() -> None:
    """All phases of all its tests, whatever their parameters have for names."""
    durations = [("a.py::t[x::y]", 1.5), ("a.py::t[x::y]", 2.0), ("b.py::u", 0.25)]

    assert sum_by_file(durations) == {"a.py": 3.5, "b.py": 0.25}
