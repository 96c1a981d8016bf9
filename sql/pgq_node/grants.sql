-- Who may do what. Whatever is not granted here is for the owner alone; the schema is open to all (tables.sql).
--
-- Every function that PostgreSQL opened to PUBLIC is closed first, then given to whom it is meant for.

REVOKE ALL ON FUNCTION
    pgq_node._local_watermark(text),
    pgq_node._lock(text),
    pgq_node._newest_tick(text),
    pgq_node._position(text, text),
    pgq_node._require_location(text, text),
    pgq_node.change_consumer_provider(text, text, text),
    pgq_node.create_node(text, text, text, text, text, bigint, text),
    pgq_node.demote_root(text, integer, text),
    pgq_node.drop_node(text, text),
    pgq_node.get_consumer_info(text),
    pgq_node.get_consumer_state(text, text),
    pgq_node.get_node_info(text),
    pgq_node.get_queue_locations(text),
    pgq_node.get_subscriber_info(text),
    pgq_node.get_worker_state(text),
    pgq_node.is_leaf_node(text),
    pgq_node.is_root_node(text),
    pgq_node.maint_watermark(text),
    pgq_node.promote_branch(text),
    pgq_node.register_consumer(text, text, text, bigint),
    pgq_node.register_location(text, text, text, boolean),
    pgq_node.register_subscriber(text, text, text, bigint),
    pgq_node.set_consumer_completed(text, text, bigint),
    pgq_node.set_consumer_completed(text, text, bigint, bigint),
    pgq_node.set_consumer_error(text, text, text),
    pgq_node.set_consumer_paused(text, text, boolean),
    pgq_node.set_consumer_uptodate(text, text, boolean),
    pgq_node.set_global_watermark(text, bigint),
    pgq_node.set_node_attrs(text, text),
    pgq_node.set_partition_watermark(text, text, bigint),
    pgq_node.set_subscriber_watermark(text, text, bigint),
    pgq_node.unregister_consumer(text, text),
    pgq_node.unregister_location(text, text),
    pgq_node.unregister_subscriber(text, text),
    pgq_node.upgrade_schema(),
    pgq_node.version()
FROM PUBLIC;

-- Everybody may look.
GRANT EXECUTE ON FUNCTION
    pgq_node.is_leaf_node(text),
    pgq_node.is_root_node(text),
    pgq_node.version()
TO PUBLIC;

-- Programs that read, here or from another node.
GRANT EXECUTE ON FUNCTION
    pgq_node.get_consumer_info(text),
    pgq_node.get_consumer_state(text, text),
    pgq_node.get_node_info(text),
    pgq_node.get_queue_locations(text),
    pgq_node.get_subscriber_info(text),
    pgq_node.register_subscriber(text, text, text, bigint),
    pgq_node.set_subscriber_watermark(text, text, bigint),
    pgq_node.unregister_subscriber(text, text)
TO pgq_reader, pgq_writer, pgq_admin;

-- Consumers that write into this node.
GRANT EXECUTE ON FUNCTION
    pgq_node.change_consumer_provider(text, text, text),
    pgq_node.register_consumer(text, text, text, bigint),
    pgq_node.set_consumer_completed(text, text, bigint),
    pgq_node.set_consumer_completed(text, text, bigint, bigint),
    pgq_node.set_consumer_error(text, text, text),
    pgq_node.set_consumer_paused(text, text, boolean),
    pgq_node.set_consumer_uptodate(text, text, boolean),
    pgq_node.unregister_consumer(text, text)
TO pgq_writer, pgq_admin;

-- Workers and administrators.
GRANT EXECUTE ON FUNCTION
    pgq_node._local_watermark(text),
    pgq_node._newest_tick(text),
    pgq_node._position(text, text),
    pgq_node.create_node(text, text, text, text, text, bigint, text),
    pgq_node.demote_root(text, integer, text),
    pgq_node.drop_node(text, text),
    pgq_node.get_worker_state(text),
    pgq_node.maint_watermark(text),
    pgq_node.promote_branch(text),
    pgq_node.register_location(text, text, text, boolean),
    pgq_node.set_global_watermark(text, bigint),
    pgq_node.set_node_attrs(text, text),
    pgq_node.set_partition_watermark(text, text, bigint),
    pgq_node.unregister_location(text, text),
    pgq_node.upgrade_schema()
TO pgq_admin;

GRANT SELECT ON TABLE
    pgq_node.node_location, pgq_node.node_info, pgq_node.local_state, pgq_node.subscriber_info
TO pgq_reader, pgq_writer, pgq_admin;
GRANT INSERT, UPDATE, DELETE ON TABLE
    pgq_node.node_location, pgq_node.node_info, pgq_node.local_state, pgq_node.subscriber_info
TO pgq_admin;
