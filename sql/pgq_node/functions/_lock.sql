-- pgq_node._lock(i_queue_name)
--
-- Internal: lets those who change the nodes of a queue wait for each other until the transaction ends. They lock rows and
-- tables in whatever order their work has; this comes first.

CREATE FUNCTION pgq_node._lock(i_queue_name text)
RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$ SELECT pg_advisory_xact_lock(hashtextextended('pgq_node ' || $1, 0)) $$;

COMMENT ON FUNCTION pgq_node._lock(text) IS 'Internal: lets those who change the nodes of a queue wait for each other.';
