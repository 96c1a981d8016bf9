-- pgq.get_consumer_info(i_queue_name, i_consumer_name)
-- pgq.get_consumer_info(i_queue_name)
-- pgq.get_consumer_info()
--
-- Where consumers stand, by queue and consumer; a sub-consumer has a row of its own.
--
-- Parameters: NULL: any
-- Returns:    lag             age of the last finished tick or, if the queue rests since then, of the ticker's last look
--             last_seen       time since the consumer opened or finished a batch
--             last_tick       end of the last finished batch
--             current_batch, next_tick  the open batch and its end
--             pending_events  events between the last finished tick and the newest one, counted by the sequence

CREATE FUNCTION pgq.get_consumer_info(
    i_queue_name text, i_consumer_name text,
    OUT queue_name text, OUT consumer_name text, OUT lag interval, OUT last_seen interval, OUT last_tick bigint,
    OUT current_batch bigint, OUT next_tick bigint, OUT pending_events bigint)
RETURNS SETOF record LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT q.queue_name, c.co_name, now() - greatest(last.tick_time, pgq._idle_until(q.queue_id, last.tick_id)),
           now() - s.sub_active, s.sub_last_tick, s.sub_batch, s.sub_next_tick,
           newest.tick_event_seq - last.tick_event_seq
      FROM pgq.queue q
      JOIN pgq.subscription s ON s.sub_queue = q.queue_id
      JOIN pgq.consumer c ON c.co_id = s.sub_consumer
      LEFT JOIN pgq.tick last ON last.tick_queue = s.sub_queue AND last.tick_id = s.sub_last_tick
      LEFT JOIN LATERAL (
            SELECT t.tick_event_seq
              FROM pgq.tick t
             WHERE t.tick_queue = q.queue_id
             ORDER BY t.tick_queue DESC, t.tick_id DESC LIMIT 1
           ) AS newest ON true
     WHERE ($1 IS NULL OR q.queue_name = $1)
       AND ($2 IS NULL OR c.co_name = $2)
     ORDER BY q.queue_name, c.co_name
$$;

CREATE FUNCTION pgq.get_consumer_info(
    i_queue_name text,
    OUT queue_name text, OUT consumer_name text, OUT lag interval, OUT last_seen interval, OUT last_tick bigint,
    OUT current_batch bigint, OUT next_tick bigint, OUT pending_events bigint)
RETURNS SETOF record LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'SELECT * FROM pgq.get_consumer_info($1, NULL)';

CREATE FUNCTION pgq.get_consumer_info(
    OUT queue_name text, OUT consumer_name text, OUT lag interval, OUT last_seen interval, OUT last_tick bigint,
    OUT current_batch bigint, OUT next_tick bigint, OUT pending_events bigint)
RETURNS SETOF record LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'SELECT * FROM pgq.get_consumer_info(NULL, NULL)';

COMMENT ON FUNCTION pgq.get_consumer_info(text, text) IS 'Where one consumer of one queue stands; NULL means any.';
COMMENT ON FUNCTION pgq.get_consumer_info(text) IS 'Where the consumers of one queue stand; NULL means any.';
COMMENT ON FUNCTION pgq.get_consumer_info() IS 'Where all consumers stand.';
