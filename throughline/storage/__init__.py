"""Storage: the embedded PostgreSQL server, the tables, migrations, roles, the ledger's bulk writes and the artifacts.

Belongs here: everything that touches the database server or the artifact store. Does not belong here: what a record
says (tracking), and when one is written (flow). Nothing heavy is imported at package level.
"""
