-- pgq.logtriga()
--
-- Trigger function of PgQ 2.1: events as of pgq.sqltriga(), but the columns are described by letters in their order:
-- k key, v value, i ignored (as are the columns without a letter). AFTER triggers only.
--
--   EXECUTE FUNCTION pgq.logtriga('queue', 'kvvi' [, 'table'])    the third argument has no effect
--   EXECUTE FUNCTION pgq.logtriga('kvvi', 'insert into log (op, data) values ($1, $2)')
--
-- The second is the form of the contributed module, whose function was public.logtriga():
--   CREATE FUNCTION public.logtriga() RETURNS trigger LANGUAGE c AS '$libdir/pgq', 'logtriga_wrapper';
--
-- Rights:  as pgq.logutriga(); a statement of one's own is run with the rights of who changes the table.
-- Errors:  docs/errors.md; each names table and trigger.

CREATE FUNCTION pgq.logtriga() RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME', 'logtriga_wrapper';

COMMENT ON FUNCTION pgq.logtriga() IS 'Trigger function of PgQ 2.1: as sqltriga, with a letter k, v or i for each column. Arguments: queue, letters.';
