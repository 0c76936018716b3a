"""Intake, the coördinatiepunt: registers trajecten, guards their way, keeps person data and the journal.

Writes the streams `traject` and `verklaring`. Start at `traject` (the rules), then `handlers`.
"""
