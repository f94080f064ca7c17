"""Scenarios, the pytest plugin and evaluation arrive here; nothing lives here yet."""
