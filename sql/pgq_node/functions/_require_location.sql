-- pgq_node._require_location(i_queue_name, i_node_name)
--
-- Internal: refuses a node that is not listed. The foreign keys do so too, but without advice, and not to a session in
-- replica role.
--
-- Errors: 23503 the node is not listed for the queue.

CREATE FUNCTION pgq_node._require_location(i_queue_name text, i_node_name text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF i_node_name IS NOT NULL AND NOT EXISTS (
            SELECT FROM pgq_node.node_location l WHERE l.queue_name = i_queue_name AND l.node_name = i_node_name) THEN
        RAISE EXCEPTION 'node "%" is not listed for queue "%"', i_node_name, i_queue_name
              USING ERRCODE = 'foreign_key_violation', HINT = 'pgq_node.register_location() enters it.';
    END IF;
END
$$;

COMMENT ON FUNCTION pgq_node._require_location(text, text) IS 'Internal: refuses a node that is not listed.';
