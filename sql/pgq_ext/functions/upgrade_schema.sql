-- pgq_ext.upgrade_schema()
--
-- Brings the tables of pgq_ext 3.3, and those of 2.1, up to date: adds the columns subconsumer_id and queue_name, and
-- takes them into the keys. Rows stay.
--
-- Returns: the number of changes; 0 when there is nothing to do.
-- Errors:  42501 there is something to do, and the tables are somebody else's
-- Locks:   ACCESS EXCLUSIVE on each table that it changes.

CREATE FUNCTION pgq_ext.upgrade_schema()
RETURNS integer LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    stored record;
    missing record;
    changes integer := 0;
BEGIN
    FOR stored IN
        SELECT c.oid, c.oid::regclass AS name,
               c.relname || '_pkey' AS key_name, format('PRIMARY KEY (%s)', wanted.key) AS key,
               k.conname AS old_key_name, pg_get_constraintdef(k.oid) AS old_key
          FROM (VALUES
                ('completed_tick', 'consumer_id, subconsumer_id, queue_name'),
                ('completed_batch', 'consumer_id, subconsumer_id, queue_name'),
                ('partial_batch', 'consumer_id, subconsumer_id, queue_name'),
                ('completed_event', 'consumer_id, subconsumer_id, queue_name, batch_id, event_id')
               ) AS wanted (relname, key)
          JOIN pg_class c ON c.relname = wanted.relname AND c.relnamespace = 'pgq_ext'::regnamespace
          LEFT JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'p'
    LOOP
        FOR missing IN
            SELECT added.name, added.meaning
              FROM (VALUES
                    ('subconsumer_id', 'Name of the sub-consumer, or empty.'),
                    ('queue_name', 'Name of the queue; empty if the caller names none.')
                   ) AS added (name, meaning)
             WHERE NOT EXISTS (
                    SELECT FROM pg_attribute a
                     WHERE a.attrelid = stored.oid AND a.attname = added.name AND NOT a.attisdropped)
        LOOP
            EXECUTE format('ALTER TABLE %s ADD COLUMN %I text NOT NULL DEFAULT %L', stored.name, missing.name, '');
            EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', stored.name, missing.name, missing.meaning);
            changes := changes + 1;
        END LOOP;
        IF stored.old_key IS DISTINCT FROM stored.key THEN
            EXECUTE format('ALTER TABLE %s ', stored.name) || concat_ws(', ',
                'DROP CONSTRAINT ' || quote_ident(stored.old_key_name),
                format('ADD CONSTRAINT %I %s', stored.key_name, stored.key));
            changes := changes + 1;
        END IF;
    END LOOP;
    RETURN changes;
END
$$;

COMMENT ON FUNCTION pgq_ext.upgrade_schema()
IS 'Brings tables that an older version made up to date; the number of changes.';
