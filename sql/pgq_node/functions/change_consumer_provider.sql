-- pgq_node.change_consumer_provider(i_queue_name, i_consumer_name, i_new_provider)
--
-- Lets a consumer that writes into this node read from another node; it has to look at its state again.
--
-- Returns: 200; 404 it is not registered, or the node is not listed.

CREATE FUNCTION pgq_node.change_consumer_provider(
    i_queue_name text, i_consumer_name text, i_new_provider text, OUT ret_code integer, OUT ret_note text)
RETURNS record LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pgq_node._lock(i_queue_name);
    ret_code := 404;
    IF NOT EXISTS (SELECT FROM pgq_node.node_location l
                    WHERE l.queue_name = i_queue_name AND l.node_name = i_new_provider) THEN
        ret_note := format('Node "%s" is not listed for queue "%s"', i_new_provider, i_queue_name);
        RETURN;
    END IF;
    UPDATE pgq_node.local_state s SET provider_node = i_new_provider, uptodate = false
     WHERE s.queue_name = i_queue_name AND s.consumer_name = i_consumer_name;
    IF NOT FOUND THEN
        ret_note := format('Consumer "%s" of queue "%s" is not registered', i_consumer_name, i_queue_name);
        RETURN;
    END IF;
    ret_code := 200;
    ret_note := format('Consumer "%s" of queue "%s" reads from node "%s"', i_consumer_name, i_queue_name, i_new_provider);
END
$$;

COMMENT ON FUNCTION pgq_node.change_consumer_provider(text, text, text) IS 'Lets a consumer that writes into this node read from another node.';
