"""The strategy: which instruments are candidates at an instant, how good, and how large. Pure functions of a panel."""
