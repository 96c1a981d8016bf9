-- pgq.tune_storage(i_queue_name)
--
-- Gives the event tables of a queue the storage options that pgq.create_queue() gives them.
--
-- Returns: 1, or 0 for an unknown queue.
-- Rights:  the caller must own the tables.

CREATE FUNCTION pgq.tune_storage(i_queue_name text)
RETURNS integer LANGUAGE c STRICT SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'tune_storage_wrapper';

COMMENT ON FUNCTION pgq.tune_storage(text) IS 'Sets the storage options of a queue''s event tables again.';
