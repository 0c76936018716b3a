"""Notify: mail to people whose organisation has no system, and to those who want it.

Follows the facts of the other services. Who gets what is in `handlers`, what it says in `mails` and
`templates`, how it leaves in `smtp`.
"""
