"""One module per exit rule. Each declares `RULE`, an `ExitRule`; docs/extending.md shows how to add one."""
