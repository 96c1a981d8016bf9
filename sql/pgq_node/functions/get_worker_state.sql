-- pgq_node.get_worker_state(i_queue_name)
--
-- What the worker of this node has to know before it goes on.
--
-- Returns: as get_consumer_state, and
--          global_watermark, local_watermark  as get_node_info
--          local_queue_top                    newest tick of the local queue; NULL on a leaf
--          combined_queue, combined_type      leaf: the local queue into which events are merged
--          404 also when the combined queue has no node here.

CREATE FUNCTION pgq_node.get_worker_state(
    i_queue_name text, OUT ret_code integer, OUT ret_note text, OUT node_type text, OUT node_name text,
    OUT completed_tick bigint, OUT provider_node text, OUT provider_location text, OUT paused boolean,
    OUT uptodate boolean, OUT cur_error text, OUT worker_name text, OUT global_watermark bigint,
    OUT local_watermark bigint, OUT local_queue_top bigint, OUT combined_queue text, OUT combined_type text)
RETURNS record LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    SELECT n.worker_name, n.combined_queue, c.node_type, s.*
      INTO worker_name, combined_queue, combined_type, ret_code, ret_note, node_type, node_name, completed_tick,
           provider_node, provider_location, paused, uptodate, cur_error
      FROM pgq_node.node_info n
      LEFT JOIN pgq_node.node_info c ON c.queue_name = n.combined_queue
     CROSS JOIN pgq_node.get_consumer_state(n.queue_name, n.worker_name) s
     WHERE n.queue_name = i_queue_name;
    IF NOT FOUND THEN
        ret_code := 404;
        ret_note := format('This database is no node of queue "%s"', i_queue_name);
    ELSIF combined_queue IS NOT NULL AND combined_type IS NULL THEN
        ret_code := 404;
        ret_note := format('This database is no node of the combined queue "%s"', combined_queue);
    ELSIF ret_code = 100 AND node_type = 'leaf' THEN
        local_watermark := completed_tick;
    ELSIF ret_code = 100 THEN
        global_watermark := pgq_node._position(i_queue_name, '.global_watermark');
        local_watermark := pgq_node._local_watermark(i_queue_name);
        local_queue_top := pgq_node._newest_tick(i_queue_name);
    END IF;
END
$$;

COMMENT ON FUNCTION pgq_node.get_worker_state(text) IS 'What the worker of this node has to know before it goes on.';
