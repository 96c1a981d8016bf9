-- pgq_node.set_global_watermark(i_queue_name, i_watermark)
--
-- Keeps events that some node of the queue may still need. A root finds the watermark and tells it to the others, a branch
-- is told.
--
-- Parameters: i_watermark  root: NULL is the lowest tick needed at it and below
-- Returns:    200, also when a branch has no such tick and goes on as before; 100 on a leaf, which keeps no events; 404
--             this database is no node of such a queue; 500 NULL on a branch.
-- Errors:     P0001 a root has no such tick; 55000 its queue takes no events.

CREATE FUNCTION pgq_node.set_global_watermark(
    i_queue_name text, i_watermark bigint, OUT ret_code integer, OUT ret_note text)
RETURNS record LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    here record;
    watermark bigint := i_watermark;
BEGIN
    PERFORM pgq_node._lock(i_queue_name);
    SELECT n.node_type, n.worker_name INTO here
      FROM pgq_node.node_info n
     WHERE n.queue_name = i_queue_name
       FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        ret_code := 404;
        ret_note := format('This database is no node of queue "%s"', i_queue_name);
        RETURN;
    ELSIF here.node_type = 'leaf' THEN
        ret_code := 100;
        ret_note := format('This node of queue "%s" is a leaf: it keeps no events', i_queue_name);
        RETURN;
    ELSIF here.node_type = 'branch' AND i_watermark IS NULL THEN
        ret_code := 500;
        ret_note := format('This node of queue "%s" is a branch: its watermark comes from the root', i_queue_name);
        RETURN;
    ELSIF here.node_type = 'branch' AND NOT EXISTS (
            SELECT FROM pgq.queue q JOIN pgq.tick t ON t.tick_queue = q.queue_id
             WHERE q.queue_name = i_queue_name AND t.tick_id = i_watermark) THEN
        ret_code := 200;
        ret_note := format('Queue "%s" has no tick %s here, the global watermark stays', i_queue_name, i_watermark);
        RETURN;
    END IF;
    IF here.node_type = 'root' THEN
        watermark := coalesce(watermark, pgq_node._local_watermark(i_queue_name));
        PERFORM pgq.insert_event(i_queue_name, 'pgq.global-watermark', watermark::text, i_queue_name, NULL, NULL, NULL);
        UPDATE pgq_node.local_state s SET last_tick_id = watermark
         WHERE s.queue_name = i_queue_name AND s.consumer_name = here.worker_name;
    END IF;
    PERFORM pgq.register_consumer_at(i_queue_name, '.global_watermark', watermark);
    ret_code := 200;
    ret_note := format('Global watermark of queue "%s" is %s', i_queue_name, watermark);
END
$$;

COMMENT ON FUNCTION pgq_node.set_global_watermark(text, bigint) IS 'Keeps events that some node of the queue may still need.';
