CREATE SCHEMA pgq_ext;
COMMENT ON SCHEMA pgq_ext IS 'PgQ: batches and events that are done, remembered where the results are.';
GRANT USAGE ON SCHEMA pgq_ext TO PUBLIC;
