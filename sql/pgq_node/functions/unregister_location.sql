-- pgq_node.unregister_location(i_queue_name, i_node_name)
--
-- Takes a node out of the list of a queue's nodes, and ends its subscription here. A root tells the others.
--
-- Returns: 200; 301 it was not listed; 403 it is this node, or the one from which this node's worker reads.
-- Errors:  23503 another consumer of this node reads from it; 55000 this is a root whose queue takes no events.

CREATE FUNCTION pgq_node.unregister_location(
    i_queue_name text, i_node_name text, OUT ret_code integer, OUT ret_note text)
RETURNS record LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    here record;
    reader text;
BEGIN
    PERFORM pgq_node._lock(i_queue_name);
    SELECT n.node_name, n.node_type, w.provider_node
      INTO here
      FROM pgq_node.node_info n
      LEFT JOIN pgq_node.local_state w ON w.queue_name = n.queue_name AND w.consumer_name = n.worker_name
     WHERE n.queue_name = i_queue_name;
    IF i_node_name = here.node_name THEN
        ret_code := 403;
        ret_note := format('Node "%s" is this node of queue "%s": pgq_node.drop_node() removes it', i_node_name, i_queue_name);
        RETURN;
    ELSIF i_node_name = here.provider_node THEN
        ret_code := 403;
        ret_note := format('Node "%s" provides this node with queue "%s"', i_node_name, i_queue_name);
        RETURN;
    END IF;
    -- The foreign key says so, too, but not to a worker, which is in replica role while it copies.
    SELECT s.consumer_name INTO reader
      FROM pgq_node.local_state s
     WHERE s.queue_name = i_queue_name AND s.provider_node = i_node_name
     ORDER BY s.consumer_name LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'consumer "%" of queue "%" reads from node "%"', reader, i_queue_name, i_node_name
              USING ERRCODE = 'foreign_key_violation',
                    HINT = 'pgq_node.change_consumer_provider() lets it read from another node.';
    END IF;
    -- Also when it is not listed here: others may know it.
    IF here.node_type = 'root' AND i_node_name IS NOT NULL THEN
        PERFORM pgq.insert_event(i_queue_name, 'pgq.unregister-location', i_node_name, i_queue_name, NULL, NULL, NULL);
    END IF;
    PERFORM pgq_node.unregister_subscriber(i_queue_name, i_node_name);
    DELETE FROM pgq_node.node_location l WHERE l.queue_name = i_queue_name AND l.node_name = i_node_name;
    IF FOUND THEN
        ret_code := 200;
        ret_note := format('Location of node "%s" of queue "%s" removed', i_node_name, i_queue_name);
    ELSE
        ret_code := 301;
        ret_note := format('Node "%s" is not listed for queue "%s"', i_node_name, i_queue_name);
    END IF;
END
$$;

COMMENT ON FUNCTION pgq_node.unregister_location(text, text) IS 'Takes a node out of the list of a queue''s nodes.';
