-- pgq_node._lock(i_queue_name)
--
-- Internal: lets those who change the nodes of a queue wait for each other until the transaction ends. They lock rows and
-- tables in whatever order their work has; this comes first. The queue, if it is here, is not dropped meanwhile.

CREATE FUNCTION pgq_node._lock(i_queue_name text)
RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    SELECT pgq._lock('pgq_node ' || $1);
    SELECT FROM pgq.queue q WHERE q.queue_name = $1 FOR SHARE;
$$;

COMMENT ON FUNCTION pgq_node._lock(text) IS 'Internal: lets those who change the nodes of a queue wait for each other.';
