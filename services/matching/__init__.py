"""Matching: the match of a traject and an employer, and SBB's recognition of the employer's place.

Owns the streams `match` and `erkenning`. The rules are in `match` and `erkenning`, what follows from
what in `handlers`.
"""
