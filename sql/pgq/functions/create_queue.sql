-- pgq.create_queue(i_queue_name)
--
-- Makes a queue: its row, event tables, sequences and first tick. A name is any text, even the empty one.
--
-- Returns: 1 when it was made, 0 when it was there; also when somebody else is making it at the same time.
-- Errors:  P0001 the name is NULL.

CREATE FUNCTION pgq.create_queue(i_queue_name text)
RETURNS integer LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'create_queue_wrapper';

COMMENT ON FUNCTION pgq.create_queue(text) IS 'Makes a queue; 0 when there is one of this name.';
