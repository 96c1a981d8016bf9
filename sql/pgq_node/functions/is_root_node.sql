-- pgq_node.is_root_node(i_queue_name)
--
-- Whether this database is a root of a queue.
--
-- Errors: P0001 it is no node of such a queue.

CREATE FUNCTION pgq_node.is_root_node(i_queue_name text)
RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    is_it boolean;
BEGIN
    SELECT n.node_type = 'root' INTO is_it FROM pgq_node.node_info n WHERE n.queue_name = i_queue_name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'this database is no node of queue "%"', i_queue_name
              USING HINT = 'pgq_node.create_node() makes it one.';
    END IF;
    RETURN is_it;
END
$$;

COMMENT ON FUNCTION pgq_node.is_root_node(text) IS 'Whether this database is a root of a queue.';
