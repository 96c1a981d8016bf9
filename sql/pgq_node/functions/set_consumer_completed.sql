-- pgq_node.set_consumer_completed(i_queue_name, i_consumer_name, i_tick_id)
-- pgq_node.set_consumer_completed(i_queue_name, i_consumer_name, i_tick_id, i_prev_tick_id)
--
-- A consumer stores, in the transaction that applied a batch, that it is done. That clears its error. The commit waits for
-- the disk.
--
-- Parameters: i_tick_id       the batch's end
--             i_prev_tick_id  the batch's begin. With it each batch is applied once even if two processes of one
--                             consumer run at the same time: who is late gets 409, and has to roll back.
-- Returns:    100; 404 it is not registered; 409 it does not stand at i_prev_tick_id (nothing is changed).
-- Errors:     23502 i_tick_id is NULL. Without i_prev_tick_id it may go back: a WARNING.

CREATE FUNCTION pgq_node.set_consumer_completed(
    i_queue_name text, i_consumer_name text, i_tick_id bigint, OUT ret_code integer, OUT ret_note text)
RETURNS record LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    completed bigint;
BEGIN
    SELECT s.last_tick_id INTO completed
      FROM pgq_node.local_state s
     WHERE s.queue_name = i_queue_name AND s.consumer_name = i_consumer_name
       FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        ret_code := 404;
        ret_note := format('Consumer "%s" of queue "%s" is not registered', i_consumer_name, i_queue_name);
        RETURN;
    END IF;
    IF i_tick_id < completed THEN
        RAISE WARNING 'consumer "%" of queue "%" goes back from tick % to %', i_consumer_name, i_queue_name, completed, i_tick_id
              USING DETAIL = 'What it reads again it has applied before.';
    END IF;
    UPDATE pgq_node.local_state s SET last_tick_id = i_tick_id, cur_error = NULL
     WHERE s.queue_name = i_queue_name AND s.consumer_name = i_consumer_name;
    PERFORM pgq._keep_commit();
    ret_code := 100;
    ret_note := format('Consumer "%s" of queue "%s" has completed tick %s', i_consumer_name, i_queue_name, i_tick_id);
END
$$;

CREATE FUNCTION pgq_node.set_consumer_completed(
    i_queue_name text, i_consumer_name text, i_tick_id bigint, i_prev_tick_id bigint,
    OUT ret_code integer, OUT ret_note text)
RETURNS record LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    completed bigint;
BEGIN
    SELECT s.last_tick_id INTO completed
      FROM pgq_node.local_state s
     WHERE s.queue_name = i_queue_name AND s.consumer_name = i_consumer_name
       FOR NO KEY UPDATE;
    IF FOUND AND completed IS DISTINCT FROM i_prev_tick_id THEN
        ret_code := 409;
        ret_note := format('Consumer "%s" of queue "%s" has completed tick %s, not %s',
                           i_consumer_name, i_queue_name, completed, coalesce(i_prev_tick_id::text, 'NULL'));
        RETURN;
    END IF;
    SELECT c.ret_code, c.ret_note INTO ret_code, ret_note
      FROM pgq_node.set_consumer_completed(i_queue_name, i_consumer_name, i_tick_id) c;
END
$$;

COMMENT ON FUNCTION pgq_node.set_consumer_completed(text, text, bigint) IS 'A consumer stores that it has applied a batch.';
COMMENT ON FUNCTION pgq_node.set_consumer_completed(text, text, bigint, bigint) IS 'A consumer stores that it has applied a batch, unless another process of it did so.';
