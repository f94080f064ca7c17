"""Shared by the tests: running MicroPython, finding recordings, golden references."""
