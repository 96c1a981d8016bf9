-- pgq.grant_perms(x_queue_name)
--
-- Gives the relations of a queue their privileges: those of pgq.event_template on the tables, SELECT on the sequences
-- to everybody, USAGE on the event sequence to pgq_admin. Nothing is taken away.
--
-- Returns: 1.
-- Errors:  P0001 no such queue.

CREATE FUNCTION pgq.grant_perms(x_queue_name text)
RETURNS integer LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'grant_perms_wrapper';

COMMENT ON FUNCTION pgq.grant_perms(text) IS 'Gives a queue''s tables and sequences their privileges.';
