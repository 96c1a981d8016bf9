-- pgq_node.set_consumer_error(i_queue_name, i_consumer_name, i_error_msg)
--
-- A consumer tells why it is stuck.
--
-- Parameters: i_error_msg  NULL: it is well again
-- Returns:    100; 101 it is not registered.

CREATE FUNCTION pgq_node.set_consumer_error(
    i_queue_name text, i_consumer_name text, i_error_msg text, OUT ret_code integer, OUT ret_note text)
RETURNS record LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE pgq_node.local_state s SET cur_error = i_error_msg
     WHERE s.queue_name = i_queue_name AND s.consumer_name = i_consumer_name;
    IF FOUND THEN
        ret_code := 100;
        ret_note := format('Consumer "%s" of queue "%s": %s', i_consumer_name, i_queue_name, coalesce(i_error_msg, 'no error'));
    ELSE
        ret_code := 101;
        ret_note := format('Consumer "%s" of queue "%s" is not registered', i_consumer_name, i_queue_name);
    END IF;
END
$$;

COMMENT ON FUNCTION pgq_node.set_consumer_error(text, text, text) IS 'A consumer tells why it is stuck.';
