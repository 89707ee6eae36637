"""The migrations, one file each, in the order of the numbers that their names begin with. Frozen once released."""
