-- pgq_node.set_partition_watermark(i_combined_queue_name, i_part_queue_name, i_watermark)
--
-- Tells a leaf that feeds a combined queue how far its events have come here by way of that queue, where this node of the
-- combined queue is a branch.
--
-- Returns: 200; 201 there is no such pair here; 401 the leaf's worker is not registered.
-- Errors:  23502 the watermark is NULL.

CREATE FUNCTION pgq_node.set_partition_watermark(
    i_combined_queue_name text, i_part_queue_name text, i_watermark bigint, OUT ret_code integer, OUT ret_note text)
RETURNS record LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    leaf_worker text;
BEGIN
    SELECT part.worker_name INTO leaf_worker
      FROM pgq_node.node_info part
      JOIN pgq_node.node_info combined ON combined.queue_name = part.combined_queue
     WHERE part.queue_name = i_part_queue_name
       AND combined.queue_name = i_combined_queue_name AND combined.node_type = 'branch';
    IF NOT FOUND THEN
        ret_code := 201;
        ret_note := format('No leaf of queue "%s" feeds a branch of queue "%s" here', i_part_queue_name, i_combined_queue_name);
        RETURN;
    END IF;
    UPDATE pgq_node.local_state s SET last_tick_id = i_watermark
     WHERE s.queue_name = i_part_queue_name AND s.consumer_name = leaf_worker;
    IF FOUND THEN
        ret_code := 200;
        ret_note := format('Queue "%s" has come to tick %s by way of queue "%s"', i_part_queue_name, i_watermark, i_combined_queue_name);
    ELSE
        ret_code := 401;
        ret_note := format('Worker "%s" of queue "%s" is not registered', leaf_worker, i_part_queue_name);
    END IF;
END
$$;

COMMENT ON FUNCTION pgq_node.set_partition_watermark(text, text, bigint) IS 'Tells a leaf how far its events have come by way of the combined queue.';
