-- Who may do what. Whatever is not granted here is for the owner alone; the schema is open to all (tables.sql).
--
-- Every function that PostgreSQL opened to PUBLIC is closed first, then given to whom it is meant for.

REVOKE ALL ON FUNCTION
    pgq_coop._forget_name(integer),
    pgq_coop._group(text, text, text),
    pgq_coop._hand_out(integer, integer, bigint, bigint, bigint),
    pgq_coop._lock_group(text, text, text),
    pgq_coop._open_batch(integer, integer, bigint),
    pgq_coop._remember_process(integer, integer),
    pgq_coop._take_over(integer, integer, text, integer, interval),
    pgq_coop.finish_batch(bigint),
    pgq_coop.next_batch(text, text, text),
    pgq_coop.next_batch(text, text, text, interval),
    pgq_coop.next_batch_custom(text, text, text, interval, integer, interval),
    pgq_coop.next_batch_custom(text, text, text, interval, integer, interval, interval),
    pgq_coop.register_subconsumer(text, text, text),
    pgq_coop.unregister_subconsumer(text, text, text, integer),
    pgq_coop.version()
FROM PUBLIC;

-- Everybody may look.
GRANT EXECUTE ON FUNCTION pgq_coop.version() TO PUBLIC;
GRANT SELECT ON TABLE pgq_coop.process TO PUBLIC;

-- Consumers.
GRANT EXECUTE ON FUNCTION
    pgq_coop.finish_batch(bigint),
    pgq_coop.next_batch(text, text, text),
    pgq_coop.next_batch(text, text, text, interval),
    pgq_coop.next_batch_custom(text, text, text, interval, integer, interval),
    pgq_coop.next_batch_custom(text, text, text, interval, integer, interval, interval),
    pgq_coop.register_subconsumer(text, text, text),
    pgq_coop.unregister_subconsumer(text, text, text, integer)
TO pgq_reader;
