-- pgq_node.register_subscriber(i_queue_name, i_remote_node_name, i_remote_worker_name, i_custom_tick_id)
--
-- Lets another node read from this one: its worker becomes a consumer of the local queue, and a second consumer keeps
-- what the nodes below it still need.
--
-- Parameters: i_custom_tick_id  the last tick that the worker has done; NULL: the global watermark
-- Returns:    200 and the global watermark, at which the second consumer begins; 401 this is a leaf, or the worker's name
--             is that of another subscriber's or of a watermark; 404 this database is no node of such a queue.
-- Errors:     P0001 there is no such tick; 23505 the node is subscribed; 23503 its location is not registered.

CREATE FUNCTION pgq_node.register_subscriber(
    i_queue_name text, i_remote_node_name text, i_remote_worker_name text, i_custom_tick_id bigint,
    OUT ret_code integer, OUT ret_note text, OUT global_watermark bigint)
RETURNS record LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    my_type text;
    watermark_consumer text := format('.%s.watermark', i_remote_node_name);
    other_node text;
BEGIN
    PERFORM pgq_node._lock(i_queue_name);
    -- Changed, though to what it was: who looks for the global watermark with a snapshot that does not show this subscriber
    -- fails.
    UPDATE pgq_node.node_info n SET node_type = n.node_type WHERE n.queue_name = i_queue_name
    RETURNING n.node_type INTO my_type;
    IF NOT FOUND THEN
        ret_code := 404;
        ret_note := format('This database is no node of queue "%s"', i_queue_name);
        RETURN;
    ELSIF my_type = 'leaf' THEN
        ret_code := 401;
        ret_note := format('This node of queue "%s" is a leaf: nobody can read from it', i_queue_name);
        RETURN;
    ELSIF starts_with(i_remote_worker_name, '.') THEN
        ret_code := 401;
        ret_note := format('Worker "%s": names that begin with a dot are those of watermarks', i_remote_worker_name);
        RETURN;
    END IF;
    PERFORM pgq_node._require_location(i_queue_name, i_remote_node_name);
    SELECT s.subscriber_node INTO other_node
      FROM pgq_node.subscriber_info s
     WHERE s.queue_name = i_queue_name AND s.worker_name = i_remote_worker_name AND s.subscriber_node <> i_remote_node_name;
    IF FOUND THEN
        ret_code := 401;
        ret_note := format('Consumer "%s" of queue "%s" is the worker of node "%s"', i_remote_worker_name, i_queue_name, other_node);
        RETURN;
    END IF;
    global_watermark := pgq_node._position(i_queue_name, '.global_watermark');
    PERFORM pgq.register_consumer_at(i_queue_name, watermark_consumer, global_watermark),
            pgq.register_consumer_at(i_queue_name, i_remote_worker_name, coalesce(i_custom_tick_id, global_watermark));
    INSERT INTO pgq_node.subscriber_info (queue_name, subscriber_node, worker_name, watermark_name)
    VALUES (i_queue_name, i_remote_node_name, i_remote_worker_name, watermark_consumer);
    ret_code := 200;
    ret_note := format('Node "%s" subscribed to queue "%s"', i_remote_node_name, i_queue_name);
END
$$;

COMMENT ON FUNCTION pgq_node.register_subscriber(text, text, text, bigint) IS 'Lets another node read from this one.';
