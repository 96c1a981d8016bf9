-- pgq_node.set_consumer_uptodate(i_queue_name, i_consumer_name, i_uptodate)
--
-- A consumer tells that it has seen its latest state; administrators wait for that.
--
-- Returns: 200; 404 it is not registered.
-- Errors:  23502 i_uptodate is NULL.

CREATE FUNCTION pgq_node.set_consumer_uptodate(
    i_queue_name text, i_consumer_name text, i_uptodate boolean, OUT ret_code integer, OUT ret_note text)
RETURNS record LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE pgq_node.local_state s SET uptodate = i_uptodate
     WHERE s.queue_name = i_queue_name AND s.consumer_name = i_consumer_name;
    IF FOUND THEN
        ret_code := 200;
        ret_note := format('Consumer "%s" of queue "%s": uptodate is %s', i_consumer_name, i_queue_name, i_uptodate::text);
    ELSE
        ret_code := 404;
        ret_note := format('Consumer "%s" of queue "%s" is not registered', i_consumer_name, i_queue_name);
    END IF;
END
$$;

COMMENT ON FUNCTION pgq_node.set_consumer_uptodate(text, text, boolean) IS 'A consumer tells that it has seen its latest state.';
