-- pgq_node._newest_tick(i_queue_name)
--
-- Internal: the newest tick of a local queue.
--
-- Returns: NULL when there is no such queue, or no tick.

CREATE FUNCTION pgq_node._newest_tick(i_queue_name text)
RETURNS bigint LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT t.tick_id
      FROM pgq.queue q
      JOIN pgq.tick t ON t.tick_queue = q.queue_id
     WHERE q.queue_name = $1
     ORDER BY t.tick_queue DESC, t.tick_id DESC LIMIT 1
$$;

COMMENT ON FUNCTION pgq_node._newest_tick(text) IS 'Internal: the newest tick of a local queue.';
