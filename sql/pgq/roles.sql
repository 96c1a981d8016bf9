-- The three roles, made if missing; DROP EXTENSION leaves them.
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['pgq_reader', 'pgq_writer', 'pgq_admin'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) wanted) THEN
            EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', wanted);
            EXECUTE pg_catalog.format('COMMENT ON ROLE %I IS %L', wanted, CASE wanted
                WHEN 'pgq_reader' THEN 'PgQ: consumers.'
                WHEN 'pgq_writer' THEN 'PgQ: producers.'
                ELSE 'PgQ: upkeep and settings of queues; consumer and producer too.' END);
        END IF;
    END LOOP;
END
$$;
GRANT pgq_reader, pgq_writer TO pgq_admin;
