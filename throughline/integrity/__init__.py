"""Is what is stored still what was written? The rules, the readers and the one result of every check of a home.

Belongs here: checks that read and compare. Does not belong here: writing, and how a result is printed.
"""
