-- pgq_node.get_consumer_state(i_queue_name, i_consumer_name)
--
-- What a consumer that writes into this node has to know before it goes on.
--
-- Returns: 100; 404 this database is no node of such a queue, has no such consumer (then only type and name of the node
--          are told), or does not know where its provider is (all else is told). completed_tick is the last one that is
--          done, provider_location where to read on.

CREATE FUNCTION pgq_node.get_consumer_state(
    i_queue_name text, i_consumer_name text, OUT ret_code integer, OUT ret_note text, OUT node_type text,
    OUT node_name text, OUT completed_tick bigint, OUT provider_node text, OUT provider_location text,
    OUT paused boolean, OUT uptodate boolean, OUT cur_error text)
RETURNS record LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    SELECT n.node_type, n.node_name, s.last_tick_id, s.provider_node, p.node_location, s.paused, s.uptodate, s.cur_error
      INTO node_type, node_name, completed_tick, provider_node, provider_location, paused, uptodate, cur_error
      FROM pgq_node.node_info n
      LEFT JOIN pgq_node.local_state s ON s.queue_name = n.queue_name AND s.consumer_name = i_consumer_name
      LEFT JOIN pgq_node.node_location p ON p.queue_name = n.queue_name AND p.node_name = s.provider_node
     WHERE n.queue_name = i_queue_name;
    IF NOT FOUND THEN
        ret_code := 404;
        ret_note := format('This database is no node of queue "%s"', i_queue_name);
    ELSIF completed_tick IS NULL THEN
        ret_code := 404;
        ret_note := format('Consumer "%s" of queue "%s" is not registered', i_consumer_name, i_queue_name);
    ELSIF provider_location IS NULL THEN
        ret_code := 404;
        ret_note := format('Node "%s", from which consumer "%s" reads, is not listed for queue "%s"',
                           provider_node, i_consumer_name, i_queue_name);
    ELSE
        ret_code := 100;
        ret_note := 'Ok';
    END IF;
END
$$;

COMMENT ON FUNCTION pgq_node.get_consumer_state(text, text) IS 'What a consumer that writes into this node has to know before it goes on.';
