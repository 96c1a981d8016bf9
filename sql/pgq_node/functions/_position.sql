-- pgq_node._position(i_queue_name, i_consumer_name)
--
-- Internal: where a consumer of a local queue stands.
--
-- Returns: the tick; NULL when there is no such subscription.

CREATE FUNCTION pgq_node._position(i_queue_name text, i_consumer_name text)
RETURNS bigint LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT s.sub_last_tick
      FROM pgq.queue q
      JOIN pgq.subscription s ON s.sub_queue = q.queue_id
      JOIN pgq.consumer c ON c.co_id = s.sub_consumer
     WHERE q.queue_name = $1 AND c.co_name = $2
$$;

COMMENT ON FUNCTION pgq_node._position(text, text) IS 'Internal: where a consumer of a local queue stands.';
