-- pgq.get_queue_info(i_queue_name)
-- pgq.get_queue_info()
--
-- Settings and state of queues, by name.
--
-- Parameters: i_queue_name  NULL: all queues
-- Returns:    nothing for an unknown queue. Of what is not a column of pgq.queue:
--             ticker_lag    time since the newest tick or, if the queue rests since then, the ticker's last look
--             ev_per_sec    rate over the last 20 ticks, NULL if there is only one
--             ev_new        events since the newest tick, counted by the sequence
--             last_tick_id  the newest tick
-- Works on a standby, for everybody.

CREATE FUNCTION pgq.get_queue_info(
    i_queue_name text,
    OUT queue_name text, OUT queue_ntables integer, OUT queue_cur_table integer, OUT queue_rotation_period interval,
    OUT queue_switch_time timestamptz, OUT queue_external_ticker boolean, OUT queue_ticker_paused boolean,
    OUT queue_ticker_max_count integer, OUT queue_ticker_max_lag interval, OUT queue_ticker_idle_period interval,
    OUT ticker_lag interval, OUT ev_per_sec double precision, OUT ev_new bigint, OUT last_tick_id bigint)
RETURNS SETOF record LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    SELECT q.queue_name, q.queue_ntables, q.queue_cur_table, q.queue_rotation_period, q.queue_switch_time,
           q.queue_external_ticker, q.queue_ticker_paused, q.queue_ticker_max_count, q.queue_ticker_max_lag,
           q.queue_ticker_idle_period,
           now() - greatest(newest.tick_time, pgq._idle_until(q.queue_id, newest.tick_id)),
           CASE WHEN newest.tick_time > oldest.tick_time
                THEN (newest.tick_event_seq - oldest.tick_event_seq)
                     / extract(epoch FROM newest.tick_time - oldest.tick_time)::double precision
           END,
           pgq._sequence_last_value(q.queue_event_seq) - newest.tick_event_seq,
           newest.tick_id
      FROM pgq.queue q
      LEFT JOIN LATERAL (
            SELECT t.tick_id, t.tick_time, t.tick_event_seq
              FROM pgq.tick t
             WHERE t.tick_queue = q.queue_id
             ORDER BY t.tick_queue DESC, t.tick_id DESC LIMIT 1
           ) AS newest ON true
      LEFT JOIN LATERAL (
            SELECT t.tick_time, t.tick_event_seq
              FROM pgq.tick t
             WHERE t.tick_queue = q.queue_id AND t.tick_id >= newest.tick_id - 20
             ORDER BY t.tick_queue, t.tick_id LIMIT 1
           ) AS oldest ON true
     WHERE $1 IS NULL OR q.queue_name = $1
     ORDER BY q.queue_name
$$;

CREATE FUNCTION pgq.get_queue_info(
    OUT queue_name text, OUT queue_ntables integer, OUT queue_cur_table integer, OUT queue_rotation_period interval,
    OUT queue_switch_time timestamptz, OUT queue_external_ticker boolean, OUT queue_ticker_paused boolean,
    OUT queue_ticker_max_count integer, OUT queue_ticker_max_lag interval, OUT queue_ticker_idle_period interval,
    OUT ticker_lag interval, OUT ev_per_sec double precision, OUT ev_new bigint, OUT last_tick_id bigint)
RETURNS SETOF record LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS 'SELECT * FROM pgq.get_queue_info(NULL)';

COMMENT ON FUNCTION pgq.get_queue_info(text) IS 'Settings and state of one queue, or of all.';
COMMENT ON FUNCTION pgq.get_queue_info() IS 'Settings and state of all queues.';
