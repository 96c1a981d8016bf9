-- pgq.upgrade_schema()
--
-- Brings tables, sequences and roles of any PgQ 3 installation up to date. Upgrade scripts call it; after restoring a
-- dump of PgQ 3.5 it puts right the sequences of ids that such a dump leaves out.
--
-- Returns: 0.

CREATE FUNCTION pgq.upgrade_schema()
RETURNS integer LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'upgrade_schema_wrapper';

COMMENT ON FUNCTION pgq.upgrade_schema() IS 'Brings what an older version made up to date.';
