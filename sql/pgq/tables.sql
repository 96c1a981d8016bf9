-- The tables of PgQ, with the names, types and order of PgQ 3.5.

CREATE SCHEMA pgq;
COMMENT ON SCHEMA pgq IS 'PgQ: queues of events, handed out in consistent batches.';
GRANT USAGE ON SCHEMA pgq TO PUBLIC;

-- Who reads: one row a name, shared by all queues.
CREATE TABLE pgq.consumer (
    co_id       serial  NOT NULL,
    co_name     text    NOT NULL,
    CONSTRAINT consumer_pkey PRIMARY KEY (co_id),
    CONSTRAINT consumer_name_uq UNIQUE (co_name)
);
COMMENT ON TABLE pgq.consumer IS 'Consumers, by name; pgq.subscription says which queues they read.';
COMMENT ON COLUMN pgq.consumer.co_id IS 'Number of the consumer.';
COMMENT ON COLUMN pgq.consumer.co_name IS 'Name of the consumer, in all queues that it reads.';
COMMENT ON SEQUENCE pgq.consumer_co_id_seq IS 'Numbers of consumers.';

CREATE TABLE pgq.queue (
    queue_id                    serial      NOT NULL,
    queue_name                  text        NOT NULL,

    queue_ntables               integer     NOT NULL DEFAULT 3,
    queue_cur_table             integer     NOT NULL DEFAULT 0,
    queue_rotation_period       interval    NOT NULL DEFAULT '2 hours',
    queue_switch_step1          bigint      NOT NULL DEFAULT pg_catalog.txid_current(),
    queue_switch_step2          bigint               DEFAULT pg_catalog.txid_current(),
    queue_switch_time           timestamptz NOT NULL DEFAULT pg_catalog.now(),

    queue_external_ticker       boolean     NOT NULL DEFAULT false,
    queue_disable_insert        boolean     NOT NULL DEFAULT false,
    queue_ticker_paused         boolean     NOT NULL DEFAULT false,

    queue_ticker_max_count      integer     NOT NULL DEFAULT 500,
    queue_ticker_max_lag        interval    NOT NULL DEFAULT '3 seconds',
    queue_ticker_idle_period    interval    NOT NULL DEFAULT '1 minute',
    queue_per_tx_limit          integer,

    queue_data_pfx              text        NOT NULL,
    queue_event_seq             text        NOT NULL,
    queue_tick_seq              text        NOT NULL,

    queue_extra_maint           text[],

    CONSTRAINT queue_pkey PRIMARY KEY (queue_id),
    CONSTRAINT queue_name_uq UNIQUE (queue_name),
    -- A pgq_admin may write here, and functions with their owner's rights truncate, drop and grant what is named here.
    CONSTRAINT queue_own_objects CHECK (
        queue_data_pfx = 'pgq.event_' || queue_id
        AND queue_event_seq = 'pgq.event_' || queue_id || '_id_seq'
        AND queue_tick_seq = 'pgq.event_' || queue_id || '_tick_seq')
);
COMMENT ON TABLE pgq.queue IS 'Queues and their settings; pgq.set_queue_config() changes them.';
COMMENT ON SEQUENCE pgq.queue_queue_id_seq IS 'Numbers of queues.';
COMMENT ON COLUMN pgq.queue.queue_id IS 'Number of the queue; its tables and sequences are named by it.';
COMMENT ON COLUMN pgq.queue.queue_name IS 'Name of the queue.';
COMMENT ON COLUMN pgq.queue.queue_ntables IS 'Number of rotating event tables, read once, when the queue is created.';
COMMENT ON COLUMN pgq.queue.queue_cur_table IS 'Number of the event table that is being written.';
COMMENT ON COLUMN pgq.queue.queue_rotation_period IS 'Least time between rotations.';
COMMENT ON COLUMN pgq.queue.queue_switch_step1 IS 'Transaction that did the last rotation.';
COMMENT ON COLUMN pgq.queue.queue_switch_step2 IS 'Highest transaction id that may have written into the table before; NULL while a rotation is half done.';
COMMENT ON COLUMN pgq.queue.queue_switch_time IS 'When the last rotation happened.';
COMMENT ON COLUMN pgq.queue.queue_external_ticker IS 'Ticks are supplied by a caller (of another node); the local ticker keeps away.';
COMMENT ON COLUMN pgq.queue.queue_disable_insert IS 'Refuse events, except from sessions in replica role.';
COMMENT ON COLUMN pgq.queue.queue_ticker_paused IS 'No ticks at all.';
COMMENT ON COLUMN pgq.queue.queue_ticker_max_count IS 'Tick when this many events are new.';
COMMENT ON COLUMN pgq.queue.queue_ticker_max_lag IS 'Tick when new events are older than this.';
COMMENT ON COLUMN pgq.queue.queue_ticker_idle_period IS 'Longest distance between ticks of an idle queue.';
COMMENT ON COLUMN pgq.queue.queue_per_tx_limit IS 'Most events that one transaction may insert; NULL: no limit.';
COMMENT ON COLUMN pgq.queue.queue_data_pfx IS 'schema.name of the event tables'' parent; the tables add _0, _1, …';
COMMENT ON COLUMN pgq.queue.queue_event_seq IS 'schema.name of the sequence of event ids.';
COMMENT ON COLUMN pgq.queue.queue_tick_seq IS 'schema.name of the sequence of tick ids.';
COMMENT ON COLUMN pgq.queue.queue_extra_maint IS 'Names of functions to call, with the queue''s name, at each maintenance.';

CREATE TABLE pgq.tick (
    tick_queue      integer         NOT NULL,
    tick_id         bigint          NOT NULL,
    tick_time       timestamptz     NOT NULL DEFAULT pg_catalog.now(),
    tick_snapshot   txid_snapshot   NOT NULL DEFAULT pg_catalog.txid_current_snapshot(),
    tick_event_seq  bigint          NOT NULL,
    CONSTRAINT tick_pkey PRIMARY KEY (tick_queue, tick_id),
    CONSTRAINT tick_queue_fkey FOREIGN KEY (tick_queue) REFERENCES pgq.queue (queue_id)
);
COMMENT ON TABLE pgq.tick IS 'Snapshots taken of a queue; a batch is what became visible between two of them.';
COMMENT ON COLUMN pgq.tick.tick_queue IS 'The queue.';
COMMENT ON COLUMN pgq.tick.tick_id IS 'Number of the tick in its queue; a higher one never has an older snapshot.';
COMMENT ON COLUMN pgq.tick.tick_time IS 'Start of the transaction that took it; on a copied queue, its time at the origin.';
COMMENT ON COLUMN pgq.tick.tick_snapshot IS 'Which transactions were finished.';
COMMENT ON COLUMN pgq.tick.tick_event_seq IS 'Event sequence just before the snapshot: a hint of the amount, not a bound.';

-- Batch ids are unique in the database, over all queues.
CREATE SEQUENCE pgq.batch_id_seq;
COMMENT ON SEQUENCE pgq.batch_id_seq IS 'Numbers of batches, over all queues and consumers.';

CREATE TABLE pgq.subscription (
    sub_id          serial      NOT NULL,
    sub_queue       integer     NOT NULL,
    sub_consumer    integer     NOT NULL,
    sub_last_tick   bigint,
    sub_active      timestamptz NOT NULL DEFAULT pg_catalog.now(),
    sub_batch       bigint,
    sub_next_tick   bigint,
    CONSTRAINT subscription_pkey PRIMARY KEY (sub_queue, sub_consumer),
    CONSTRAINT subscription_batch_idx UNIQUE (sub_batch),
    CONSTRAINT sub_queue_fkey FOREIGN KEY (sub_queue) REFERENCES pgq.queue (queue_id),
    CONSTRAINT sub_consumer_fkey FOREIGN KEY (sub_consumer) REFERENCES pgq.consumer (co_id)
);
COMMENT ON TABLE pgq.subscription IS 'Positions: the last tick that a consumer has finished on a queue, and the batch it has open.';
COMMENT ON COLUMN pgq.subscription.sub_id IS 'Owner of retry events; cooperating sub-consumers share their main consumer''s.';
COMMENT ON SEQUENCE pgq.subscription_sub_id_seq IS 'Numbers of subscriptions.';
COMMENT ON COLUMN pgq.subscription.sub_queue IS 'The queue.';
COMMENT ON COLUMN pgq.subscription.sub_consumer IS 'The consumer.';
COMMENT ON COLUMN pgq.subscription.sub_active IS 'When the consumer last opened, finished or was moved.';
COMMENT ON COLUMN pgq.subscription.sub_last_tick IS 'End of the last finished batch; NULL for an idle sub-consumer.';
COMMENT ON COLUMN pgq.subscription.sub_batch IS 'The open batch; NULL when there is none.';
COMMENT ON COLUMN pgq.subscription.sub_next_tick IS 'End of the open batch.';

-- The parent of all event tables; always empty. Its privileges are those of new queues' tables.
CREATE TABLE pgq.event_template (
    ev_id       bigint      NOT NULL,
    ev_time     timestamptz NOT NULL,
    ev_txid     bigint      NOT NULL DEFAULT pg_catalog.txid_current(),
    ev_owner    integer,
    ev_retry    integer,
    ev_type     text,
    ev_data     text,
    ev_extra1   text,
    ev_extra2   text,
    ev_extra3   text,
    ev_extra4   text
);
COMMENT ON TABLE pgq.event_template IS 'Parent of all event tables, always empty itself; its privileges are copied to new queues.';
COMMENT ON COLUMN pgq.event_template.ev_id IS 'Number of the event in its queue; one that comes back keeps it.';
COMMENT ON COLUMN pgq.event_template.ev_time IS 'Start of the transaction that inserted it.';
COMMENT ON COLUMN pgq.event_template.ev_txid IS 'Top-level transaction that inserted the event.';
COMMENT ON COLUMN pgq.event_template.ev_owner IS 'NULL: for all consumers; else the one subscription that asked for it again.';
COMMENT ON COLUMN pgq.event_template.ev_retry IS 'How often the event came back; NULL: never.';
COMMENT ON COLUMN pgq.event_template.ev_type IS 'Kind of the event, for who reads it.';
COMMENT ON COLUMN pgq.event_template.ev_data IS 'The event itself, in a form that producer and consumer agree on.';
COMMENT ON COLUMN pgq.event_template.ev_extra1 IS 'More, as they agree on; change capture puts the name of the table here.';
COMMENT ON COLUMN pgq.event_template.ev_extra2 IS 'More, as they agree on.';
COMMENT ON COLUMN pgq.event_template.ev_extra3 IS 'More, as they agree on.';
COMMENT ON COLUMN pgq.event_template.ev_extra4 IS 'More, as they agree on.';

CREATE TABLE pgq.retry_queue (
    ev_retry_after  timestamptz NOT NULL,
    ev_queue        integer     NOT NULL,
    ev_id           bigint      NOT NULL,
    ev_time         timestamptz NOT NULL,
    ev_txid         bigint,
    ev_owner        integer     NOT NULL,
    ev_retry        integer,
    ev_type         text,
    ev_data         text,
    ev_extra1       text,
    ev_extra2       text,
    ev_extra3       text,
    ev_extra4       text,
    CONSTRAINT rq_pkey PRIMARY KEY (ev_owner, ev_id),
    CONSTRAINT rq_queue_id_fkey FOREIGN KEY (ev_queue) REFERENCES pgq.queue (queue_id)
);
CREATE INDEX rq_retry_idx ON pgq.retry_queue (ev_retry_after);
COMMENT ON TABLE pgq.retry_queue IS 'Events that a consumer wants again, and when.';
COMMENT ON COLUMN pgq.retry_queue.ev_retry_after IS 'When the event goes back into its queue.';
COMMENT ON COLUMN pgq.retry_queue.ev_queue IS 'The queue.';
COMMENT ON COLUMN pgq.retry_queue.ev_id IS 'Number of the event, which it keeps.';
COMMENT ON COLUMN pgq.retry_queue.ev_time IS 'Time of the event, which it keeps.';
COMMENT ON COLUMN pgq.retry_queue.ev_txid IS 'Not used: the event gets the transaction that puts it back.';
COMMENT ON COLUMN pgq.retry_queue.ev_owner IS 'The subscription (sub_id) that wants it again.';
COMMENT ON COLUMN pgq.retry_queue.ev_retry IS 'How often the event will have come back.';
COMMENT ON COLUMN pgq.retry_queue.ev_type IS 'As in the event.';
COMMENT ON COLUMN pgq.retry_queue.ev_data IS 'As in the event.';
COMMENT ON COLUMN pgq.retry_queue.ev_extra1 IS 'As in the event.';
COMMENT ON COLUMN pgq.retry_queue.ev_extra2 IS 'As in the event.';
COMMENT ON COLUMN pgq.retry_queue.ev_extra3 IS 'As in the event.';
COMMENT ON COLUMN pgq.retry_queue.ev_extra4 IS 'As in the event.';

-- What pg_dump takes along. The serial sequences too: without them a restored database would hand out old ids.
SELECT pg_catalog.pg_extension_config_dump('pgq.queue', '');
SELECT pg_catalog.pg_extension_config_dump('pgq.consumer', '');
SELECT pg_catalog.pg_extension_config_dump('pgq.tick', '');
SELECT pg_catalog.pg_extension_config_dump('pgq.subscription', '');
SELECT pg_catalog.pg_extension_config_dump('pgq.event_template', '');
SELECT pg_catalog.pg_extension_config_dump('pgq.retry_queue', '');
SELECT pg_catalog.pg_extension_config_dump('pgq.batch_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('pgq.queue_queue_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('pgq.consumer_co_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('pgq.subscription_sub_id_seq', '');
