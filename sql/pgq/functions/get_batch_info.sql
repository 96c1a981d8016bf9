-- pgq.get_batch_info(x_batch_id)
--
-- Returns: queue and consumer of an open batch, and its bounds; lag is the age of its end. All columns are NULL
--          when there is no such batch.

CREATE FUNCTION pgq.get_batch_info(
    x_batch_id bigint,
    OUT queue_name text, OUT consumer_name text, OUT batch_start timestamptz, OUT batch_end timestamptz,
    OUT prev_tick_id bigint, OUT tick_id bigint, OUT lag interval, OUT seq_start bigint, OUT seq_end bigint)
RETURNS record LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT q.queue_name, c.co_name, first.tick_time, last.tick_time, s.sub_last_tick, s.sub_next_tick,
           now() - last.tick_time, first.tick_event_seq, last.tick_event_seq
      FROM (VALUES ($1)) AS asked (batch)
      LEFT JOIN pgq.subscription s ON s.sub_batch = asked.batch
      LEFT JOIN pgq.queue q ON q.queue_id = s.sub_queue
      LEFT JOIN pgq.consumer c ON c.co_id = s.sub_consumer
      LEFT JOIN pgq.tick first ON first.tick_queue = s.sub_queue AND first.tick_id = s.sub_last_tick
      LEFT JOIN pgq.tick last ON last.tick_queue = s.sub_queue AND last.tick_id = s.sub_next_tick
$$;

COMMENT ON FUNCTION pgq.get_batch_info(bigint) IS 'Queue, consumer and bounds of an open batch.';
