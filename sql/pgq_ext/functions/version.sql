-- pgq_ext.version()
--
-- Returns: the installed version of the extension; NULL when the schema is not that of an extension.

CREATE FUNCTION pgq_ext.version()
RETURNS text LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$ SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'pgq_ext' $$;

COMMENT ON FUNCTION pgq_ext.version() IS 'The installed version of the extension.';
