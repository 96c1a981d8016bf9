-- pgq_node.create_node(i_queue_name, i_node_type, i_node_name, i_worker_name, i_provider_name, i_global_watermark, i_combined_queue)
--
-- Makes this database a node of a queue. The location of the node, and of its provider, must be registered before.
--
-- Parameters: i_node_type         root: makes the queue; branch: makes it as a copy, which takes events and ticks only from
--                                 its worker; leaf: makes none
--             i_worker_name       the consumer that keeps the node up
--             i_provider_name     branch, leaf: the node from which it reads
--             i_global_watermark  branch, leaf: the tick at which it begins; branch: its queue begins there, too
--             i_combined_queue    leaf: the local queue into which its events are to be merged
-- Returns:    200; 401 there is a node already, or the arguments do not fit the type
-- Errors:     23502 queue or node name is NULL; 23503 a location is missing; P0001 there is no such tick as the watermark.

CREATE FUNCTION pgq_node.create_node(
    i_queue_name text, i_node_type text, i_node_name text, i_worker_name text, i_provider_name text,
    i_global_watermark bigint, i_combined_queue text, OUT ret_code integer, OUT ret_note text)
RETURNS record LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    begins_at bigint := i_global_watermark;
BEGIN
    PERFORM pgq_node._lock(i_queue_name);
    ret_code := 401;
    ret_note := CASE
        WHEN EXISTS (SELECT FROM pgq_node.node_info n WHERE n.queue_name = i_queue_name) THEN
            format('This database has its node of queue "%s" already', i_queue_name)
        WHEN i_node_type IS NULL OR i_node_type NOT IN ('root', 'branch', 'leaf') THEN
            format('Node type "%s" is none of root, branch, leaf', i_node_type)
        WHEN i_worker_name IS NULL THEN
            'A node needs a worker'
        WHEN i_node_type = 'root' AND (i_provider_name IS NOT NULL OR i_global_watermark IS NOT NULL) THEN
            'A root has neither provider nor watermark of another node'
        WHEN i_node_type <> 'root' AND i_provider_name IS NULL THEN
            format('A %s needs a provider', i_node_type)
        WHEN i_node_type <> 'root' AND i_global_watermark IS NULL THEN
            format('A %s needs the global watermark of the queue', i_node_type)
        WHEN i_node_type <> 'leaf' AND i_combined_queue IS NOT NULL THEN
            format('A %s feeds no combined queue', i_node_type)
        WHEN i_combined_queue IS NOT NULL
             AND NOT EXISTS (SELECT FROM pgq.queue q WHERE q.queue_name = i_combined_queue) THEN
            format('The combined queue "%s" does not exist here', i_combined_queue)
        WHEN i_node_type = 'branch' AND EXISTS (SELECT FROM pgq.queue q WHERE q.queue_name = i_queue_name) THEN
            format('There is a queue "%s" here, which is no copy', i_queue_name)
        END;
    IF ret_note IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pgq_node._require_location(i_queue_name, i_node_name),
            pgq_node._require_location(i_queue_name, i_provider_name);
    INSERT INTO pgq_node.node_info (queue_name, node_type, node_name, worker_name, combined_queue)
    VALUES (i_queue_name, i_node_type, i_node_name, i_worker_name, i_combined_queue);

    IF i_node_type <> 'leaf' THEN
        PERFORM pgq.create_queue(i_queue_name);
    END IF;
    IF i_node_type = 'root' THEN
        begins_at := pgq_node._newest_tick(i_queue_name);
    ELSIF i_node_type = 'branch' THEN
        PERFORM pgq.set_queue_config(i_queue_name, 'disable_insert', 'true'),
                pgq.set_queue_config(i_queue_name, 'external_ticker', 'true');
        -- A new queue has tick 1.
        IF begins_at > 1 THEN
            PERFORM pgq.ticker(i_queue_name, begins_at, now(), 1);
        END IF;
    END IF;
    IF i_node_type <> 'leaf' THEN
        PERFORM pgq.register_consumer_at(i_queue_name, '.global_watermark', begins_at);
    END IF;
    PERFORM pgq_node.register_consumer(i_queue_name, i_worker_name, coalesce(i_provider_name, i_node_name), begins_at);
    ret_code := 200;
    ret_note := format('Node "%s" of queue "%s" made as %s', i_node_name, i_queue_name, i_node_type);
END
$$;

COMMENT ON FUNCTION pgq_node.create_node(text, text, text, text, text, bigint, text) IS 'Makes this database a node of a queue.';
