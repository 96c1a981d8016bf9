-- pgq_node.maint_watermark(i_queue_name)
--
-- Part of maintenance: on a root, moves the global watermark when it is five minutes or more behind. While the root is
-- being demoted it takes no events, and the watermark stays.
--
-- Waits for nobody: a session that registers a subscriber and then sleeps must not stop the maintenance of all queues. What
-- is locked is left to the next time.
--
-- Returns: 0.

CREATE FUNCTION pgq_node.maint_watermark(i_queue_name text)
RETURNS integer LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms'
AS $$
BEGIN
    PERFORM pgq_node.set_global_watermark(q.queue_name, NULL)
       FROM pgq_node.node_info n
       JOIN pgq.queue q ON q.queue_name = n.queue_name
       JOIN pgq.tick t ON t.tick_queue = q.queue_id AND t.tick_id = pgq_node._position(q.queue_name, '.global_watermark')
      WHERE n.queue_name = i_queue_name AND n.node_type = 'root' AND NOT q.queue_disable_insert
        AND now() - t.tick_time >= interval '5 minutes'
        -- Who stands still is told of once.
        AND pgq_node._local_watermark(q.queue_name) > t.tick_id;
    RETURN 0;
EXCEPTION WHEN lock_not_available THEN
    RETURN 0;
END
$$;

COMMENT ON FUNCTION pgq_node.maint_watermark(text) IS 'Part of maintenance: moves the global watermark of a root.';
