-- pgq_node.upgrade_schema()
--
-- Brings the tables of an older pgq_node up to date.
--
-- Returns: the number of changes; 0 when there was nothing to do.
-- Rights:  there is something to do only for the owner of the tables.

CREATE FUNCTION pgq_node.upgrade_schema()
RETURNS integer LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    missing record;
    changes integer := 0;
BEGIN
    FOR missing IN
        SELECT m.name, m.type
          FROM (VALUES ('node_attrs', 'text'), ('final_tick', 'bigint')) AS m (name, type)
         WHERE NOT EXISTS (SELECT FROM pg_attribute a
                            WHERE a.attrelid = 'pgq_node.node_info'::regclass AND a.attname = m.name AND NOT a.attisdropped)
    LOOP
        EXECUTE format('ALTER TABLE pgq_node.node_info ADD COLUMN %I %s', missing.name, missing.type);
        changes := changes + 1;
    END LOOP;
    RETURN changes;
END
$$;

COMMENT ON FUNCTION pgq_node.upgrade_schema() IS 'Brings the tables of an older pgq_node up to date.';
