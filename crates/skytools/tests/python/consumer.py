"""A stock consumer of the original's Python framework: writes what it gets into a table.

Arguments: the class to use, then its command line.
"""

import sys

import pgq


def note(curs, consumer, ev):
    curs.execute(
        "insert into seen (consumer, ev_id, ev_type, ev_data, ev_extra1, ev_retry) values (%s, %s, %s, %s, %s, %s)",
        [consumer, ev.ev_id, ev.ev_type, ev.ev_data, ev.ev_extra1, ev.ev_retry],
    )


class Plain(pgq.Consumer):
    def process_event(self, db, ev):
        if ev.ev_type == "later" and not ev.ev_retry:
            ev.tag_retry(0)
            return
        note(db.cursor(), self.consumer_name, ev)


class Coop(pgq.CoopConsumer):
    def process_event(self, db, ev):
        note(db.cursor(), self.consumer_name, ev)


class Local(pgq.LocalConsumer):
    def process_local_event(self, db, batch_id, ev):
        note(db.cursor(), self.consumer_name, ev)
        db.commit()


class Remote(pgq.RemoteConsumer):
    def process_remote_batch(self, db, batch_id, ev_list, dst_db):
        for ev in ev_list:
            note(dst_db.cursor(), self.consumer_name, ev)
            ev.tag_done()


class Serial(pgq.SerialConsumer):
    def process_remote_batch(self, db, batch_id, ev_list, dst_db):
        for ev in ev_list:
            note(dst_db.cursor(), self.consumer_name, ev)
            ev.tag_done()


CLASSES = {
    "plain": lambda args: Plain("tried", "src_db", args),
    "turns": lambda args: Plain("simple_consumer3", "src_db", args),
    "coop": lambda args: Coop("tried", "src_db", args),
    "local": lambda args: Local("tried", "src_db", args),
    "remote": lambda args: Remote("tried", "src_db", "dst_db", args),
    "serial": lambda args: Serial("tried", "src_db", "dst_db", args),
}

if __name__ == "__main__":
    CLASSES[sys.argv[1]](sys.argv[2:]).start()
