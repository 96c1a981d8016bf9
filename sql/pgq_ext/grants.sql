-- Who may do what. Whatever is not granted here is for the owner alone, the tables above all: what is done is told and
-- asked by functions. The schema is open to all (tables.sql).
--
-- Every function that PostgreSQL opened to PUBLIC is closed first, then given to whom it is meant for.

REVOKE ALL ON FUNCTION
    pgq_ext.get_last_tick(text),
    pgq_ext.get_last_tick(text, text),
    pgq_ext.get_last_tick(text, text, text),
    pgq_ext.is_batch_done(text, bigint),
    pgq_ext.is_batch_done(text, text, bigint),
    pgq_ext.is_batch_done(text, text, text, bigint),
    pgq_ext.is_event_done(text, bigint, bigint),
    pgq_ext.is_event_done(text, text, bigint, bigint),
    pgq_ext.is_event_done(text, text, text, bigint, bigint),
    pgq_ext.set_batch_done(text, bigint),
    pgq_ext.set_batch_done(text, text, bigint),
    pgq_ext.set_batch_done(text, text, text, bigint),
    pgq_ext.set_event_done(text, bigint, bigint),
    pgq_ext.set_event_done(text, text, bigint, bigint),
    pgq_ext.set_event_done(text, text, text, bigint, bigint),
    pgq_ext.set_last_tick(text, bigint),
    pgq_ext.set_last_tick(text, text, bigint),
    pgq_ext.set_last_tick(text, text, text, bigint),
    pgq_ext.upgrade_schema(),
    pgq_ext.version()
FROM PUBLIC;

-- Everybody may look.
GRANT EXECUTE ON FUNCTION
    pgq_ext.version()
TO PUBLIC;

-- Consumers: here they write.
GRANT EXECUTE ON FUNCTION
    pgq_ext.get_last_tick(text),
    pgq_ext.get_last_tick(text, text),
    pgq_ext.get_last_tick(text, text, text),
    pgq_ext.is_batch_done(text, bigint),
    pgq_ext.is_batch_done(text, text, bigint),
    pgq_ext.is_batch_done(text, text, text, bigint),
    pgq_ext.is_event_done(text, bigint, bigint),
    pgq_ext.is_event_done(text, text, bigint, bigint),
    pgq_ext.is_event_done(text, text, text, bigint, bigint),
    pgq_ext.set_batch_done(text, bigint),
    pgq_ext.set_batch_done(text, text, bigint),
    pgq_ext.set_batch_done(text, text, text, bigint),
    pgq_ext.set_event_done(text, bigint, bigint),
    pgq_ext.set_event_done(text, text, bigint, bigint),
    pgq_ext.set_event_done(text, text, text, bigint, bigint),
    pgq_ext.set_last_tick(text, bigint),
    pgq_ext.set_last_tick(text, text, bigint),
    pgq_ext.set_last_tick(text, text, text, bigint),
    pgq_ext.upgrade_schema()
TO pgq_writer;
