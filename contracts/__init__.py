"""The published language of Praktijkbus: what partners and services say to each other.

Imports nothing of ours, so that a partner can install it alone. Start at `catalogue`.
"""
