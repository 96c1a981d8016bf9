-- pgq_node.unregister_subscriber(i_queue_name, i_remote_node_name)
--
-- Ends the subscription of another node: nothing is kept for it any more.
--
-- Returns: 200; 304 it was not subscribed.

CREATE FUNCTION pgq_node.unregister_subscriber(
    i_queue_name text, i_remote_node_name text, OUT ret_code integer, OUT ret_note text)
RETURNS record LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    subscriber record;
BEGIN
    PERFORM pgq_node._lock(i_queue_name);
    DELETE FROM pgq_node.subscriber_info s
     WHERE s.queue_name = i_queue_name AND s.subscriber_node = i_remote_node_name
    RETURNING s.worker_name, s.watermark_name INTO subscriber;
    IF NOT FOUND THEN
        ret_code := 304;
        ret_note := format('Node "%s" is not subscribed to queue "%s"', i_remote_node_name, i_queue_name);
        RETURN;
    END IF;
    -- In the order in which register_subscriber takes them.
    PERFORM pgq.unregister_consumer(i_queue_name, subscriber.watermark_name),
            pgq.unregister_consumer(i_queue_name, subscriber.worker_name);
    ret_code := 200;
    ret_note := format('Subscription of node "%s" to queue "%s" ended', i_remote_node_name, i_queue_name);
END
$$;

COMMENT ON FUNCTION pgq_node.unregister_subscriber(text, text) IS 'Ends the subscription of another node.';
