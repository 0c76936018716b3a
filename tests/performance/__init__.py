"""How fast, beside what else one could have written: `make bench`, which is `python -m tests.performance`.

`loads` is what there is to do, a contender is a process that does it: a service as it is, or a module in
`contenders`. `measure` lets each of them do it, in turn, on the same broker and database.
"""
