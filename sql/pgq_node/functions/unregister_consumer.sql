-- pgq_node.unregister_consumer(i_queue_name, i_consumer_name)
--
-- Forgets where a consumer that writes into this node stands.
--
-- Returns: 200, also when it was not there; 404 this database is no node of such a queue.

CREATE FUNCTION pgq_node.unregister_consumer(
    i_queue_name text, i_consumer_name text, OUT ret_code integer, OUT ret_note text)
RETURNS record LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pgq_node.node_info n WHERE n.queue_name = i_queue_name) THEN
        ret_code := 404;
        ret_note := format('This database is no node of queue "%s"', i_queue_name);
        RETURN;
    END IF;
    DELETE FROM pgq_node.local_state s WHERE s.queue_name = i_queue_name AND s.consumer_name = i_consumer_name;
    ret_code := 200;
    ret_note := format('Consumer "%s" of queue "%s" %s', i_consumer_name, i_queue_name,
                       CASE WHEN FOUND THEN 'unregistered' ELSE 'was not registered' END);
END
$$;

COMMENT ON FUNCTION pgq_node.unregister_consumer(text, text) IS 'Forgets where a consumer that writes into this node stands.';
