-- pgq_node.drop_node(i_queue_name, i_node_name)
--
-- Forgets a node. To be called on every node of the queue; on the node itself it removes the queue with its events, and
-- all that is known of the others.
--
-- Returns: 200, also when there is no such node or queue; 405 this node's worker reads from it.
-- Errors:  as unregister_location, of another node than this one.
-- Locks:   as pgq.drop_queue.

CREATE FUNCTION pgq_node.drop_node(i_queue_name text, i_node_name text, OUT ret_code integer, OUT ret_note text)
RETURNS record LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    here record;
    is_node boolean;
BEGIN
    PERFORM pgq_node._lock(i_queue_name);
    SELECT n.node_name, n.node_type, n.worker_name
      INTO here
      FROM pgq_node.node_info n
     WHERE n.queue_name = i_queue_name;
    is_node := FOUND;
    IF NOT is_node OR here.node_name = i_node_name THEN
        -- A queue of this name where there is no node, or a leaf, is somebody else's. It goes first: a worker that is
        -- copying a batch has locked a table, and is to come to its end.
        PERFORM pgq.drop_queue(q.queue_name, true)
           FROM pgq.queue q
          WHERE q.queue_name = i_queue_name AND is_node AND here.node_type <> 'leaf';
        DELETE FROM pgq_node.subscriber_info s WHERE s.queue_name = i_queue_name;
        DELETE FROM pgq_node.local_state s WHERE s.queue_name = i_queue_name;
        DELETE FROM pgq_node.node_info n WHERE n.queue_name = i_queue_name;
        DELETE FROM pgq_node.node_location l WHERE l.queue_name = i_queue_name;
        ret_note := CASE WHEN is_node THEN format('Node "%s" of queue "%s" dropped', i_node_name, i_queue_name)
                         ELSE format('This database is no node of queue "%s"', i_queue_name) END;
    ELSIF EXISTS (SELECT FROM pgq_node.local_state s
                   WHERE s.queue_name = i_queue_name AND s.consumer_name = here.worker_name
                     AND s.provider_node = i_node_name) THEN
        ret_code := 405;
        ret_note := format('Node "%s" provides this node with queue "%s"', i_node_name, i_queue_name);
        RETURN;
    ELSE
        SELECT u.ret_note INTO ret_note FROM pgq_node.unregister_location(i_queue_name, i_node_name) u;
    END IF;
    ret_code := 200;
END
$$;

COMMENT ON FUNCTION pgq_node.drop_node(text, text) IS 'Forgets a node; on the node itself, with its queue and all it knows of the others.';
