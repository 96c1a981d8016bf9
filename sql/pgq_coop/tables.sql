-- The one table of its own: consumers and sub-consumers are rows of pgq.consumer and pgq.subscription.
--
-- A main consumer with its sub-consumers is a group. In pgq.subscription all of a group have the same sub_id:
--
--     consumer  sub_last_tick     sub_next_tick, sub_batch
--     M         position          NULL: what is handed out is no longer M's
--     M.S       NULL, idle        NULL
--     M.S       start, active     end and id of the batch that it works on

CREATE SCHEMA pgq_coop;
COMMENT ON SCHEMA pgq_coop IS 'PgQ: consumers that share their work.';
GRANT USAGE ON SCHEMA pgq_coop TO PUBLIC;

-- Not dumped: no process of this server runs where a dump is restored.
CREATE TABLE pgq_coop.process (
    sub_queue       integer     NOT NULL,
    sub_consumer    integer     NOT NULL,
    pid             integer     NOT NULL,
    backend_start   timestamptz NOT NULL,
    CONSTRAINT process_pkey PRIMARY KEY (sub_queue, sub_consumer),
    CONSTRAINT process_subscription_fkey FOREIGN KEY (sub_queue, sub_consumer)
        REFERENCES pgq.subscription (sub_queue, sub_consumer) ON DELETE CASCADE
);
COMMENT ON TABLE pgq_coop.process IS 'Server processes for which sub-consumers got their last batches, where pgq.coop_watch_processes is on.';
COMMENT ON COLUMN pgq_coop.process.sub_queue IS 'The queue.';
COMMENT ON COLUMN pgq_coop.process.sub_consumer IS 'The sub-consumer.';
COMMENT ON COLUMN pgq_coop.process.pid IS 'The server process.';
COMMENT ON COLUMN pgq_coop.process.backend_start IS 'When it began; others may have the same pid later.';
