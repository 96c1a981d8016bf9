-- pgq_node.set_consumer_paused(i_queue_name, i_consumer_name, i_paused)
--
-- Tells a consumer to stand still, or to go on. It has done so when its state is up to date again.
--
-- Returns: 200; 201 it was told so before; 404 it is not registered.
-- Errors:  23502 i_paused is NULL.

CREATE FUNCTION pgq_node.set_consumer_paused(
    i_queue_name text, i_consumer_name text, i_paused boolean, OUT ret_code integer, OUT ret_note text)
RETURNS record LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    state text := CASE WHEN i_paused THEN 'paused' ELSE 'resumed' END;
    was_paused boolean;
BEGIN
    SELECT s.paused INTO was_paused
      FROM pgq_node.local_state s
     WHERE s.queue_name = i_queue_name AND s.consumer_name = i_consumer_name
       FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        ret_code := 404;
        ret_note := format('Consumer "%s" of queue "%s" is not registered', i_consumer_name, i_queue_name);
    ELSIF was_paused = i_paused THEN
        ret_code := 201;
        ret_note := format('Consumer "%s" of queue "%s" was %s before', i_consumer_name, i_queue_name, state);
    ELSE
        UPDATE pgq_node.local_state s SET paused = i_paused, uptodate = false
         WHERE s.queue_name = i_queue_name AND s.consumer_name = i_consumer_name;
        ret_code := 200;
        ret_note := format('Consumer "%s" of queue "%s" %s', i_consumer_name, i_queue_name, state);
    END IF;
END
$$;

COMMENT ON FUNCTION pgq_node.set_consumer_paused(text, text, boolean) IS 'Tells a consumer to stand still, or to go on.';
