-- pgq_node.set_node_attrs(i_queue_name, i_node_attrs)
--
-- Sets what programs keep about this node.
--
-- Parameters: i_node_attrs  urlencoded names and values; NULL: none
-- Returns:    200; 404 this database is no node of such a queue.

CREATE FUNCTION pgq_node.set_node_attrs(i_queue_name text, i_node_attrs text, OUT ret_code integer, OUT ret_note text)
RETURNS record LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE pgq_node.node_info n SET node_attrs = i_node_attrs WHERE n.queue_name = i_queue_name;
    IF FOUND THEN
        ret_code := 200;
        ret_note := format('Attributes of this node of queue "%s" set', i_queue_name);
    ELSE
        ret_code := 404;
        ret_note := format('This database is no node of queue "%s"', i_queue_name);
    END IF;
END
$$;

COMMENT ON FUNCTION pgq_node.set_node_attrs(text, text) IS 'Sets what programs keep about this node.';
