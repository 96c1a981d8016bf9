-- pgq_node.promote_branch(i_queue_name)
--
-- Makes a root of a branch: its queue takes events, and the ticker of this server ticks it. The old root must have been
-- demoted up to step 2, or be dead, and this node have come to its final tick.
--
-- Returns: 200; 301 the node is no branch; 404 this database is no node of such a queue; 409 the worker has copied events
--          whose tick it has still to make: who reads on from that tick would miss what is new.

CREATE FUNCTION pgq_node.promote_branch(i_queue_name text, OUT ret_code integer, OUT ret_note text)
RETURNS record LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    node record;
    completed bigint;
    newest_tick bigint;
BEGIN
    PERFORM pgq_node._lock(i_queue_name);
    SELECT n.node_type, n.node_name, n.worker_name, q.queue_tick_seq
      INTO node
      FROM pgq_node.node_info n
      LEFT JOIN pgq.queue q ON q.queue_name = n.queue_name
     WHERE n.queue_name = i_queue_name;
    IF NOT FOUND THEN
        ret_code := 404;
        ret_note := format('This database is no node of queue "%s"', i_queue_name);
        RETURN;
    ELSIF node.node_type <> 'branch' THEN
        ret_code := 301;
        ret_note := format('This node of queue "%s" is no branch but a %s', i_queue_name, node.node_type);
        RETURN;
    END IF;
    -- A worker that is just copying a batch has changed its row, and has still to make the tick.
    SELECT w.last_tick_id INTO completed
      FROM pgq_node.local_state w
     WHERE w.queue_name = i_queue_name AND w.consumer_name = node.worker_name
       FOR NO KEY UPDATE;
    newest_tick := pgq_node._newest_tick(i_queue_name);
    IF completed > newest_tick THEN
        ret_code := 409;
        ret_note := format('Queue "%s" lacks tick %s, which worker "%s" has still to make',
                           i_queue_name, completed, node.worker_name);
        RETURN;
    END IF;
    UPDATE pgq_node.node_info n SET node_type = 'root' WHERE n.queue_name = i_queue_name;
    PERFORM pgq.seq_setval(node.queue_tick_seq, newest_tick),
            pgq.set_queue_config(i_queue_name, 'disable_insert', 'false'),
            pgq.set_queue_config(i_queue_name, 'external_ticker', 'false');
    UPDATE pgq_node.local_state s SET provider_node = node.node_name, last_tick_id = newest_tick, uptodate = false
     WHERE s.queue_name = i_queue_name AND s.consumer_name = node.worker_name;
    ret_code := 200;
    ret_note := format('This node of queue "%s" is the root now', i_queue_name);
END
$$;

COMMENT ON FUNCTION pgq_node.promote_branch(text) IS 'Makes a root of a branch.';
