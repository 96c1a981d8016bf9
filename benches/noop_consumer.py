"""A consumer of the original's Python framework that does nothing. Prints the seconds that one batch took."""

import sys
import time

import pgq


class Nothing(pgq.Consumer):
    def process_event(self, db, ev):
        pass


consumer = Nothing("bench", "src_db", sys.argv[1:])
start = time.time()
consumer.work()
print(time.time() - start)
