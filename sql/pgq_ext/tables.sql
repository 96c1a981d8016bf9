-- What is done, by consumer. A consumer without sub-consumers has the sub-consumer ''; calls that name no queue store ''
-- as the queue.
--
-- The columns are those of pgq_ext 3.3 in its order, so that its rows can be copied in, with queue_name at the end.

CREATE SCHEMA pgq_ext;
COMMENT ON SCHEMA pgq_ext IS 'PgQ: batches and events that are done, remembered where the results are.';
GRANT USAGE ON SCHEMA pgq_ext TO PUBLIC;

CREATE TABLE pgq_ext.completed_tick (
    consumer_id     text    NOT NULL,
    subconsumer_id  text    NOT NULL DEFAULT '',
    last_tick_id    bigint  NOT NULL,
    queue_name      text    NOT NULL DEFAULT '',
    CONSTRAINT completed_tick_pkey PRIMARY KEY (consumer_id, subconsumer_id, queue_name)
);
COMMENT ON TABLE pgq_ext.completed_tick IS 'The tick up to which a consumer has done its work.';
COMMENT ON COLUMN pgq_ext.completed_tick.consumer_id IS 'Name of the consumer.';
COMMENT ON COLUMN pgq_ext.completed_tick.subconsumer_id IS 'Name of the sub-consumer, or empty.';
COMMENT ON COLUMN pgq_ext.completed_tick.last_tick_id IS 'End of the last batch that is done.';
COMMENT ON COLUMN pgq_ext.completed_tick.queue_name IS 'Name of the queue; empty if the caller names none.';

CREATE TABLE pgq_ext.completed_batch (
    consumer_id     text    NOT NULL,
    subconsumer_id  text    NOT NULL DEFAULT '',
    last_batch_id   bigint  NOT NULL,
    queue_name      text    NOT NULL DEFAULT '',
    CONSTRAINT completed_batch_pkey PRIMARY KEY (consumer_id, subconsumer_id, queue_name)
);
COMMENT ON TABLE pgq_ext.completed_batch IS 'The batch that a consumer has done last.';
COMMENT ON COLUMN pgq_ext.completed_batch.consumer_id IS 'Name of the consumer.';
COMMENT ON COLUMN pgq_ext.completed_batch.subconsumer_id IS 'Name of the sub-consumer, or empty.';
COMMENT ON COLUMN pgq_ext.completed_batch.last_batch_id IS 'The batch that was done last.';
COMMENT ON COLUMN pgq_ext.completed_batch.queue_name IS 'Name of the queue; empty if the caller names none.';

CREATE TABLE pgq_ext.partial_batch (
    consumer_id     text    NOT NULL,
    subconsumer_id  text    NOT NULL DEFAULT '',
    cur_batch_id    bigint  NOT NULL,
    queue_name      text    NOT NULL DEFAULT '',
    CONSTRAINT partial_batch_pkey PRIMARY KEY (consumer_id, subconsumer_id, queue_name)
);
COMMENT ON TABLE pgq_ext.partial_batch IS 'The batch whose events a consumer marks one by one.';
COMMENT ON COLUMN pgq_ext.partial_batch.consumer_id IS 'Name of the consumer.';
COMMENT ON COLUMN pgq_ext.partial_batch.subconsumer_id IS 'Name of the sub-consumer, or empty.';
COMMENT ON COLUMN pgq_ext.partial_batch.cur_batch_id IS 'The batch whose events are in completed_event.';
COMMENT ON COLUMN pgq_ext.partial_batch.queue_name IS 'Name of the queue; empty if the caller names none.';

CREATE TABLE pgq_ext.completed_event (
    consumer_id     text    NOT NULL,
    subconsumer_id  text    NOT NULL DEFAULT '',
    batch_id        bigint  NOT NULL,
    event_id        bigint  NOT NULL,
    queue_name      text    NOT NULL DEFAULT '',
    CONSTRAINT completed_event_pkey PRIMARY KEY (consumer_id, subconsumer_id, queue_name, batch_id, event_id)
);
COMMENT ON TABLE pgq_ext.completed_event IS 'Events that are done, of the batch in partial_batch.';
COMMENT ON COLUMN pgq_ext.completed_event.consumer_id IS 'Name of the consumer.';
COMMENT ON COLUMN pgq_ext.completed_event.subconsumer_id IS 'Name of the sub-consumer, or empty.';
COMMENT ON COLUMN pgq_ext.completed_event.batch_id IS 'The batch of the event.';
COMMENT ON COLUMN pgq_ext.completed_event.event_id IS 'The event that is done.';
COMMENT ON COLUMN pgq_ext.completed_event.queue_name IS 'Name of the queue; empty if the caller names none.';

SELECT pg_catalog.pg_extension_config_dump('pgq_ext.completed_tick', '');
SELECT pg_catalog.pg_extension_config_dump('pgq_ext.completed_batch', '');
SELECT pg_catalog.pg_extension_config_dump('pgq_ext.completed_event', '');
SELECT pg_catalog.pg_extension_config_dump('pgq_ext.partial_batch', '');
