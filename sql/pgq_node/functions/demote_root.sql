-- pgq_node.demote_root(i_queue_name, i_step, i_new_provider)
--
-- Makes a branch of a root, in three transactions:
--     1  the queue takes no events any more;
--     2  the final tick is taken, behind which there are no events: waits for whoever is writing, readers go on;
--     3  the node is a branch and reads from i_new_provider, which has come to the final tick and been promoted.
-- Steps 1 and 2 can be repeated; each step 2 takes another tick. Between 1 and 3 there is a way back: opening the queue and
-- its ticker again by pgq.set_queue_config().
--
-- Returns: 200, from step 2 on with last_tick, the final one; 301 the node is no root; 401 it would read from itself; 404
--          this database is no node of such a queue.
-- Errors:  P0001 a step that does not follow, or is none; 23502, 23503 no new provider, or one that is not listed.
-- Locks:   step 2 the event tables in EXCLUSIVE mode.

CREATE FUNCTION pgq_node.demote_root(
    i_queue_name text, i_step integer, i_new_provider text, OUT ret_code integer, OUT ret_note text, OUT last_tick bigint)
RETURNS record LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    node record;
    is_closed boolean;
BEGIN
    PERFORM pgq_node._lock(i_queue_name);
    SELECT n.node_type, n.node_name, n.worker_name, n.final_tick, q.queue_disable_insert, q.queue_external_ticker,
           pgq.quote_fqname(q.queue_data_pfx) AS tables
      INTO node
      FROM pgq_node.node_info n
      LEFT JOIN pgq.queue q ON q.queue_name = n.queue_name
     WHERE n.queue_name = i_queue_name;
    IF NOT FOUND THEN
        ret_code := 404;
        ret_note := format('This database is no node of queue "%s"', i_queue_name);
        RETURN;
    ELSIF node.node_type <> 'root' THEN
        ret_code := 301;
        ret_note := format('This node of queue "%s" is no root but a %s', i_queue_name, node.node_type);
        RETURN;
    END IF;
    is_closed := node.queue_disable_insert AND node.queue_external_ticker;
    IF i_step > 1 AND is_closed IS NOT TRUE THEN
        RAISE EXCEPTION 'step % of demoting the root of queue "%" comes too early', i_step, i_queue_name
              USING HINT = 'Step 1 closes the queue.';
    END IF;
    ret_code := 200;

    IF i_step = 1 THEN
        PERFORM pgq.set_queue_config(i_queue_name, 'disable_insert', 'true'),
                pgq.set_queue_config(i_queue_name, 'external_ticker', 'true');
        -- What came in since an earlier attempt is behind its final tick.
        UPDATE pgq_node.node_info n SET final_tick = NULL WHERE n.queue_name = i_queue_name AND is_closed IS NOT TRUE;
        ret_note := format('Queue "%s" takes no events any more', i_queue_name);

    ELSIF i_step = 2 THEN
        EXECUTE format('LOCK TABLE %s IN EXCLUSIVE MODE', node.tables);
        last_tick := pgq._final_tick(i_queue_name);
        UPDATE pgq_node.node_info n SET final_tick = last_tick WHERE n.queue_name = i_queue_name;
        ret_note := format('The final tick of queue "%s" is %s', i_queue_name, last_tick);

    ELSIF i_step = 3 THEN
        last_tick := pgq_node._newest_tick(i_queue_name);
        IF node.final_tick IS DISTINCT FROM last_tick THEN
            RAISE EXCEPTION 'step 3 of demoting the root of queue "%" comes too early', i_queue_name
                  USING HINT = 'Step 2 takes the final tick.';
        END IF;
        IF i_new_provider = node.node_name THEN
            ret_code := 401;
            ret_note := format('Node "%s" of queue "%s" cannot be its own provider', i_new_provider, i_queue_name);
            RETURN;
        END IF;
        PERFORM pgq_node._require_location(i_queue_name, i_new_provider);
        UPDATE pgq_node.node_info n SET node_type = 'branch', final_tick = NULL WHERE n.queue_name = i_queue_name;
        UPDATE pgq_node.local_state s SET provider_node = i_new_provider, last_tick_id = last_tick, uptodate = false
         WHERE s.queue_name = i_queue_name AND s.consumer_name = node.worker_name;
        ret_note := format('This node of queue "%s" is a branch now', i_queue_name);

    ELSE
        RAISE EXCEPTION 'there is no step % of demoting a root', coalesce(i_step::text, 'NULL')
              USING HINT = 'The steps are 1, 2, 3, each in a transaction of its own.';
    END IF;
END
$$;

COMMENT ON FUNCTION pgq_node.demote_root(text, integer, text) IS 'Makes a branch of a root, in three steps.';
