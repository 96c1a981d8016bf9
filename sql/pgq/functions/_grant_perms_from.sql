-- pgq._grant_perms_from(src_schema, src_table, dst_schema, dst_table)
--
-- Repeats the privileges of one table on another, grant options included. Nothing is taken away.
--
-- Returns: 1.
-- Rights:  the caller's.

CREATE FUNCTION pgq._grant_perms_from(src_schema text, src_table text, dst_schema text, dst_table text)
RETURNS integer LANGUAGE c STRICT SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'grant_perms_from_wrapper';

COMMENT ON FUNCTION pgq._grant_perms_from(text, text, text, text) IS 'Repeats the privileges of one table on another.';
