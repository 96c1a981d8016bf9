-- pgq_node.get_queue_locations(i_queue_name)
--
-- Returns: the nodes of a queue, by name.

CREATE FUNCTION pgq_node.get_queue_locations(
    i_queue_name text, OUT node_name text, OUT node_location text, OUT dead boolean)
RETURNS SETOF record LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT l.node_name, l.node_location, l.dead
      FROM pgq_node.node_location l
     WHERE l.queue_name = $1
     ORDER BY l.node_name
$$;

COMMENT ON FUNCTION pgq_node.get_queue_locations(text) IS 'The nodes of a queue.';
