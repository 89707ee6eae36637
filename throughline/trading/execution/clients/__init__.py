"""One module per order destination. Each declares `CLIENT`, an `ExecutionClient`; docs/extending.md shows one."""
