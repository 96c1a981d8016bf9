CREATE SCHEMA pgq_coop;
COMMENT ON SCHEMA pgq_coop IS 'PgQ: consumers that share their work.';
GRANT USAGE ON SCHEMA pgq_coop TO PUBLIC;
