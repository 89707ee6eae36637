"""The database's own objects: compared, whole, with what the migrations make on a pristine database.

Belongs here: reading every object of a database and its server, what is expected of them, naming each difference, and
naming what is damaged. Does not belong here: putting anything back, and the rows in the tables.

The way of one check: `pristine` says what is expected, `snapshot` reads what there is (by `catalogs`, `reading`,
`naming`), `compare` finds what differs, `policy` says whether it matters on this server, `wording` tells it.
`builtins`, `server_objects` and `server_settings` look at what the migrations do not make.
"""

from throughline.integrity.database.check import DatabaseCheck, check_database, use_our_schema
from throughline.integrity.database.server_settings import check_server

__all__ = ["DatabaseCheck", "check_database", "check_server", "use_our_schema"]
