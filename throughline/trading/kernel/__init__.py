"""The compiled core: what happens to the positions of one path. Imports numba; load it lazily.

Belongs here: every rule of a fill that touches a price (docs/architecture.md). Does not belong here: levels of exits
(`throughline.exits`), names, keys and result columns (engine, results), the order of service (ordering).

`layout` has the arrays, `sales` what a sale brings, `interruptions` gaps and jumps, `hooks` the calls of exit rules,
`following` one position, `entering` one entry, `heap` the open positions, `path` all of them together, `worth` their
value at an instant.
"""
