"""A stock producer of the original's Python framework. Arguments: a connect string, a queue."""

import sys

import pgq
import psycopg2

db = psycopg2.connect(sys.argv[1])
curs = db.cursor()
pgq.insert_event(curs, sys.argv[2], "one", "d\u00e4ta", "x1")
# The event tables have no default for the time.
curs.execute("select now()")
now = curs.fetchone()[0]
pgq.bulk_insert_events(
    curs,
    [[now, "many", "a\tb\\c\n", None], [now, "many", "", "y"], [now, "later", None, None]],
    ["time", "type", "data", "extra1"],
    sys.argv[2],
)
db.commit()
