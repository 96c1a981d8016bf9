-- pgq_node.get_consumer_info(i_queue_name)
--
-- Returns: the consumers that write into this node, by name; its worker is one of them.

CREATE FUNCTION pgq_node.get_consumer_info(
    i_queue_name text, OUT consumer_name text, OUT provider_node text, OUT last_tick_id bigint, OUT paused boolean,
    OUT uptodate boolean, OUT cur_error text)
RETURNS SETOF record LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT s.consumer_name, s.provider_node, s.last_tick_id, s.paused, s.uptodate, s.cur_error
      FROM pgq_node.local_state s
     WHERE s.queue_name = $1
     ORDER BY s.consumer_name
$$;

COMMENT ON FUNCTION pgq_node.get_consumer_info(text) IS 'The consumers that write into this node.';
