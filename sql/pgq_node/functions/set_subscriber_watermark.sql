-- pgq_node.set_subscriber_watermark(i_queue_name, i_node_name, i_watermark)
--
-- A subscriber tells that neither it nor any node below it needs anything before a tick.
--
-- Returns: 200; 100 that was known, or the watermark is NULL; 404 the node is not subscribed; 405 it was higher.
-- Errors:  P0001 there is no such tick.

CREATE FUNCTION pgq_node.set_subscriber_watermark(
    i_queue_name text, i_node_name text, i_watermark bigint, OUT ret_code integer, OUT ret_note text)
RETURNS record LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    watermark_consumer text;
    known bigint;
BEGIN
    -- First what drop_queue() locks first.
    PERFORM FROM pgq.queue q WHERE q.queue_name = i_queue_name FOR SHARE;
    SELECT s.watermark_name INTO watermark_consumer
      FROM pgq_node.subscriber_info s
     WHERE s.queue_name = i_queue_name AND s.subscriber_node = i_node_name
       FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        ret_code := 404;
        ret_note := format('Node "%s" is not subscribed to queue "%s"', i_node_name, i_queue_name);
        RETURN;
    END IF;
    known := pgq_node._position(i_queue_name, watermark_consumer);
    IF i_watermark < known THEN
        ret_code := 405;
        ret_note := format('Watermark of node "%s" on queue "%s" is %s, it cannot go back to %s',
                           i_node_name, i_queue_name, known, i_watermark);
    ELSIF i_watermark IS NULL OR i_watermark = known THEN
        ret_code := 100;
        ret_note := format('Watermark of node "%s" on queue "%s" is %s', i_node_name, i_queue_name, known);
    ELSE
        PERFORM pgq.register_consumer_at(i_queue_name, watermark_consumer, i_watermark);
        ret_code := 200;
        ret_note := format('Watermark of node "%s" on queue "%s" moved to %s', i_node_name, i_queue_name, i_watermark);
    END IF;
END
$$;

COMMENT ON FUNCTION pgq_node.set_subscriber_watermark(text, text, bigint) IS 'A subscriber tells the lowest tick that is needed there and below.';
