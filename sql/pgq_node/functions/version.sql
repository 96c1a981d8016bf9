-- pgq_node.version()
--
-- Returns: the installed version of the extension; NULL when the schema is not that of an extension.

CREATE FUNCTION pgq_node.version()
RETURNS text LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$ SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'pgq_node' $$;

COMMENT ON FUNCTION pgq_node.version() IS 'The installed version of the extension.';
