-- pgq_node._local_watermark(i_queue_name)
--
-- Internal: the lowest tick that somebody who reads from the local queue, or below who does, still needs.
--
-- Returns: the newest tick when nobody reads; NULL when there is no such queue.

CREATE FUNCTION pgq_node._local_watermark(i_queue_name text)
RETURNS bigint LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(min(s.sub_last_tick), pgq_node._newest_tick($1))
      FROM pgq.queue q
      JOIN pgq.subscription s ON s.sub_queue = q.queue_id
      JOIN pgq.consumer c ON c.co_id = s.sub_consumer
     WHERE q.queue_name = $1 AND c.co_name <> '.global_watermark'
$$;

COMMENT ON FUNCTION pgq_node._local_watermark(text) IS 'Internal: the lowest tick that is needed at this node and below it.';
