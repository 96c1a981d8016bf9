-- pgq_node.register_location(i_queue_name, i_node_name, i_node_location, i_dead)
--
-- Puts a node into the list of a queue's nodes, or changes its entry. A root tells the others. The list may be there
-- before the node is.
--
-- Parameters: i_node_location  connect string by which others reach it; NULL keeps the known one
--             i_dead           whether it has been given up
-- Returns:    200. An unknown node without location is not entered.
-- Errors:     23502 queue, node or i_dead is NULL; 55000 this is a root whose queue takes no events.

CREATE FUNCTION pgq_node.register_location(
    i_queue_name text, i_node_name text, i_node_location text, i_dead boolean, OUT ret_code integer, OUT ret_note text)
RETURNS record LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pgq_node._lock(i_queue_name);
    IF i_node_location IS NULL THEN
        UPDATE pgq_node.node_location l SET dead = i_dead
         WHERE l.queue_name = i_queue_name AND l.node_name = i_node_name;
    ELSE
        INSERT INTO pgq_node.node_location AS l (queue_name, node_name, node_location, dead)
        VALUES (i_queue_name, i_node_name, i_node_location, i_dead)
        ON CONFLICT (queue_name, node_name)
        DO UPDATE SET node_location = excluded.node_location, dead = excluded.dead;
    END IF;
    PERFORM pgq.insert_event(n.queue_name, 'pgq.location-info', i_node_name, n.queue_name, i_node_location, i_dead::text, NULL)
       FROM pgq_node.node_info n
      WHERE n.queue_name = i_queue_name AND n.node_type = 'root';
    ret_code := 200;
    ret_note := format('Location of node "%s" of queue "%s" registered', i_node_name, i_queue_name);
END
$$;

COMMENT ON FUNCTION pgq_node.register_location(text, text, text, boolean) IS 'Puts a node into the list of a queue''s nodes, or changes its entry.';
