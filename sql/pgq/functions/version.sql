-- pgq.version()
--
-- Returns: the installed version of the extension; NULL when the schema is not that of an extension.

CREATE FUNCTION pgq.version()
RETURNS text LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$ SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'pgq' $$;

COMMENT ON FUNCTION pgq.version() IS 'The installed version of the extension.';
