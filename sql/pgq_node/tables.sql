CREATE SCHEMA pgq_node;
COMMENT ON SCHEMA pgq_node IS 'PgQ: queues that exist on several nodes.';
GRANT USAGE ON SCHEMA pgq_node TO PUBLIC;
