-- pgq_node.get_node_info(i_queue_name)
--
-- What this database is for a queue, and where it stands.
--
-- Returns: 100; 404 it is no node of such a queue.
--          global_watermark  root, branch: lowest tick that some node of the queue may need
--          local_watermark   lowest tick that is needed at this node and below it
--          worker_last_tick  last tick that is done here; on a root the newest one
--          combined_type     type of the node of the combined queue; NULL when there is none here
--          target_for        the queues whose leaves feed this one, by name; NULL if there are none

CREATE FUNCTION pgq_node.get_node_info(
    i_queue_name text, OUT ret_code integer, OUT ret_note text, OUT node_type text, OUT node_name text,
    OUT global_watermark bigint, OUT local_watermark bigint, OUT provider_node text, OUT provider_location text,
    OUT combined_queue text, OUT combined_type text, OUT worker_name text, OUT worker_paused boolean,
    OUT worker_uptodate boolean, OUT worker_last_tick bigint, OUT node_attrs text, OUT target_for text[])
RETURNS record LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    SELECT 100, 'Ok', n.node_type, n.node_name,
           CASE WHEN n.node_type <> 'leaf' THEN pgq_node._position(n.queue_name, '.global_watermark') END,
           CASE WHEN n.node_type <> 'leaf' THEN pgq_node._local_watermark(n.queue_name) ELSE w.last_tick_id END,
           w.provider_node, p.node_location, n.combined_queue, c.node_type, n.worker_name, w.paused, w.uptodate,
           CASE WHEN n.node_type = 'root' THEN pgq_node._newest_tick(n.queue_name) ELSE w.last_tick_id END,
           n.node_attrs,
           (SELECT array_agg(f.queue_name ORDER BY f.queue_name)
              FROM pgq_node.node_info f WHERE f.combined_queue = n.queue_name)
      INTO ret_code, ret_note, node_type, node_name, global_watermark, local_watermark, provider_node, provider_location,
           combined_queue, combined_type, worker_name, worker_paused, worker_uptodate, worker_last_tick, node_attrs,
           target_for
      FROM pgq_node.node_info n
      LEFT JOIN pgq_node.local_state w ON w.queue_name = n.queue_name AND w.consumer_name = n.worker_name
      LEFT JOIN pgq_node.node_location p ON p.queue_name = n.queue_name AND p.node_name = w.provider_node
      LEFT JOIN pgq_node.node_info c ON c.queue_name = n.combined_queue
     WHERE n.queue_name = i_queue_name;
    IF NOT FOUND THEN
        ret_code := 404;
        ret_note := format('This database is no node of queue "%s"', i_queue_name);
    END IF;
END
$$;

COMMENT ON FUNCTION pgq_node.get_node_info(text) IS 'What this database is for a queue, and where it stands.';
