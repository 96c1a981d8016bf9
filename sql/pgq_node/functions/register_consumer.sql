-- pgq_node.register_consumer(i_queue_name, i_consumer_name, i_provider_node, i_custom_tick_id)
--
-- Enters a consumer that writes into this node. One that is there is moved, and has to look at its state again.
--
-- Parameters: i_provider_node   the node from which it reads
--             i_custom_tick_id  the last tick that it has done
-- Returns:    200; 201 it was there; 404 this database is no node of such a queue.
-- Errors:     23502 a name or the tick is NULL; 23503 the location of the provider is not registered.

CREATE FUNCTION pgq_node.register_consumer(
    i_queue_name text, i_consumer_name text, i_provider_node text, i_custom_tick_id bigint,
    OUT ret_code integer, OUT ret_note text)
RETURNS record LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    before record;
BEGIN
    PERFORM pgq_node._lock(i_queue_name);
    IF NOT EXISTS (SELECT FROM pgq_node.node_info n WHERE n.queue_name = i_queue_name) THEN
        ret_code := 404;
        ret_note := format('This database is no node of queue "%s"', i_queue_name);
        RETURN;
    END IF;
    PERFORM pgq_node._require_location(i_queue_name, i_provider_node);
    INSERT INTO pgq_node.local_state (queue_name, consumer_name, provider_node, last_tick_id)
    VALUES (i_queue_name, i_consumer_name, i_provider_node, i_custom_tick_id)
    ON CONFLICT DO NOTHING;
    IF FOUND THEN
        ret_code := 200;
        ret_note := format('Consumer "%s" of queue "%s" registered at tick %s', i_consumer_name, i_queue_name, i_custom_tick_id);
        RETURN;
    END IF;
    SELECT s.provider_node, s.last_tick_id INTO before
      FROM pgq_node.local_state s
     WHERE s.queue_name = i_queue_name AND s.consumer_name = i_consumer_name;
    UPDATE pgq_node.local_state s
       SET provider_node = i_provider_node, last_tick_id = i_custom_tick_id, uptodate = false
     WHERE s.queue_name = i_queue_name AND s.consumer_name = i_consumer_name;
    ret_code := 201;
    ret_note := format('Consumer "%s" of queue "%s" was registered, and is moved from tick %s of node "%s" to tick %s of node "%s"',
                       i_consumer_name, i_queue_name, before.last_tick_id, before.provider_node, i_custom_tick_id, i_provider_node);
END
$$;

COMMENT ON FUNCTION pgq_node.register_consumer(text, text, text, bigint) IS 'Enters a consumer that writes into this node, or moves it.';
