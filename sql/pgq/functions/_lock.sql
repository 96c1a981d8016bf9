-- pgq._lock(i_name)
--
-- Internal, for the family: those who lock a name wait for each other until the transaction ends. Unlike an advisory lock it
-- cannot be taken by others; it writes nothing, as a locked row would.
--
-- Parameters: i_name  NULL: nothing is locked.

CREATE FUNCTION pgq._lock(i_name text)
RETURNS void LANGUAGE c SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'lock_wrapper';

COMMENT ON FUNCTION pgq._lock(text) IS 'Internal: those who lock a name wait for each other until the transaction ends.';
