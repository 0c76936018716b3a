"""Simulated partner systems: each with its own account and its own records, speaking only by the contracts."""
