-- What a database knows of the queues that it shares with others: who takes part, what it is itself, and who reads where.

CREATE SCHEMA pgq_node;
COMMENT ON SCHEMA pgq_node IS 'PgQ: queues that exist on several nodes.';
GRANT USAGE ON SCHEMA pgq_node TO PUBLIC;

CREATE TABLE pgq_node.node_location (
    queue_name      text        NOT NULL,
    node_name       text        NOT NULL,
    node_location   text        NOT NULL,
    dead            boolean     NOT NULL DEFAULT false,
    CONSTRAINT node_location_pkey PRIMARY KEY (queue_name, node_name)
);
COMMENT ON TABLE pgq_node.node_location IS 'All nodes of each queue; the same list on every node.';
COMMENT ON COLUMN pgq_node.node_location.queue_name IS 'The queue.';
COMMENT ON COLUMN pgq_node.node_location.node_name IS 'Name of the node, unique in the queue.';
COMMENT ON COLUMN pgq_node.node_location.node_location IS 'Connect string by which other nodes reach it.';
COMMENT ON COLUMN pgq_node.node_location.dead IS 'Whether an administrator has given it up.';

CREATE TABLE pgq_node.node_info (
    queue_name      text        NOT NULL,
    node_type       text        NOT NULL,
    node_name       text        NOT NULL,
    worker_name     text,
    combined_queue  text,
    node_attrs      text,
    final_tick      bigint,
    CONSTRAINT node_info_pkey PRIMARY KEY (queue_name),
    CONSTRAINT node_info_queue_name_node_name_fkey FOREIGN KEY (queue_name, node_name)
        REFERENCES pgq_node.node_location (queue_name, node_name),
    CONSTRAINT node_info_node_type_check CHECK (node_type IN ('root', 'branch', 'leaf')),
    CONSTRAINT node_info_check CHECK (
        CASE WHEN node_type = 'root' THEN worker_name IS NOT NULL AND combined_queue IS NULL
             WHEN node_type = 'branch' THEN worker_name IS NOT NULL AND combined_queue IS NULL
             WHEN node_type = 'leaf' THEN worker_name IS NOT NULL
             ELSE false
        END)
);
COMMENT ON TABLE pgq_node.node_info IS 'The node that this database is, one row a queue.';
COMMENT ON COLUMN pgq_node.node_info.queue_name IS 'The queue.';
COMMENT ON COLUMN pgq_node.node_info.node_type IS 'root: events begin here; branch: a full copy, from which others can read; leaf: applies events and keeps none.';
COMMENT ON COLUMN pgq_node.node_info.node_name IS 'Name of this node.';
COMMENT ON COLUMN pgq_node.node_info.worker_name IS 'The consumer that keeps this node up.';
COMMENT ON COLUMN pgq_node.node_info.combined_queue IS 'Leaf only: the local queue into which its events are merged.';
COMMENT ON COLUMN pgq_node.node_info.node_attrs IS 'Settings of the node, urlencoded.';
COMMENT ON COLUMN pgq_node.node_info.final_tick IS 'The tick behind which a root had no events when its demotion took it; else NULL.';

CREATE TABLE pgq_node.local_state (
    queue_name      text        NOT NULL,
    consumer_name   text        NOT NULL,
    provider_node   text        NOT NULL,
    last_tick_id    bigint      NOT NULL,
    cur_error       text,
    paused          boolean     NOT NULL DEFAULT false,
    uptodate        boolean     NOT NULL DEFAULT false,
    CONSTRAINT local_state_pkey PRIMARY KEY (queue_name, consumer_name),
    CONSTRAINT local_state_queue_name_fkey FOREIGN KEY (queue_name) REFERENCES pgq_node.node_info (queue_name),
    CONSTRAINT local_state_queue_name_provider_node_fkey FOREIGN KEY (queue_name, provider_node)
        REFERENCES pgq_node.node_location (queue_name, node_name)
);
COMMENT ON TABLE pgq_node.local_state IS 'Where the consumers that write into this node stand; the node''s worker is one of them.';
COMMENT ON COLUMN pgq_node.local_state.queue_name IS 'The queue.';
COMMENT ON COLUMN pgq_node.local_state.consumer_name IS 'The consumer.';
COMMENT ON COLUMN pgq_node.local_state.provider_node IS 'The node from which it reads.';
COMMENT ON COLUMN pgq_node.local_state.last_tick_id IS 'The last tick whose batch is done here.';
COMMENT ON COLUMN pgq_node.local_state.cur_error IS 'Why it is stuck; NULL when it is well.';
COMMENT ON COLUMN pgq_node.local_state.paused IS 'Whether it has been told to stand still.';
COMMENT ON COLUMN pgq_node.local_state.uptodate IS 'Whether it has seen the latest change of this row by an administrator.';

CREATE TABLE pgq_node.subscriber_info (
    queue_name      text        NOT NULL,
    subscriber_node text        NOT NULL,
    worker_name     text        NOT NULL,
    watermark_name  text        NOT NULL,
    CONSTRAINT subscriber_info_pkey PRIMARY KEY (queue_name, subscriber_node),
    CONSTRAINT subscriber_info_queue_name_fkey FOREIGN KEY (queue_name) REFERENCES pgq_node.node_info (queue_name),
    CONSTRAINT subscriber_info_queue_name_subscriber_node_fkey FOREIGN KEY (queue_name, subscriber_node)
        REFERENCES pgq_node.node_location (queue_name, node_name),
    CONSTRAINT subscriber_info_worker_name_fkey FOREIGN KEY (worker_name) REFERENCES pgq.consumer (co_name),
    CONSTRAINT subscriber_info_watermark_name_fkey FOREIGN KEY (watermark_name) REFERENCES pgq.consumer (co_name)
);
COMMENT ON TABLE pgq_node.subscriber_info IS 'The nodes that read from this one.';
COMMENT ON COLUMN pgq_node.subscriber_info.queue_name IS 'The queue.';
COMMENT ON COLUMN pgq_node.subscriber_info.subscriber_node IS 'The node that reads.';
COMMENT ON COLUMN pgq_node.subscriber_info.worker_name IS 'Its worker, a consumer of the queue.';
COMMENT ON COLUMN pgq_node.subscriber_info.watermark_name IS 'The consumer whose position is the lowest one at that node and below it.';

-- What pg_dump takes along.
SELECT pg_catalog.pg_extension_config_dump('pgq_node.node_location', '');
SELECT pg_catalog.pg_extension_config_dump('pgq_node.node_info', '');
SELECT pg_catalog.pg_extension_config_dump('pgq_node.local_state', '');
SELECT pg_catalog.pg_extension_config_dump('pgq_node.subscriber_info', '');
