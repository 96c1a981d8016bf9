-- pgq_node.get_subscriber_info(i_queue_name)
--
-- Returns: the nodes that read from this one, by name; node_watermark is the lowest tick that is needed there and below.

CREATE FUNCTION pgq_node.get_subscriber_info(
    i_queue_name text, OUT node_name text, OUT worker_name text, OUT node_watermark bigint)
RETURNS SETOF record LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT s.subscriber_node, s.worker_name, pgq_node._position(s.queue_name, s.watermark_name)
      FROM pgq_node.subscriber_info s
     WHERE s.queue_name = $1
     ORDER BY s.subscriber_node
$$;

COMMENT ON FUNCTION pgq_node.get_subscriber_info(text) IS 'The nodes that read from this one.';
